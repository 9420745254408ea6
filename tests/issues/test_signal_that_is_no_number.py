"""`send_signal` of what is no number said "an integer is required", and not of what."""

from typing import Any

import pytest

import aiospawn


@pytest.mark.parametrize("group", [False, True])
async def test_signal_that_is_no_number(group: bool) -> None:
    """The error names the argument and its value."""
    wrong: Any = 1.5
    async with await aiospawn.create_subprocess_exec("sleep", "1000", start_new_session=True) as process:
        with pytest.raises(TypeError, match=r"signal must be an integer, not float: 1\.5"):
            process.send_signal(wrong, group=group)
