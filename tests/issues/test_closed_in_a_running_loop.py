"""A coroutine that was closed while its loop runs "ignored GeneratorExit": a block of ours in it awaited the child's end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any

import fresh
import pytest

import aiospawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

_LONG = ["sleep", "1000"]
_CLEANS = ["sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"]


async def _pause() -> None:
    await asyncio.Event().wait()


async def _block() -> None:
    async with await aiospawn.create_subprocess_exec(*_LONG):
        await _pause()


async def _block_in_a_stack() -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(await aiospawn.create_subprocess_exec(*_LONG))
        await _pause()


@contextlib.asynccontextmanager
async def _session() -> AsyncIterator[Any]:
    async with await aiospawn.create_subprocess_exec(*_LONG) as process:
        yield process


async def _block_of_a_manager() -> None:
    async with _session():
        await _pause()


async def _group() -> None:
    async with aiospawn.ProcessGroup() as group:
        await group.spawn(*_LONG)
        await _pause()


async def _group_that_waits() -> None:
    async with aiospawn.ProcessGroup() as group:
        await group.spawn(*_LONG)


async def _group_that_stops() -> None:
    async with aiospawn.ProcessGroup() as group:
        await group.spawn(*_LONG, sigignore=[signal.SIGTERM])  # so that stopping takes its time
        await group.stop()


async def _popen() -> None:
    async with await aiospawn.popen("exec sleep 1000"):
        await _pause()


async def _popen_that_waits() -> None:
    async with await aiospawn.popen("exec sleep 1000") as pipe:
        await pipe.close()


async def _map() -> None:
    async for _ in aiospawn.map([_LONG]):
        pass


async def _map_block() -> None:
    async with aiospawn.map([["true"], _LONG]) as results:
        await anext(results)
        await _pause()


async def _lines() -> None:
    """CPython takes its generator for running ever after: nobody can close that."""
    async for _ in aiospawn.lines(_LONG):
        pass


async def _lines_with_input() -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"part"
        await _pause()

    async for _ in aiospawn.lines(["sh", "-c", "exec sleep 1000"], input=parts()):
        pass


async def _lines_closed() -> None:
    async with contextlib.aclosing(aiospawn.lines(["sh", "-c", "trap '' TERM; echo; exec sleep 1000"], grace=1000)) as lines:
        await anext(lines)


async def _run() -> None:
    await aiospawn.run(_LONG)


async def _pipeline() -> None:
    await aiospawn.pipeline(_LONG, ["cat"])


async def _generator_that_waits() -> None:
    async for _ in _lines_of_a_process():
        pass


async def _generator_that_waits_in_a_stack() -> None:
    async for _ in _lines_in_a_stack():
        pass


ALL = (
    *(_block, _block_in_a_stack, _block_of_a_manager, _group, _group_that_waits, _group_that_stops),
    *(_popen, _popen_that_waits, _map, _map_block, _lines, _lines_with_input, _lines_closed, _run, _pipeline),
    # before, nothing tells such a generator that it is closed: it is taken for running, and collected without a word
    *((_generator_that_waits, _generator_that_waits_in_a_stack) if sys.version_info >= (3, 13) else ()),
)


async def _nothing_but(before: list[int]) -> None:
    """No child, and none of the tasks that saw to it: where it had died at once, they have still to end."""
    while set(fresh.children()) - set(before) or len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.01)


class _Driven:
    """Awaits a coroutine without being closed with it, or closing it."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Any:
        while True:
            yield self._coroutine.send(None)


async def _drive(coroutine: Coroutine[Any, Any, None]) -> None:
    await _Driven(coroutine)


@pytest.mark.parametrize("way", ALL)
async def test_closed(way: Any) -> None:
    """The child is killed, and reaped by the loop."""
    before = fresh.children()
    coroutine = way()
    driver = asyncio.create_task(_drive(coroutine))
    while fresh.children() == before:  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)  # most launches are over then; one that is not must end as well
    coroutine.close()
    driver.cancel()
    await asyncio.wait([driver])
    await _nothing_but(before)


made: list[Any] = []


async def _lines_of_a_process() -> AsyncIterator[bytes]:
    async with await aiospawn.create_subprocess_exec(*_CLEANS, stdout=aiospawn.PIPE) as process:
        made.append(process)
        assert process.stdout is not None
        while line := await process.stdout.readline():
            yield line


async def _lines_in_a_stack() -> AsyncIterator[bytes]:
    async with contextlib.AsyncExitStack() as stack:
        process = await aiospawn.create_subprocess_exec(*_CLEANS, stdout=aiospawn.PIPE)
        await stack.enter_async_context(process)
        made.append(process)
        assert process.stdout is not None
        while line := await process.stdout.readline():
            yield line


@pytest.mark.parametrize("generator", [_lines_of_a_process, _lines_in_a_stack])
async def test_generator_in_order(generator: Any) -> None:
    """An asynchronous generator that is closed may await: the child has its time, and is waited for."""
    made.clear()
    lines = generator()
    assert await anext(lines) == b"ready\n"
    await lines.aclose()
    assert made[0].returncode == 3
