# ruff: noqa: SLF001 - asyncio's
"""`communicate` without a task for each stream: what is read stays in the streams' buffers until all of it is there."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from .stream_protocol import Resumed

__all__ = ["Communication"]


_KEEPER = "_wait_for_data"


async def _refuse(function: str) -> None:
    """As asyncio's streams, where two coroutines wait for the data of one."""
    raise RuntimeError(f"{function}() called while another coroutine is already waiting for incoming data")


class Communication:
    """The output streams of one process while `communicate` waits for their end: they have no limit, and no other reader.

    Interrupted, or cancelled, it leaves in the streams what was read.
    """

    __slots__ = ("_limits", "_readers", "_resumed")

    def __init__(self, resumed: Resumed | None, readers: list[Any]) -> None:
        """`resumed`: the calls of the protocol; None when they have all been made."""
        self._resumed = resumed
        self._readers = readers
        self._limits = [reader._limit for reader in readers]

    @staticmethod
    def is_possible(resumed: Resumed | None, readers: list[Any]) -> bool:
        """Is what it waits for still to come, or here, and does nobody else wait for data?"""
        return not [
            reader
            for reader in readers
            if reader._waiter is not None or _KEEPER in reader.__dict__ or not (resumed is not None or reader._eof)
        ]

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader._limit = sys.maxsize
            reader._wait_for_data = _refuse
            if reader._paused:
                reader._maybe_resume_transport()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for reader, limit in zip(self._readers, self._limits, strict=True):
            reader._limit = limit
            reader.__dict__.pop(_KEEPER, None)
            if len(reader._buffer) > 2 * limit and not reader._eof:
                reader._paused = True
                reader._transport.pause_reading()

    async def ended(self, loop: asyncio.AbstractEventLoop) -> None:
        """Waits until the process has exited and its outputs have ended. Raises what reading one failed with."""
        resumed = self._resumed
        while not (resumed is None or resumed.is_read_out() or self._has_failed()):
            if resumed.communication is not None:  # of another coroutine, where only an input is written
                await asyncio.wait([resumed.communication])
                continue
            resumed.communication = loop.create_future()
            try:
                await resumed.communication
            finally:
                resumed.communication = None
        for reader in self._readers:
            if reader._exception is not None:
                raise reader._exception

    def _has_failed(self) -> bool:
        return bool([reader for reader in self._readers if reader._exception is not None])

    @staticmethod
    def output(reader: Any) -> Any:
        """All that is in the stream's buffer, which is empty then; None where there is no stream."""
        if reader is None:
            return None
        data = bytes(reader._buffer)
        reader._buffer.clear()
        return data
