"""The commands of an asynchronous source, for a map whose children have no task of their own."""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING, Any

from .waiting import wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from .source import Source

__all__ = ["Puller"]


class Puller:
    """Waits for the next command when one can be launched: one task for all of them, so that no two wait at a time."""

    def __init__(
        self,
        source: Source,
        room: Callable[[], int],
        launch: Callable[[Any], object],
        fail: Callable[[BaseException], object],
        end: Callable[[], object],
    ) -> None:
        """`launch` is called with each command, while there is `room`; `end` when there are no more.

        `fail` is called with a cancellation that is the source's: it is no failure of a task.
        """
        self._source = source
        self._room = room
        self._launch = launch
        self._fail = fail
        self._end = end
        self._waiter: asyncio.Future[None] | None = None  # for room

    async def pull(self) -> None:
        """Until the source has no more, fails or is stopped. Raises what the source raises."""
        try:
            await self._pull()
        except asyncio.CancelledError as error:
            if not self._source.stopped:
                self._fail(error)
            raise
        finally:
            self._source.is_over = True
            self._end()

    async def _pull(self) -> None:
        source = self._source
        held: collections.deque[Any] = collections.deque()  # taken where there was no room
        is_over = False
        while held or not is_over:
            cancelled = await self._cancelled_before_room()
            if source.stopped:
                return
            if cancelled is not None or not held:
                try:
                    found, command = await source.pulled(cancelled)
                finally:
                    has_room, cancelled = cancelled is None, None  # whose traceback refers to this
                is_over = not found
                held.extend([command] if found else [])
            else:
                has_room = True
            if has_room and held and not source.stopped:
                self._launch(held.popleft())

    async def _cancelled_before_room(self) -> asyncio.CancelledError | None:
        """Waits for room. Returns a cancellation by a timeout or a task group of the source's, which has this task."""
        try:
            await self._until_room()
        except asyncio.CancelledError as error:
            if self._source.stopped:
                raise
            return error
        return None

    async def _until_room(self) -> None:
        while self._room() <= 0 and not self._source.stopped:
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            self._source.wake_for_room(waiter)
            await waiter

    def wake(self) -> None:
        """There may be room."""
        wake(self._waiter)
