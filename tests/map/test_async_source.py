"""One task waits for the commands of an asynchronous source; what it launches has none."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import fresh
import pytest

import aiospawn

if TYPE_CHECKING:
    import pathlib
    from collections.abc import AsyncIterator
    from typing import Self

pytestmark = pytest.mark.skipif(not aiospawn.supported(), reason="no native part")

_SLEEP = ["sleep", "1000"]


async def test_tasks() -> None:
    """However many commands run: that of the source, and one for all of the rest."""
    asked, most = set(), 0
    before = asyncio.all_tasks()

    async def commands() -> AsyncIterator[list[str]]:
        nonlocal most
        for _ in range(60):
            asked.add(asyncio.current_task())
            most = max(most, len(asyncio.all_tasks() - before))
            await asyncio.sleep(0)
            yield ["true"]

    results = [result async for result in aiospawn.map(commands(), concurrency=16)]
    assert [result.number for result in results if result.ok] == [*range(60)]
    assert len(asked) == 1
    assert most == 2


async def test_launched_as_it_is_taken() -> None:
    """Nothing is read ahead: where the source goes on, what it has given runs; where nothing more may run, it waits."""
    seen: list[int] = []

    async def commands() -> AsyncIterator[list[str]]:
        while True:
            yield _SLEEP
            seen.append(len(fresh.children()))

    async with aiospawn.map(commands(), concurrency=3) as results:
        waiting = asyncio.ensure_future(anext(results))
        while len(seen) < 2:  # noqa: ASYNC110 - nothing reports it
            await asyncio.sleep(0.001)
        assert len(fresh.children()) == 3
        assert seen == [1, 2]
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert not fresh.children()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("wrong", [True, False])
async def test_that_raises(ordered: bool, wrong: bool) -> None:
    """It comes out of the loop, behind the results that are there; what runs is stopped."""

    async def commands() -> AsyncIterator[Any]:
        yield ["true"]
        yield _SLEEP
        if wrong:
            yield 5
        raise KeyError("source")

    async def collect() -> None:
        async with aiospawn.map(commands(), concurrency=2, ordered=ordered) as results:
            async for result in results:
                found.append(result.number)  # noqa: PERF401 - it raises

    found: list[int] = []
    with pytest.raises(TypeError if wrong else KeyError):
        await collect()
    assert found == [0]
    assert not fresh.children()


async def test_stopped_while_it_waits() -> None:
    """The results of what runs are still to come. A generator is closed with the map."""
    closed = False

    async def commands() -> AsyncIterator[list[str]]:
        nonlocal closed
        try:
            yield ["sh", "-c", "read x", "sh"]
            yield ["true"]
            await asyncio.Event().wait()
        finally:
            closed = True

    async with aiospawn.map(commands(), concurrency=2, ordered=False, stdin=-3) as results:
        assert (await anext(results)).command[0] in ("true", "sh")
        results.stop()
        assert len([result async for result in results]) == 1
    assert closed


async def test_timeout_in_the_source() -> None:
    """It asks for its task more than once."""

    async def commands() -> AsyncIterator[list[str]]:
        async with asyncio.timeout(1000):
            for _ in range(5):
                await asyncio.sleep(0.001)
                yield ["true"]

    assert len([result async for result in aiospawn.map(commands(), concurrency=2)]) == 5


async def _results(source: Any) -> int:
    async with aiospawn.map(source, concurrency=2) as results:
        return len([result async for result in results])


async def test_timeout_while_it_waits_for_room() -> None:
    """A scope of the source's cancels the task that asks it: the source is told of that where it waits to be asked."""

    async def commands() -> AsyncIterator[list[str]]:
        async with asyncio.timeout(0.05):
            while True:
                yield _SLEEP

    async def with_a_group() -> AsyncIterator[list[str]]:
        async def failing() -> None:
            await asyncio.sleep(0.05)
            raise ZeroDivisionError

        async with asyncio.TaskGroup() as group:
            group.create_task(failing())
            while True:
                yield _SLEEP

    async def that_goes_on() -> AsyncIterator[list[str]]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                while True:
                    yield ["sleep", "0.2"]
        yield ["true"]

    with pytest.raises(TimeoutError):
        await _results(commands())
    with pytest.raises(ExceptionGroup) as raised:
        await _results(with_a_group())
    assert [type(error) for error in raised.value.exceptions] == [ZeroDivisionError]
    assert await _results(that_goes_on()) >= 3
    assert not fresh.children()


async def test_that_is_cancelled() -> None:
    """It is no end of the source, which would be silent."""

    class Commands:
        def __aiter__(self) -> Self:
            return self

        async def __anext__(self) -> list[str]:
            raise asyncio.CancelledError("by itself")

    with pytest.raises(asyncio.CancelledError, match="by itself"):
        await _results(Commands())


async def test_each_with_a_timeout() -> None:
    """However often it is cancelled, no command is lost, and no more run at a time."""
    most = 0

    async def commands() -> AsyncIterator[list[str]]:
        nonlocal most
        for _ in range(5):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    yield ["sleep", "0.1"]
            most = max(most, len(fresh.children()))

    async with aiospawn.map(commands(), concurrency=1) as results:
        assert [result.number async for result in results if result.ok] == [*range(5)]
    assert most <= 1


@pytest.mark.parametrize("halt", ["soon,fail=1", "now,fail=1"])
async def test_halted_behind_a_timeout(halt: str, tmp_path: pathlib.Path) -> None:
    """A source that goes on to wait, having had its timeout, is not waited for."""
    closed = False

    async def commands() -> AsyncIterator[list[str]]:
        nonlocal closed
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                while True:
                    yield ["sh", "-c", 'while [ ! -e "$0" ]; do sleep 0.01; done; exit 1', str(tmp_path / "flag")]
        try:
            (tmp_path / "flag").touch()
            await asyncio.Event().wait()
        finally:
            closed = True

    async with aiospawn.map(commands(), concurrency=1, halt=halt) as results:
        assert [result.returncode async for result in results] == [1]
    assert closed


async def test_that_answers_at_once() -> None:
    """Its method is no coroutine: the second argument of anext() makes a crash of that (python/cpython#128078)."""

    class Commands:
        left = 3

        def __aiter__(self) -> Self:
            return self

        def __anext__(self) -> asyncio.Future[list[str]]:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
            answer.set_result(["true"])
            return answer

    assert await _results(Commands()) == 3


async def test_closed_from_within() -> None:
    """It waited for the task that had called it."""

    async def commands() -> AsyncIterator[list[str]]:
        yield _SLEEP
        await results.aclose()
        closed.append(len(fresh.children()))
        await asyncio.sleep(1000)

    closed: list[int] = []
    results = aiospawn.map(commands(), concurrency=2, grace=0.1)
    assert [result async for result in results] == []
    while not closed or len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.001)
    assert closed == [0]
