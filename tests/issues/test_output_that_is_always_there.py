"""`lines` of a child that always writes held uvloop for ever, since anyio cancels no task whose data has come.

And a child that waited in a write when it was to end could not: nobody read the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import time
from typing import Any

import anyio
import pytest

import aiospawn


async def test_cancelled_scope() -> None:
    """Whoever iterates over it can be cancelled, also where the output comes faster than it is used."""
    seen = 0

    async def consume() -> None:
        nonlocal seen
        async for _ in aiospawn.lines(["sh", "-c", "while :; do echo more; done"]):
            seen += 1
            time.sleep(0.0001)  # noqa: ASYNC251 - its own work

    async with anyio.create_task_group() as group:
        group.start_soon(consume)
        while seen < 10:  # noqa: ASYNC110 - so it is cancelled before the loop looks at pipes
            await asyncio.sleep(0)
        group.cancel_scope.cancel()


_TALKS = "trap 'exit 3' TERM; x=$(printf %060000d 0); while :; do echo $x; done"


async def _waits_in_a_write(events: list[object]) -> None:
    assert isinstance(events[0], aiospawn.Spawned)
    while not _in_a_write(events[0].pid):  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.01)


def _in_a_write(pid: int) -> bool:
    return "pipe_write" in pathlib.Path(f"/proc/{pid}/wchan").read_text()


async def _lines(events: list[object]) -> None:
    lines = aiospawn.lines(["sh", "-c", _TALKS], grace=1000, on_event=events.append)
    async with contextlib.aclosing(lines):
        async for _ in lines:
            await _waits_in_a_write(events)
            break


async def _popen(events: list[object]) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with await aiospawn.popen(_TALKS, on_event=events.append) as pipe:
            await pipe.readline()
            await _waits_in_a_write(events)
            _ = 1 / 0


@pytest.mark.parametrize("way", [_lines, _popen])
async def test_waits_in_a_write(way: Any) -> None:
    """It can go on, and end by itself."""
    events: list[object] = []
    await way(events)
    assert isinstance(events[-1], aiospawn.Exited)
    assert events[-1].returncode == 3
