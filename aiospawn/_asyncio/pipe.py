"""What the parent's ends of a child's standard streams have in common, as asyncio transports on the reactor.

The native part owns the descriptors: it reads what the child writes, and closes an end whose end of file was reported.
Only who
asks for the pipe itself (`get_extra_info("pipe")`, `_pipe`) makes a file of it, which is the owner from then on; closing
that file closes the stream.
"""

from __future__ import annotations

import asyncio
import functools
import io
import operator
from typing import TYPE_CHECKING, Any, Protocol

from aiospawn._binding.indivisible import in_one, mark

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from aiospawn._binding.native import Native

    from .stream_protocol import Resumed

__all__ = ["Owner", "Pipe", "StreamPassedOn"]


class Owner(Protocol):
    """The process a pipe belongs to."""

    native: Native
    token: int
    context: contextvars.Context
    immediate: bool
    """Are events handled at once, without a callback of the loop, since only asyncio's own streams receive them?"""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def get_protocol(self) -> asyncio.BaseProtocol: ...

    resumed: Resumed | None
    """asyncio's own streams, where they are what is called."""

    def pipe_lost(self, stream: int) -> None: ...
    def rest_if_paused(self) -> None: ...
    def pipe_resumed(self) -> None: ...
    def soon(self, callback: Callable[[], None]) -> None: ...


class _PipeFile(io.FileIO):
    """The pipe as a file. The set must be left before the number is free to mean another file."""

    _leave: Any = None

    def close(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None
        super().close()


class StreamPassedOn(asyncio.Protocol):
    """The calls of a pipe's own protocol, passed on to the process's protocol with the stream's number."""

    __slots__ = ("_owner", "_stream")

    def __init__(self, owner: Owner, stream: int) -> None:
        self._owner = owner
        self._stream = stream

    def data_received(self, data: bytes) -> None:
        self.call("data_received", data)()

    def connection_lost(self, exc: Exception | None) -> None:
        self.call("connection_lost", exc)()

    def pause_writing(self) -> None:
        self.call("pause_writing")()

    def resume_writing(self) -> None:
        self.call("resume_writing")()

    def call(self, what: str, *args: Any) -> Callable[[], object]:
        """The call of the process's protocol, with nothing of ours in between."""
        if args:
            return functools.partial(operator.methodcaller(f"pipe_{what}", self._stream, *args), self._owner.get_protocol())
        return functools.partial(operator.methodcaller(what), self._owner.get_protocol())


class Pipe(asyncio.BaseTransport):
    """What reading and writing ends have in common."""

    # No __slots__: programs hang attributes on transports, and read the private ones below.
    _MODE: str

    _file: _PipeFile | None = None
    _closing = False
    _ended = False  # the descriptor is closed, and what follows is posted or made
    _loss: Exception | None = None
    _lost = False  # the protocol was called
    _over = False  # and the process

    def __init__(self, owner: Owner, stream: int) -> None:
        self._extra: dict[str, Any] = {}  # as asyncio.BaseTransport has it
        self._owner = owner
        self._stream = stream
        self._protocol: Any = StreamPassedOn(owner, stream)  # None at the end, as in asyncio

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

    @property
    def is_paused(self) -> bool:
        """Is it open, and not read on purpose?"""
        return False

    def forget(self) -> None:
        """The program never ran: the protocol gets no call."""
        self._closing = self._ended = self._lost = self._over = True

    # Resumable, each of these: interrupted anywhere it may be called again (`_indivisible`).

    def _left(self) -> None:
        """The file is being closed, by the transport or by the program that asked for it."""
        self._owner.native.shut(self._owner.token, self._stream)
        self._closing = True
        self._tell_soon()

    def _end(self, exc: Exception | None) -> None:
        """Closes at once, and calls the protocol soon."""
        if self._ended or self._lost:
            return
        if self._loss is None:
            self._loss = exc
        self._closing = True
        self._owner.native.shut(self._owner.token, self._stream)
        if self._file is not None:
            self._file.close()
        self._tell_soon()

    def _tell_soon(self) -> None:
        if not self._ended:
            self._soon(self._lose)
            self._ended = True

    def _soon(self, callback: Callable[[], None]) -> None:
        """Makes a resumable callback soon, again until it returns."""
        if not self._over:
            self._owner.soon(callback)

    def _tell(self, done: Callable[[], object], what: str, *args: Any) -> None:
        """A call of the protocol, once: `done` marks that it was made. Not for asyncio's own streams (`_resumed`)."""
        if type(self._protocol) is StreamPassedOn:
            in_one(done, self._protocol.call(what, *args))
        else:
            in_one(done, functools.partial(operator.methodcaller(what, *args), self._protocol))

    def _resumed(self) -> Resumed | None:
        """asyncio's own streams, where they are called for this pipe."""
        return self._owner.resumed if type(self._protocol) is StreamPassedOn else None

    def _lose(self) -> None:
        if self._over:
            return
        try:
            if self._lost:
                pass
            elif (resumed := self._resumed()) is None:
                self._tell(mark(self, "_lost", value=True), "connection_lost", self._loss)
            else:
                resumed.pipe_connection_lost(self._stream, self._loss)
                self._lost = True
        finally:
            if self._lost:
                self._let_go()

    def _let_go(self) -> None:
        if self._over:  # by a loop within what the protocol does
            return
        # The process holds its pipes: if they held it for ever, only the garbage collector would free both.
        self._protocol = None
        self._owner.pipe_lost(self._stream)
        self._over = True
        self.__dict__.pop("_owner", None)  # a thread that asks for the stream in this moment may have done it
