"""anyio cancels no task whose data has come: on uvloop `lines` of a child that always writes could not be cancelled."""

from __future__ import annotations

import contextlib

import anyio

import aiospawn


async def test_cancelled_scope() -> None:
    """Whoever iterates over it can be cancelled, and lets other tasks run."""
    with anyio.move_on_after(0.1) as scope:
        async for _ in aiospawn.lines(["yes"]):
            pass
    assert scope.cancelled_caught


async def test_child_that_waits_in_a_write() -> None:
    """The rest of the output is read for nobody: a shell that waits in a write could not end, and was killed."""
    events: list[object] = []
    script = "trap 'exit 3' TERM; while :; do echo more; done"
    async with contextlib.aclosing(aiospawn.lines(["sh", "-c", script], grace=1000, on_event=events.append)) as lines:
        async for _ in lines:
            await anyio.sleep(0.1)  # pipe and buffers are full then, or not
            break
    assert isinstance(events[-1], aiospawn.Exited)
    assert events[-1].returncode == 3
    events.clear()
    try:
        async with await aiospawn.popen(script, on_event=events.append) as pipe:
            await pipe.readline()
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert isinstance(events[-1], aiospawn.Exited)
    assert events[-1].returncode == 3
