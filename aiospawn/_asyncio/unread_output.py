# ruff: noqa: SLF001 - asyncio's, and those of the child whose part this is
"""Outputs of a child that nobody has asked for yet: what is read of them is kept, and their streams are made on demand.

`communicate` needs no stream, and a program that asks for one (`Process.stdout`) gets it with all that was read before. The
native part adds to what is kept, and marks an end of file in `_open_pipes` (`plain/asyncio_child.c`).
"""

from __future__ import annotations

import asyncio
import functools
import sys
from typing import Any, TypeAlias

from aiospawn._binding.indivisible import in_one, mark

from .communication import is_taken, release, take
from .read_pipe import ReadPipe
from .stream_protocol import DEFAULT_LIMIT, StreamProtocol

__all__ = ["UNREAD_MOST", "Unread", "keep_unread", "make_streams", "read_out", "taken"]

Unread: TypeAlias = tuple[StreamProtocol, bytearray | None, bytearray | None]
"""The protocol whose streams they will be; and, by its number, what was read of each output that is a pipe."""

UNREAD_MOST = 2 * DEFAULT_LIMIT
"""Bytes of an output that are kept before its stream is made, which then pauses the pipe."""
_MOST = sys.maxsize - 1  # sys.maxsize is `communicate`'s
_NAMES = ("stdin", "stdout", "stderr")


def keep_unread(child: Any, protocol: StreamProtocol) -> None:
    """Of a child that is to be launched, and whose only pipes are outputs."""
    limit = protocol._limit
    if limit is not DEFAULT_LIMIT:
        child.unread_most = int(min(2 * limit, _MOST))  # a float will do for asyncio's streams, and an integer of any size
    open_pipes = child._open_pipes
    child.unread = protocol, bytearray() if open_pipes & 2 else None, bytearray() if open_pipes & 4 else None


def make_streams(child: Any) -> None:
    """The streams of its outputs and their pipes, with what was read. Resumable; a thread that is not the loop's may ask.

    The loop's thread adds to what is kept until `unread` is None, from then on to the streams, which have the same buffers.
    """
    unread = child.unread
    if unread is None:
        return
    protocol, pipes = unread[0], child.__dict__.setdefault("_unread_pipes", {})
    streams = [stream for stream in (1, 2) if unread[stream] is not None]
    for stream in streams:
        pipe = pipes.setdefault(stream, ReadPipe(child, stream))
        if _NAMES[stream] not in protocol.__dict__:  # two threads may be here: one reader is that of both
            protocol.__dict__.setdefault(_NAMES[stream], _reader(child, protocol, pipe, unread[stream]))
    protocol._pipe_fds = streams[:]
    for _ in range(2):  # what ends in between, `communicate` too, is seen the second time
        for stream in streams:
            if not child._open_pipes & 1 << stream:
                _conclude(protocol, stream, pipes[stream])
        if child.unread_most != sys.maxsize:  # `communicate` has left while they were made
            readers = [getattr(protocol, _NAMES[stream]) for stream in streams]
            release([each for each in readers if is_taken(each)], protocol._limit)
        # In one: pipes that are there are not asked for again, and must not be those of outputs that are still kept.
        in_one(functools.partial(child.__dict__.__setitem__, "_pipes", pipes), mark(child, "unread", None))


def _reader(child: Any, protocol: Any, pipe: ReadPipe, read: bytearray | None) -> asyncio.StreamReader:
    reader: Any = asyncio.StreamReader(limit=protocol._limit, loop=protocol._loop)
    reader.set_transport(pipe)
    reader._buffer = read
    if child.unread_most == sys.maxsize:  # `communicate` is reading
        take(reader)
    return reader  # type: ignore[no-any-return]


def _conclude(protocol: Any, stream: int, pipe: ReadPipe) -> None:
    pipe.ended_unread()
    getattr(protocol, _NAMES[stream])._eof = True
    if stream in protocol._pipe_fds:
        protocol._pipe_fds.remove(stream)


async def read_out(child: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Waits until it has exited and its outputs have ended, which have no limit meanwhile; or until their streams are made.

    Cancelled, or where streams are made meanwhile, it leaves in these, or where it was kept, what was read.
    """
    resumed, (protocol, *_), most = child.resumed, child.unread, child.unread_most
    if resumed.communication is not None:  # of another coroutine
        make_streams(child)
        return
    future = resumed.communication = loop.create_future()
    try:
        child.unread_most = sys.maxsize
        await future
    finally:
        child.unread_most = most
        resumed.communication = None
        if child.unread is None:
            release([each for each in (protocol.stdout, protocol.stderr) if each is not None], protocol._limit)
        elif [each for each in child.unread[1:] if each is not None and len(each) > most] and child.resumed is not None:
            make_streams(child)
            release([each for each in (protocol.stdout, protocol.stderr) if each is not None], protocol._limit)


def taken(child: Any, stream: int) -> bytes | None:
    """What was read of an output, once: it is kept no more. None where it is no pipe."""
    buffer: bytearray | None = child.unread[stream]
    if buffer is None:
        return None
    data = bytes(buffer)
    buffer.clear()
    return data
