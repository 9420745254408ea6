"""The lease of a loop's trees: renewed as long as the loop runs, and by nothing else."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import weakref

    from aiospawn._binding.native import Native

__all__ = ["Lease"]

_NOBODYS = contextvars.Context()


class Lease:
    """Renews three times within the shortest of the leases that are kept, by a timer of the loop."""

    __slots__ = ("__weakref__", "_due", "_kept", "_loop", "_native", "_timer")

    def __init__(self, loop: weakref.ref[asyncio.AbstractEventLoop], native: Native) -> None:
        self._loop = loop
        self._native = native
        self._kept: dict[int, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # by the loop's clock

    def keep(self, token: int, seconds: float) -> None:
        """For the tree of this child, whose launch has renewed it just now."""
        self._kept[token] = seconds
        loop = self._loop()
        if loop is not None:
            now = loop.time()
            if self._timer is None or not now <= self._due <= now + seconds / 3:
                self._set_timer()

    def drop(self, token: int) -> None:
        """Nothing happens where none was kept. The timer runs out where none is kept any more."""
        self._kept.pop(token, None)

    def close(self) -> None:
        self._kept.clear()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def look(self) -> None:
        """An interrupt may have struck where the loop had taken the timer and not called it."""
        loop = self._loop()
        if self._kept and loop is not None and loop.time() > self._due:
            self._renew()

    def _renew(self) -> None:
        if self._kept and not self._native.dead:
            self._set_timer()
            self._native.renew_lease()
        else:
            self._timer = None

    def _set_timer(self) -> None:
        loop = self._loop()
        if loop is None or loop.is_closed():
            return
        due = loop.time() + min(self._kept.values()) / 3
        before, self._timer = self._timer, _NOBODYS.run(loop.call_at, due, self._renew)
        self._due = due
        if before is not None:
            before.cancel()
