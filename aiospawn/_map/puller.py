"""The commands of an asynchronous source, for a map whose children have no task of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .waiting import wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from .source import Source

__all__ = ["Puller"]


class Puller:
    """Waits for the next command when one can be launched: one task for all of them, so that no two wait at a time."""

    def __init__(
        self, source: Source, room: Callable[[], int], launch: Callable[[Any], object], end: Callable[[], object]
    ) -> None:
        """`launch` is called with each command, while there is `room`; `end` when there are no more."""
        self._source = source
        self._room = room
        self._launch = launch
        self._end = end
        self._waiter: asyncio.Future[None] | None = None  # for room

    async def pull(self) -> None:
        """Until the source has no more, fails or is stopped."""
        source = self._source
        loop = asyncio.get_running_loop()
        try:
            while True:
                while self._room() <= 0 and not source.stopped:
                    self._waiter = waiter = loop.create_future()
                    source.wake_for_room(waiter)
                    await waiter
                found, command = (False, None) if source.stopped else await source.pulled()
                if not found or source.stopped:
                    return
                self._launch(command)
        finally:
            source.is_over = True
            self._end()

    def wake(self) -> None:
        """There may be room."""
        wake(self._waiter)
