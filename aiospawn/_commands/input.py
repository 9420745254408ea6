"""What a child is to read from its standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

__all__ = ["Input"]


class Input:
    """What is not written yet, and whether more is to come."""

    __slots__ = ("_loop", "_written", "has_more", "unwritten")

    def __init__(self, loop: asyncio.AbstractEventLoop, data: Any, *, has_more: bool) -> None:
        self._loop = loop
        self._written: asyncio.Future[None] | None = None  # for the task that feeds the child
        self.unwritten = memoryview(data)
        self.has_more = has_more

    async def next_write(self) -> None:
        """Waits until all is written, or the input is closed."""
        self._written = self._loop.create_future()
        try:
            await self._written
        finally:
            self._written = None

    def report_written(self) -> None:
        """Wakes the task that waits for it."""
        if self._written is not None and not self._written.done():
            self._written.set_result(None)
