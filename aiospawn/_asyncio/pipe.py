"""What the parent's ends of a child's standard streams have in common, as asyncio transports on the reactor.

The native part owns the descriptors: it reads what the child writes, and closes an end that has told its last. Only who
asks for the pipe itself (`get_extra_info("pipe")`, `_pipe`) makes a file of it, which is the owner from then on; closing
that file closes the stream.
"""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import contextvars

    from aiospawn._binding.native import Native

__all__ = ["Owner", "Pipe"]


class Owner(Protocol):
    """The process a pipe belongs to."""

    native: Native
    token: int
    context: contextvars.Context
    immediate: bool
    """Is what happens told at once, since only asyncio's own streams hear of it?"""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def get_protocol(self) -> asyncio.BaseProtocol: ...
    def pipe_lost(self) -> None: ...


class _PipeFile(io.FileIO):
    """The pipe as a file. The set must be left before the number is free to mean another file."""

    _leave: Any = None

    def close(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
        super().close()


class _StreamProtocol(asyncio.Protocol):
    """What a pipe's own protocol hears, passed on to the process's protocol with the stream's number."""

    __slots__ = ("_owner", "_stream")

    def __init__(self, owner: Owner, stream: int) -> None:
        self._owner = owner
        self._stream = stream

    def data_received(self, data: bytes) -> None:
        self._owner.get_protocol().pipe_data_received(self._stream, data)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.get_protocol().pipe_connection_lost(self._stream, exc)  # type: ignore[attr-defined]

    def pause_writing(self) -> None:
        self._owner.get_protocol().pause_writing()

    def resume_writing(self) -> None:
        self._owner.get_protocol().resume_writing()


class Pipe(asyncio.BaseTransport):
    """What reading and writing ends have in common."""

    # No __slots__: programs hang attributes on transports, and read the private ones below.
    _MODE: str

    _file: _PipeFile | None = None
    _closing = False
    _ended = False
    _lost = False

    def __init__(self, owner: Owner, stream: int) -> None:
        super().__init__()
        self._owner = owner
        self._stream = stream
        self._protocol: Any = _StreamProtocol(owner, stream)  # None at the end, as in asyncio

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<{type(self).__name__} stream={self._stream} {state}>"

    @property
    def pipe(self) -> Pipe:
        """What `transport._pipes[fd].pipe` is in asyncio."""
        return self

    @property
    def _pipe(self) -> io.FileIO | None:
        if self._file is None and not self._closing:
            try:
                number = self._owner.native.disown(self._owner.token, self._stream)
            except OSError:  # ended, or the parent's in a fork
                return None
            self._file = _PipeFile(number, self._MODE)
            self._file._leave = self._left  # noqa: SLF001 - its maker
        return self._file

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`"pipe"`: the pipe as an unbuffered binary file, non-blocking."""
        if name == "pipe":
            return self._pipe or default
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not self._lost:
            self._owner.immediate = False
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol  # type: ignore[no-any-return]

    def is_closing(self) -> bool:
        return self._closing

    def forget(self) -> None:
        """The program never ran: nobody is told anything."""
        self._closing = self._ended = self._lost = True

    def _left(self) -> None:
        """The file is being closed, by us or by whoever asked for it."""
        self._owner.native.shut(self._owner.token, self._stream)
        self._end(None)

    def _close_descriptor(self) -> None:
        if self._file is not None:
            self._file.close()
        else:
            self._owner.native.shut(self._owner.token, self._stream)

    def _end(self, exc: Exception | None) -> None:
        """Closes at once, and tells the protocol soon."""
        if self._ended:
            return
        self._closing = self._ended = True
        self._close_descriptor()
        self._post(self._lose, exc)

    def _post(self, callback: Any, *args: Any) -> None:
        owner = self._owner
        if not owner.native.dead and not owner.loop.is_closed():
            owner.context.run(owner.loop.call_soon, callback, *args)

    def _lose(self, exc: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        try:
            self._protocol.connection_lost(exc)
        finally:
            owner = self._owner
            # The process holds its pipes: if they held it for ever, only the garbage collector would free both.
            self._protocol = None
            del self._owner
            owner.pipe_lost()
