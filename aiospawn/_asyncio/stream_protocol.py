# ruff: noqa: SLF001 - asyncio's
"""The protocol behind a Process's streams, and which protocols only record what they are called with."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import collections
import functools
from typing import TYPE_CHECKING, Any

from aiospawn._binding.indivisible import in_one

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_LIMIT", "Resumed", "StreamProtocol", "check_limit", "only_notes"]

DEFAULT_LIMIT: int = asyncio.streams._DEFAULT_LIMIT  # type: ignore[attr-defined]


class StreamProtocol(asyncio.subprocess.SubprocessStreamProtocol):
    """asyncio's, whose `wait` waits for the exit alone: up to some 3.13 its `wait` waits for a grandchild's pipe as well."""

    exit_waiters: tuple[asyncio.Future[None], ...] = ()
    """Of a child of the loop's own implementation."""

    # What asyncio's have of their own from the start is made here where it is asked for: few children need all of it.
    stdin: asyncio.StreamWriter | None = None
    stdout: asyncio.StreamReader | None = None
    stderr: asyncio.StreamReader | None = None
    _transport: Any = None
    _process_exited = _paused = _connection_lost = False

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self._limit = limit
        self._loop = loop

    @functools.cached_property
    def _pipe_fds(self) -> list[int]:
        return []

    @functools.cached_property
    def _drain_waiters(self) -> collections.deque[asyncio.Future[None]]:
        return collections.deque()

    @functools.cached_property
    def _stdin_closed(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    def process_exited(self) -> None:
        """Resumable: the transport calls it again when it was interrupted."""
        if self._transport is not None:
            super().process_exited()
        for waiter in self.exit_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.exit_waiters = ()


def check_limit(limit: Any) -> None:
    """Of a stream's buffer, in bytes. asyncio looks at it where it makes the stream, when the program runs already."""
    try:
        is_possible = limit > 0
    except TypeError:
        raise TypeError(f"limit must be a number of bytes, not {limit!r}") from None
    if not is_possible:
        raise ValueError(f"limit must be more than 0 bytes, got {limit!r}")


def only_notes(protocol: Any) -> bool:
    """Does it run nobody else's code, and raise nothing? A subclass of these may do anything.

    A method of asyncio's that a program replaces, in the class or in one protocol, is not looked for: some of them are not
    called.
    """
    if type(protocol) not in _NOTING:
        return False
    if protocol._limit is DEFAULT_LIMIT:
        return True
    try:
        check_limit(protocol._limit)
    except (TypeError, ValueError):  # it is raised where the streams are made, as on asyncio
        return False
    return True


_NOTING = (StreamProtocol, asyncio.subprocess.SubprocessStreamProtocol)


def _wake(reader: asyncio.StreamReader) -> None:
    """As the reader's own, which forgets the future before it is done: interrupted between the two, nobody would wake it."""
    waiter = reader._waiter  # type: ignore[attr-defined]
    if waiter is not None:
        if not waiter.done():
            waiter.set_result(None)
        reader._waiter = None  # type: ignore[attr-defined]


class Resumed:
    """The calls of a protocol that `only_notes`, each resumable: done again after an interruption, in asyncio's code too.

    Only asyncio's private attributes say what each has done before.
    """

    __slots__ = ("_protocol", "communication")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self.communication: asyncio.Future[None] | None = None
        """Done when the process has exited and its outputs have ended, or reading one of them has failed."""

    def connection_made(self, transport: Any) -> None:
        """It makes new streams, before anything is fed. Its last is stdin, and another would close the first as garbage."""
        if not transport._open_pipes or transport.unread is not None:  # asyncio's asks for each
            self._protocol._transport = transport
        elif self._protocol.stdin is None:
            self._protocol._pipe_fds.clear()
            self._protocol.connection_made(transport)

    def pipe_data_received(self, stream: int, data: bytes, taken: Callable[[], object]) -> None:
        """`taken` marks that the data is in the stream's buffer; interrupted behind it, `data_taken` does the rest."""
        reader = self._protocol.stdout if stream == 1 else self._protocol.stderr
        if reader is not None:
            in_one(taken, functools.partial(reader._buffer.extend, data))
            self.data_taken(stream)

    def data_taken(self, stream: int) -> None:
        """As `StreamReader.feed_data`, behind its first step."""
        reader = self._protocol.stdout if stream == 1 else self._protocol.stderr
        if reader is None or not reader._buffer:  # read since: a reader that waits would take an empty chunk for the end
            return
        _wake(reader)
        if len(reader._buffer) > 2 * reader._limit:
            # This order: a reader that knows resumes a pipe that is not paused, which is harmless, where the other way
            # round nobody would resume it.
            reader._paused = True
            reader._transport.pause_reading()

    def pipe_connection_lost(self, stream: int, exc: Exception | None) -> None:
        protocol = self._protocol
        if stream == 0:
            if not protocol._stdin_closed.done():
                protocol.pipe_connection_lost(0, exc)
            protocol._stdin_closed._log_traceback = False
        elif protocol._transport is not None:
            reader = protocol.stdout if stream == 1 else protocol.stderr
            if exc is None and reader is not None:
                self._output_ended(protocol, stream, reader)
            else:
                protocol.pipe_connection_lost(stream, exc)
        if self.communication is not None and ((stream and exc is not None) or self.is_read_out()):
            self._conclude_communication()

    def _output_ended(self, protocol: Any, stream: int, reader: Any) -> None:
        """As the protocol's `pipe_connection_lost`."""
        reader._eof = True
        if reader._waiter is not None:
            _wake(reader)
        if stream in protocol._pipe_fds:
            protocol._pipe_fds.remove(stream)
        if protocol._process_exited and not protocol._pipe_fds:
            self._close_transport(protocol)

    def process_exited(self) -> None:
        """As the protocol's own."""
        protocol = self._protocol
        protocol._process_exited = True
        if self.is_read_out():
            self._close_transport(protocol)
            self._conclude_communication()

    def ended(self) -> None:
        """`process_exited` and `connection_lost`, where no pipe is open: the transport has nothing to close."""
        protocol = self._protocol
        protocol._process_exited = protocol._connection_lost = True
        if protocol._transport is not None:
            protocol._transport._closed = True
            protocol._transport = None
        if self.communication is not None:
            self._conclude_communication()
        if protocol._paused:
            protocol.connection_lost(None)  # there may be writers that wait

    def _close_transport(self, protocol: Any) -> None:
        transport = protocol._transport
        if transport is not None:
            transport.close()
            protocol._transport = None

    def is_read_out(self) -> bool:
        """Has the process exited, and have its outputs ended?"""
        protocol = self._protocol
        transport = protocol._transport
        if transport is not None and transport.unread is not None:
            return protocol._process_exited and not transport._open_pipes
        return protocol._process_exited and not protocol._pipe_fds

    def _conclude_communication(self) -> None:
        if self.communication is not None and not self.communication.done():
            self.communication.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_transport(self._protocol)  # unless that was done at its last stream's end: there may be none
        self._conclude_communication()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        if not self._protocol._paused:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol._paused = True
        self._protocol.resume_writing()
