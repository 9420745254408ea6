"""Input that comes while the child runs, from an asynchronous iterable."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import TYPE_CHECKING, Any

from aiospawn._termination.terminate import outlasted

from .capture import Ending

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType
    from typing import Self

    from .capture import Capture
    from .results import Text

__all__ = ["Feeding", "as_bytes"]


def as_bytes(data: Any, mode: Text | None, name: str = "input") -> Any:
    """What is written to a pipe. Raises TypeError."""
    if mode is not None:
        if not isinstance(data, str):
            raise TypeError(f"{name} must be a str in text mode, not {type(data).__name__}")
        return data.encode(mode.encoding, mode.errors)
    try:
        return memoryview(data).cast("B")
    except TypeError as exc:
        advice = ": pass text=True, or encode it" if isinstance(data, str) else ""
        raise TypeError(f"{name} must be a contiguous bytes-like object, not {type(data).__name__}{advice}") from exc


class Feeding:
    """A block in which a child is fed from `source`, if that is not None. What it raises interrupts the child (`UNFED`)."""

    __slots__ = ("_child", "_mode", "_source", "_task")

    def __init__(self, child: Capture, source: AsyncIterable[Any] | None, mode: Text | None) -> None:
        self._child = child
        self._source = source
        self._mode = mode
        self._task: asyncio.Task[None] | None = None

    def fault(self) -> BaseException:
        """What the source raised."""
        assert self._task is not None
        fault = self._task.exception()
        assert fault is not None
        return fault

    async def _feed(self, source: AsyncIterable[Any]) -> None:
        try:
            async for part in source:
                if not await self._child.feed(as_bytes(part, self._mode, "each part of input")):
                    break  # nobody reads it any more: no error, as in subprocess
        finally:
            self._child.end_input()
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    def drop(self) -> None:
        """For a caller that leaves the block by an exception from outside of it: waits for nothing."""
        if self._task is not None and not self._child.loop.is_closed():
            self._task.cancel()

    def _fed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._child.interrupt(Ending.UNFED)

    async def __aenter__(self) -> Self:
        if self._source is not None:
            self._task = self._child.loop.create_task(self._feed(self._source))
            self._task.add_done_callback(self._fed)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task = self._task
        if task is None or task.done() or self._child.loop.is_closed():
            return
        task.cancel()
        if isinstance(exc, GeneratorExit):
            return
        cancelled = await outlasted([task])
        if cancelled is not None:
            raise cancelled
