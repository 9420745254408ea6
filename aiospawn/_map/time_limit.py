"""The time that each of several children has, which is the same for all: one timer ends those that have had it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiospawn._commands.capture import Ending

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from aiospawn._commands.plain_child import PlainChild

__all__ = ["TimeLimit"]


class TimeLimit:
    """For children that begin in the order of a mapping."""

    __slots__ = ("_children", "_loop", "_timers", "seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float | None, children: Mapping[int, PlainChild]) -> None:
        """None: there is no limit."""
        self.seconds = seconds
        self._loop = loop
        self._children = children
        self._timers: list[asyncio.TimerHandle] = []  # alike

    def begin(self, expired: Callable[[PlainChild], None]) -> None:
        """Children have begun. `expired` gets each that is being ended for its time."""
        if not self._timers and self._children:
            left = self.left(next(iter(self._children.values())))
            if left is not None:
                self._start(left, expired)

    def _start(self, delay: float, expired: Callable[[PlainChild], None]) -> None:
        for _ in range(2):  # one may be lost: a signal's handler may raise where it begins
            self._timers.append(self._loop.call_later(delay, self._on_time, expired))

    def left(self, child: PlainChild) -> float | None:
        """In seconds, at least 0; None: there is no limit."""
        return None if self.seconds is None else max(0.0, child.began + self.seconds - time.perf_counter())

    def cancel(self) -> None:
        while self._timers:
            self._timers.pop().cancel()

    def _on_time(self, expired: Callable[[PlainChild], None]) -> None:
        try:
            self.cancel()
            for child in [*self._children.values()]:
                if left := self.left(child):
                    self._start(left, expired)
                    break
                if not child.has_ended:
                    child.taken_over().interrupt(Ending.TIMED_OUT)
                    expired(child)
        except BaseException:  # a signal's handler raised
            self._loop.call_soon(self._on_time, expired)
            raise
