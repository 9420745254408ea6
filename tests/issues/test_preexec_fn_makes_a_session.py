"""`run(preexec_fn=...)` with a function that calls `os.setsid` failed: the child led a group by then, as a leader cannot."""

import os
import subprocess
from typing import Any

import pytest

import aiospawn

SESSION_AND_GROUP = ["sh", "-c", "ps -o sid=,pgid= -p $$; echo $$"]


def make_session() -> None:
    os.setsid()


async def test_session() -> None:
    """The session is made, as with subprocess.run."""
    theirs = subprocess.run(SESSION_AND_GROUP, preexec_fn=make_session, capture_output=True, check=True)  # noqa: ASYNC221
    ours = await aiospawn.run(SESSION_AND_GROUP, preexec_fn=make_session, capture_output=True)
    for result in theirs, ours:
        assert len({*result.stdout.split()}) == 1


@pytest.mark.parametrize("options", [{"preexec_fn": make_session}, {"preexec_fn": os.setsid}], ids=["function", "os.setsid"])
@pytest.mark.usefixtures("nothing_native")
async def test_on_the_loops_own(options: dict[str, Any]) -> None:
    """The same where nothing is launched natively; and a stop reaches the whole session's group."""
    result = await aiospawn.run(SESSION_AND_GROUP, capture_output=True, **options)
    assert len({*result.stdout.split()}) == 1
    reader, writer = os.pipe()
    with pytest.raises(subprocess.TimeoutExpired):
        await aiospawn.run(["sh", "-c", "sleep 1000 & sleep 1000; :"], timeout=0.3, pass_fds=[writer], **options)
    os.close(writer)
    os.set_blocking(reader, False)
    assert os.read(reader, 1) == b""
    os.close(reader)
