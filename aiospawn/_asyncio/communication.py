# ruff: noqa: SLF001 - asyncio's
"""`communicate` without a task for each stream: what is read stays in the streams' buffers until all of it is there."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .stream_protocol import Resumed

__all__ = ["is_possible", "outputs"]


_KEEPER = "_wait_for_data"


async def _refuse(function: str) -> None:
    """As asyncio's streams, where two coroutines wait for the data of one."""
    raise RuntimeError(f"{function}() called while another coroutine is already waiting for incoming data")


def is_possible(resumed: Resumed | None, readers: list[Any]) -> bool:
    """Is what it waits for still to come, or here, and does nobody else wait for data?"""
    return not [
        reader
        for reader in readers
        if reader._waiter is not None or _KEEPER in reader.__dict__ or not (resumed is not None or reader._eof)
    ]


async def outputs(
    resumed: Resumed | None, readers: list[Any], loop: asyncio.AbstractEventLoop, feed: Callable[[], Awaitable[None]] | None
) -> list[bytes]:
    """All that one process writes, when it has exited: meanwhile its streams have no limit, and no other reader.

    Interrupted, or cancelled, it leaves in the streams what was read.

    Args:
        resumed: The calls of the protocol; None when they have all been made.
        readers: The streams.
        loop: The running one.
        feed: Writes the input; None where there is none.

    Returns:
        The bytes of each stream, whose buffer is empty then.
    """
    limits = [reader._limit for reader in readers]
    try:
        for reader in readers:
            reader._limit = sys.maxsize
            reader._wait_for_data = _refuse
            if reader._paused:
                reader._maybe_resume_transport()
        if feed is not None:
            await feed()
        while not (resumed is None or resumed.is_read_out() or _failed(readers)):
            if resumed.communication is not None:  # of another coroutine, where only an input is written
                await asyncio.wait([resumed.communication])
                continue
            resumed.communication = loop.create_future()
            try:
                await resumed.communication
            finally:
                resumed.communication = None
        for reader in _failed(readers):
            raise reader._exception
        return [_taken(reader._buffer) for reader in readers]
    finally:
        for reader, limit in zip(readers, limits, strict=True):
            reader._limit = limit
            reader.__dict__.pop(_KEEPER, None)
            if len(reader._buffer) > 2 * limit and not reader._eof:
                reader._paused = True
                reader._transport.pause_reading()


def _failed(readers: list[Any]) -> list[Any]:
    return [reader for reader in readers if reader._exception is not None]


def _taken(buffer: bytearray) -> bytes:
    data = bytes(buffer)
    buffer.clear()
    return data
