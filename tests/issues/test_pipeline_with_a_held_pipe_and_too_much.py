"""A stage wrote too much while another one's pipe was held by a process outside of its group: an InvalidStateError."""

import pytest

import aiospawn


async def test_pipeline_with_a_held_pipe_and_too_much() -> None:
    """The exception names the stage that wrote too much."""
    holding = ["sh", "-c", "setsid sh -c 'echo; exec sleep 1' & exec sleep 1000"]
    writing = ["sh", "-c", "read _; exec yes"]  # when the other has left the group
    with pytest.raises(aiospawn.OutputLimitExceeded) as raised:
        await aiospawn.pipeline(holding, writing, capture_output=True, max_output=4)
    assert (raised.value.cmd, raised.value.output) == (writing, b"y\ny\n")
