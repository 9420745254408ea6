"""A map whose commands come by and by: what an agent on a worker runs."""

from __future__ import annotations

import asyncio
import collections
from typing import Any

import pytest

import aiospawn
from aiospawn._asyncio.lease import Lease
from aiospawn._asyncio.reactor import Reactor
from aiospawn._commands.repeated_run import RepeatedRun
from aiospawn._map.arrivals import NONE_YET, Arrivals


class _Orders:
    """Commands that are put there while the map runs."""

    def __init__(self) -> None:
        self.arrivals = Arrivals(self._take)
        self._queue: collections.deque[list[str]] = collections.deque()
        self._is_over = False
        self.asked_in_vain = 0
        self.is_waited_for = asyncio.Event()

    def _take(self) -> Any:
        if self._queue:
            return self._queue.popleft()
        if self._is_over:
            raise StopIteration
        self.asked_in_vain += 1
        self.is_waited_for.set()
        return NONE_YET

    def add(self, *commands: list[str]) -> None:
        self._queue.extend(commands)
        self.arrivals.came()

    def end(self) -> None:
        self._is_over = True
        self.arrivals.came()


@pytest.mark.parametrize("is_plain", [True, False])
async def test_later(monkeypatch: pytest.MonkeyPatch, is_plain: bool) -> None:
    """One after the other, several at once, and the end while nothing runs."""
    if not is_plain:
        monkeypatch.setattr(RepeatedRun, "is_plain", lambda _: False)
    orders = _Orders()
    async with asyncio.timeout(60), aiospawn.map(orders.arrivals, concurrency=2, stdout=-1) as results:
        first = asyncio.ensure_future(anext(results))
        await orders.is_waited_for.wait()
        orders.add(["echo", "first"])
        assert (await first).stdout == b"first\n"
        orders.add(*(["echo", str(number)] for number in range(5)))
        assert [int((await anext(results)).stdout) for _ in range(5)] == [*range(5)]
        last = asyncio.ensure_future(anext(results))
        before = orders.asked_in_vain
        await asyncio.sleep(0)
        orders.end()
        with pytest.raises(StopAsyncIteration):
            await last
        assert orders.asked_in_vain <= before + 2


@pytest.mark.parametrize("is_plain", [True, False])
async def test_stopped_while_waiting(monkeypatch: pytest.MonkeyPatch, is_plain: bool) -> None:
    """A map that is left while there is no command."""
    if not is_plain:
        monkeypatch.setattr(RepeatedRun, "is_plain", lambda _: False)
    orders = _Orders()
    async with asyncio.timeout(60), aiospawn.map(orders.arrivals, concurrency=2) as results:
        waiting = asyncio.ensure_future(anext(results, None))
        await orders.is_waited_for.wait()
        results.stop()
        assert await waiting is None


def test_one_reactor(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a loop that is not ours it stays open between two commands of a map, of which one runs at a time."""
    opened, begin = [], Reactor.__init__

    def counted(self: Reactor, *arguments: Any, **keywords: Any) -> None:
        opened.append(arguments)
        begin(self, *arguments, **keywords)

    async def mapped() -> None:
        async with aiospawn.map([["true"]] * 8, concurrency=1) as results:
            assert [result.returncode async for result in results] == [0] * 8

    monkeypatch.setattr(Reactor, "__init__", counted)
    asyncio.run(mapped())
    assert len(opened) == 1


async def test_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease of many commands has one timer, however often one of them ends."""
    timers, begin = [], Lease._set_timer

    def counted(self: Lease) -> None:
        timers.append(self)
        begin(self)

    monkeypatch.setattr(Lease, "_set_timer", counted)
    async with aiospawn.map([["true"]] * 8, concurrency=2, init=True, init_lease=900.0) as results:
        assert [result.returncode async for result in results] == [0] * 8
    assert len(timers) == 1
