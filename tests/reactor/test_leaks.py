"""Nothing grows: a thousand launches, a thousand that fail, five hundred that are cancelled."""

from __future__ import annotations

import asyncio
import gc
import resource
import tracemalloc
from typing import TYPE_CHECKING, Any

import fresh
import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def _succeed() -> None:
    process = await asyncio.create_subprocess_exec("true", stdout=asyncio.subprocess.PIPE)
    await process.communicate()
    assert process.returncode == 0


async def _fail() -> None:
    with pytest.raises(FileNotFoundError):
        await asyncio.create_subprocess_exec("/nonexistent", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)


async def _cancel() -> None:
    task = asyncio.create_task(asyncio.create_subprocess_exec("sleep", "1000", stdout=asyncio.subprocess.PIPE))
    await asyncio.sleep(0)
    task.cancel()
    try:
        process = await task
    except asyncio.CancelledError:
        return
    process.kill()  # it was there before the cancellation
    await process.communicate()


async def _many(one: Callable[[], Awaitable[None]], count: int) -> None:
    async def worker(turns: Any) -> None:
        for _ in turns:
            await one()

    turns = iter(range(count))
    await asyncio.gather(*(worker(turns) for _ in range(20)))


@pytest.mark.parametrize(("one", "count"), [(_succeed, 1000), (_fail, 1000), (_cancel, 500)], ids=["run", "fail", "cancel"])
async def test_nothing_grows(one: Callable[[], Awaitable[None]], count: int) -> None:
    """Descriptors and children are back where they were, and no launch keeps even one small object."""
    await _many(one, 100)
    gc.collect()
    descriptors = fresh.descriptors()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = []
    tracemalloc.start()
    try:
        for _ in range(4):  # free lists fill up once, a leak goes on
            before = tracemalloc.get_traced_memory()[0]
            await _many(one, count // 2)
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert fresh.descriptors() == descriptors
    assert fresh.children() == []
    assert min(grown) < 16 * count // 2  # bytes: the smallest object has 16
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 8 * 1024  # KiB, native memory included
