"""The commands of a map on a cluster, read as its agents have room for them.

What was taken from the source and not yet handed to the caller is bounded by what all agents are to have in hand: twice
that, four times where results come in the order of the commands. At that bound the source waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiospawn._commands.command import arguments
from aiospawn._commands.command_value import Command

from .job import Job
from .travel import check_own

if TYPE_CHECKING:
    from .dispatcher import Dispatcher

__all__ = ["Intake"]

_END: Any = object()
_MEASURE = 0.05  # seconds between looks at how much the agents take


class Intake:
    """The source of one map."""

    def __init__(
        self,
        commands: Iterator[Any] | AsyncIterator[Any],
        dispatcher: Dispatcher,
        *,
        ordered: bool,
        shell: bool,
        failed: Callable[[Exception], object],
        changed: Callable[[], object],
    ) -> None:
        """`failed` is called with what the source raises, and for what is no command; `changed`, when it may be over."""
        self._commands = commands
        self._dispatcher = dispatcher
        self._share = 4 if ordered else 2
        self._shell = shell
        self._fail = failed
        self._changed = changed
        self._puller: asyncio.Task[None] | None = None  # of an asynchronous source
        self._window = 0
        self._measured = 0.0
        self.held_up = False
        """Whether the caller has to take results first."""
        self._has_ended = False
        self.handed = 0
        """How many results the caller has got, or will never get."""
        self.taken = 0
        """How many commands were taken, which is the number of the next."""
        self.stopped = False

    @property
    def is_over(self) -> bool:
        """Whether it gives no more commands."""
        return (self.stopped or self._has_ended) and self._puller is None

    def pull(self) -> None:
        """Takes as many commands as there is room for, and gives them away."""
        now = time.monotonic()
        if isinstance(self._commands, Iterator):
            while self._wants(now):
                self._take(self._commands)
        elif self._puller is not None:
            self._dispatcher.dispatch(now, is_dry=False)
            return
        elif self._wants(now):
            self._puller = asyncio.get_running_loop().create_task(self._pulled(self._commands))
            self._puller.add_done_callback(self._has_pulled)  # also where it was cancelled before it began
            return
        self._dispatcher.dispatch(now, is_dry=self._has_ended or not self._wants(now))

    def _wants(self, now: float) -> bool:
        if self.stopped or self._has_ended or not self._dispatcher.wanted:
            return False
        if now - self._measured >= _MEASURE or not self._window:
            self._window = self._dispatcher.in_reach * self._share
            self._measured = now
        self.held_up = self.taken - self.handed >= self._window
        return not self.held_up

    def _take(self, commands: Iterator[Any]) -> None:
        try:
            command = next(commands, _END)
            if command is _END:
                self._has_ended = True
            else:
                self._add(command)
        except Exception as error:  # noqa: BLE001 - the source's, or for what is no command: the caller gets it
            self._has_ended = True
            self._fail(error)

    def _add(self, command: Any) -> None:
        """Raises TypeError and ValueError for what is no command, or cannot be sent."""
        args, own = command, None
        if isinstance(command, Command):
            args, own = command.args, {**command.options}
            check_own(own)
        else:
            checked = arguments(command, shell=self._shell, executable=None)
            args = command if self._shell else checked
        self._dispatcher.add(Job(self.taken, command, args, own))
        self.taken += 1

    async def _pulled(self, commands: AsyncIterator[Any]) -> None:
        """Each command goes on its way at once: the next may be long in coming."""
        try:
            while self._wants(time.monotonic()):
                command = await anext(commands)
                if not self.stopped:
                    self._add(command)
                    self._dispatcher.dispatch(time.monotonic(), is_dry=False)
        except StopAsyncIteration:
            self._has_ended = True
        except asyncio.CancelledError:
            if not self.stopped:
                raise
        except Exception as error:  # noqa: BLE001 - as above
            self._has_ended = True
            self._fail(error)

    def _has_pulled(self, _: asyncio.Task[None]) -> None:
        self._puller = None
        self._changed()

    def go_on(self) -> None:
        """The caller has taken a result: there may be room."""
        self.pull()

    def stop(self) -> None:
        """Gives no more commands."""
        self.stopped = True
        if self._puller is not None:
            self._puller.cancel()

    async def aclose(self) -> None:
        """Closes an asynchronous generator, which may have something of its own to end."""
        if self._puller is not None:
            self._puller.cancel()
            await asyncio.wait([self._puller])
        if isinstance(self._commands, AsyncGenerator):
            await self._commands.aclose()
