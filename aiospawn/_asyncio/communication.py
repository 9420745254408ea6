# ruff: noqa: SLF001 - asyncio's
"""`communicate` without a task for each stream: what is read stays in the streams' buffers until all of it is there."""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .stream_protocol import Resumed
    from .transport import SubprocessTransport

__all__ = ["are_read_elsewhere", "is_possible", "is_taken", "outputs", "release", "take"]

_KEEPER = "_wait_for_data"
_READING = ("read", "readuntil", "readexactly")  # and readline, which calls one of them


async def _refuse(function: str) -> None:
    """As asyncio's streams, where two coroutines wait for the data of one."""
    raise RuntimeError(f"{function}() called while another coroutine is already waiting for incoming data")


async def _read_nothing(stream: Any, function: str, *args: Any) -> Any:
    """A method of a stream whose data is another coroutine's: as it is without any."""
    data, stream._buffer = stream._buffer, bytearray()
    try:  # it waits for nothing: `_refuse` raises
        return await getattr(type(stream), function)(stream, *args)
    finally:
        stream._buffer = data


def take(reader: Any) -> None:
    """The stream's data is `communicate`'s: there is no limit, and who else reads it is refused, until `release`."""
    reader._limit = sys.maxsize
    for function in _READING:
        setattr(reader, function, functools.partial(_read_nothing, reader, function))
    reader._wait_for_data = _refuse


def is_taken(reader: Any) -> bool:
    return _KEEPER in reader.__dict__


async def are_read_elsewhere(*readers: Any) -> bool:
    """Does another coroutine communicate? What is in the buffers is that one's. Raises RuntimeError where more may come."""
    read = [reader for reader in readers if reader is not None and is_taken(reader)]
    if [reader for reader in read if not reader._eof]:
        await _refuse("read")
    return bool(read)


def is_possible(transport: SubprocessTransport, protocol: Any, stdout: Any, stderr: Any) -> bool:
    """Are the streams the protocol's, is what is waited for still to come, or here, and does nobody else wait for data?

    Not in debug mode, where asyncio logs what it does in between.
    """
    if stdout is not protocol.stdout or stderr is not protocol.stderr or transport.loop.get_debug():
        return False
    has_ended = transport.resumed is None
    if has_ended and transport.get_returncode() is None:
        return False
    return not [
        reader
        for reader in (stdout, stderr)
        if reader is not None and (reader._waiter is not None or is_taken(reader) or (has_ended and not reader._eof))
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
            take(reader)
            if reader._paused:
                reader._maybe_resume_transport()
        if feed is not None:
            await feed()
        while not (resumed is None or resumed.is_read_out() or [each for each in readers if each._exception is not None]):
            if resumed.communication is not None:  # of another coroutine, where only an input is written
                await asyncio.wait([resumed.communication])
                continue
            resumed.communication = loop.create_future()
            try:
                await resumed.communication
            finally:
                resumed.communication = None
            break
        for reader in readers:
            if reader._exception is not None:
                raise reader._exception
        return [_taken(reader._buffer) for reader in readers]
    finally:
        for reader, limit in zip(readers, limits, strict=True):
            release([reader], limit)


def release(readers: list[Any], limit: int) -> None:
    """They have this limit from now on, and may be read by everybody."""
    for reader in readers:
        reader._limit = limit
        for function in (*_READING, _KEEPER):
            reader.__dict__.pop(function, None)
        if len(reader._buffer) > 2 * limit and not reader._eof:
            reader._paused = True
            reader._transport.pause_reading()


def _taken(buffer: bytearray) -> bytes:
    data = bytes(buffer)
    buffer.clear()
    return data
