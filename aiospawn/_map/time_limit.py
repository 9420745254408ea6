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

    __slots__ = ("_children", "_loop", "_timer", "seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float | None, children: Mapping[int, PlainChild]) -> None:
        """None: there is no limit."""
        self.seconds = seconds
        self._loop = loop
        self._children = children
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, expired: Callable[[PlainChild], None]) -> None:
        """A child has begun. `expired` gets each that is being ended for its time."""
        if self._timer is None and self.seconds is not None:
            self._timer = self._loop.call_later(self.seconds, self._on_time, expired)

    def left(self, child: PlainChild) -> float | None:
        """In seconds, at least 0; None: there is no limit."""
        return None if self.seconds is None else max(0.0, child.began + self.seconds - time.perf_counter())

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _on_time(self, expired: Callable[[PlainChild], None]) -> None:
        try:
            self._timer = None
            for child in [*self._children.values()]:
                if left := self.left(child):
                    self._timer = self._loop.call_later(left, self._on_time, expired)
                    break
                if not child.has_ended:
                    child.taken_over().interrupt(Ending.TIMED_OUT)
                    expired(child)
        except BaseException:  # a signal's handler raised
            self._loop.call_soon(self._on_time, expired)
            raise
