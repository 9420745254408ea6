"""Lines of an asyncio stream, whatever their length."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from typing import TYPE_CHECKING, Any

from .line_splitter import LineSplitter

if TYPE_CHECKING:
    from aiospawn._asyncio.process import Process

    from .results import Text

__all__ = ["LineReader", "end_unread"]

_BLOCK = 64 * 1024  # bytes of one read; the stream stops reading the pipe when twice as much waits


class LineReader:
    """Lines of a stream, in bytes or text."""

    __slots__ = ("_empty", "_lines", "_splitter", "_stream")

    def __init__(self, stream: asyncio.StreamReader, mode: Text | None) -> None:
        self._stream = stream
        self._splitter = LineSplitter(mode)
        self._empty: Any = b"" if mode is None else ""
        self._lines: collections.deque[Any] = collections.deque()

    async def readline(self) -> Any:
        """The next line, with its end, which the last may lack; empty when there is none."""
        while not self._lines:
            data = await self._stream.read(_BLOCK)
            self._lines.extend(self._splitter.lines(data) if data else self._splitter.rest())
            if not data and not self._lines:
                return self._empty
        return self._lines.popleft()

    async def read(self, size: int = -1) -> Any:
        """So many bytes or characters, fewer at the end; all there are if it is negative."""
        parts = []
        length = 0
        while size < 0 or length < size:
            part = await self.readline() if size < 0 else await self._some(size - length)
            if not part:
                break
            parts.append(part)
            length += len(part)
        return self._empty.join(parts)

    async def _some(self, size: int) -> Any:
        part = await self.readline()
        if len(part) > size:
            self._lines.appendleft(part[size:])
        return part[:size]

    async def discard(self) -> None:
        """Reads to the end, for nobody; or leaves that to another task, which reads already."""
        with contextlib.suppress(OSError, RuntimeError):
            while await self._stream.read(_BLOCK):
                pass


async def end_unread(process: Process, reader: LineReader, exc: BaseException | None) -> None:
    """`Process.end`, where nobody wants the output any more. It is read, for a process that waits in a write may not end."""
    if process.abandoned(exc):
        return
    reading = asyncio.get_running_loop().create_task(reader.discard())
    try:
        await process.end(exc=exc)
    finally:
        reading.cancel()
