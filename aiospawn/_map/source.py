"""The commands of a map, read no faster than their results are taken.

What was taken from the source and not yet handed to the caller is bounded, by the `window`. At that bound the source waits,
so a caller that is slow slows everything down.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from .arrivals import NONE_YET, Arrivals
from .waiting import wake

__all__ = ["Source"]

_END: Any = object()


class Source:
    """An iterator or asynchronous iterator over commands, which several workers take from."""

    __slots__ = (
        *("_commands", "_puller", "_turn", "_window"),
        *("handed", "held_up", "is_over", "iterator", "stopped", "taken"),
    )

    def __init__(self, commands: Iterator[Any] | AsyncIterator[Any], window: int) -> None:
        self._commands = commands
        self.iterator = commands if isinstance(commands, Iterator) else None
        """Where commands can be taken without waiting, but for the window: who takes them there counts them in `taken`."""
        self.is_over = False
        """Will the iterator give no more?"""
        self._window = window
        self._turn = asyncio.Lock()  # at an asynchronous iterator
        self._puller: asyncio.Task[None] | None = None  # the task that waits for it
        self.held_up: collections.deque[asyncio.Future[None]] = collections.deque()
        """Workers, at the bound."""
        self.handed = 0
        """How many results the caller has got, or will never get."""
        self.taken = 0
        """How many commands were taken, which is the number of the next."""
        self.stopped = False
        if isinstance(commands, Arrivals):
            commands.listener = self._wake_all

    async def take(self) -> tuple[int, Any] | None:
        """The next command with its number, once the window lets it through; None at the end and after `stop`."""
        if self.iterator is not None:
            if self.room <= 0:
                await self._let_through()
            while (command := _END if self.stopped else next(self.iterator, _END)) is NONE_YET:
                await self._woken()
                await self._let_through()
        else:
            async with self._turn:
                await self._let_through()
                found, command = (False, None) if self.stopped else await self.pulled()
            if self.stopped or not found:
                return None
        if command is _END:
            return None
        number = self.taken
        self.taken += 1
        return number, command

    @property
    def room(self) -> int:
        """How many commands the window lets through."""
        return self._window - (self.taken - self.handed)

    def wake_for_room(self, waiter: asyncio.Future[None]) -> None:
        """When there is room again, commands have come, or the source is stopped."""
        self.held_up.append(waiter)

    async def _let_through(self) -> None:
        while self.room <= 0 and not self.stopped:
            await self._woken()

    async def _woken(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self.held_up.append(waiter)
        await waiter

    async def pulled(self, thrown: BaseException | None = None) -> tuple[bool, Any]:
        """Whether an asynchronous iterator has a next command, and that. One task at a time may ask.

        `thrown` is raised where the iterator waits to be asked; only a generator has such a place.
        """
        commands: Any = self._commands
        self._puller = asyncio.current_task()
        try:
            if thrown is None:
                return True, await anext(commands)
            if not isinstance(commands, AsyncGenerator):
                raise thrown
            return True, await commands.athrow(thrown)
        except StopAsyncIteration:
            return False, None
        except asyncio.CancelledError:
            if not self.stopped:
                raise
            return False, None  # `stop` did it
        finally:
            self._puller = thrown = None

    def go_on(self) -> None:
        """There is room for one more: a worker that is held up takes it."""
        while self.held_up:
            waiter = self.held_up.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self.held_up:
            wake(self.held_up.popleft())

    def stop(self) -> None:
        """Gives no more commands, and wakes the workers that wait for one."""
        self.stopped = True
        self._wake_all()
        if self._puller is not None:
            self._puller.cancel()

    async def aclose(self) -> None:
        """Closes an asynchronous generator, which may have something of its own to end."""
        if isinstance(self._commands, AsyncGenerator):
            await self._commands.aclose()
