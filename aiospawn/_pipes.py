"""The parent's ends of a child's standard streams, as asyncio transports on the reactor.

The native part owns the descriptors: it reads what the child writes, and closes an end that has told its last. Only who
asks for the pipe itself (`get_extra_info("pipe")`, `_pipe`) makes a file of it, which is the owner from then on; closing
that file closes the stream.
"""

from __future__ import annotations

import asyncio
import collections
import io
import os
from typing import TYPE_CHECKING, Any, Protocol

from ._clib import Event, Watch

if TYPE_CHECKING:
    import contextvars

    from ._native import Native

__all__ = ["Owner", "ReadPipe", "TerminalInput", "WritePipe"]

_OFF, _IDLE, _READ, _WRITE = int(Watch.OFF), int(Watch.IDLE), int(Watch.READ), int(Watch.WRITE)
_WRITE_SIZE = 256 * 1024
_HIGH_WATER = 64 * 1024


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


class _Pipe(asyncio.BaseTransport):
    """What reading and writing ends have in common."""

    # No __slots__: programs hang attributes on transports, and read the private ones below.
    _MODE: str

    def __init__(self, owner: Owner, stream: int) -> None:
        super().__init__()
        self._owner = owner
        self._stream = stream
        self._protocol: asyncio.BaseProtocol = _StreamProtocol(owner, stream)
        self._file: _PipeFile | None = None
        self._closing = False
        self._ended = False
        self._lost = False

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<{type(self).__name__} stream={self._stream} {state}>"

    @property
    def pipe(self) -> _Pipe:
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
        self._owner.immediate = False
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

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
            self._owner.pipe_lost()


class ReadPipe(_Pipe, asyncio.ReadTransport):
    """The reading end of a child's stdout or stderr."""

    _MODE = "rb"

    def __init__(self, owner: Owner, stream: int) -> None:
        super().__init__(owner, stream)
        self._paused = False
        # What was read, or posted, before a callback paused: kept until reading goes on. None is the end of file.
        self._held: collections.deque[bytes | None] | None = None  # an empty deque has 760 bytes

    def on_event(self, kind: int, value: int, payload: bytes | None) -> None:
        if self._closing:
            return
        if kind == Event.EOF and value:
            self._end(OSError(value, os.strerror(value)))
        elif self._paused or self._held:
            if self._held is None:
                self._held = collections.deque()
            self._held.append(payload)
        else:
            self._deliver(payload)

    def _deliver(self, data: bytes | None) -> None:
        if data is not None:
            self._protocol.data_received(data)  # type: ignore[attr-defined]
            return
        self._closing = self._ended = True
        if self._file is not None:  # else the native part has closed it
            self._file.close()
        try:
            eof_received = getattr(self._protocol, "eof_received", None)
            if eof_received is not None:
                eof_received()
        finally:
            self._lose(None)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        if self._closing or self._paused:
            return
        self._paused = True
        self._watch(_OFF)

    def resume_reading(self) -> None:
        if self._closing or not self._paused:
            return
        self._paused = False
        if self._held:
            self._post(self._deliver_held)
        else:
            self._watch(_READ)

    def _deliver_held(self) -> None:
        while self._held and not self._paused and not self._closing:
            self._deliver(self._held.popleft())
        if not self._held and not self._paused and not self._closing:
            self._watch(_READ)

    def _watch(self, how: int) -> None:
        try:
            self._owner.native.watch(self._owner.token, self._stream, how)
        except OSError:
            # The end was seen: the descriptor is gone, and its event is on the way or held.
            return

    def close(self) -> None:
        """Closes the pipe; what was not delivered is dropped."""
        self._end(None)


class WritePipe(_Pipe, asyncio.WriteTransport):
    """The writing end of a child's stdin."""

    _MODE = "wb"

    def __init__(self, owner: Owner, stream: int) -> None:
        super().__init__(owner, stream)
        self._buffer = bytearray()
        self._eof = False
        self._protocol_paused = False
        self.set_write_buffer_limits()

    # ---- flow control -------------------------------------------------------------------------------------------------

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """`pause_writing` above `high` bytes (64 KiB), `resume_writing` at `low` (a quarter)."""
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high_water, self._low_water = high, low
        self._maybe_pause()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_water, self._high_water

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def _maybe_pause(self) -> None:
        if len(self._buffer) > self._high_water and not self._protocol_paused:
            self._protocol_paused = True
            self._tell("pause_writing")

    def _maybe_resume(self) -> None:
        if self._protocol_paused and len(self._buffer) <= self._low_water:
            self._protocol_paused = False
            self._tell("resume_writing")

    def _tell(self, what: str) -> None:
        try:
            getattr(self._protocol, what)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - the loop's handler hears of it, the caller of write() does not
            self._owner.loop.call_exception_handler(
                {
                    "message": f"protocol.{what}() failed",
                    "exception": exc,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )

    # ---- writing ------------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """Writes what the pipe takes, keeps the rest. An error closes the pipe, and is `connection_lost`'s argument."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        view = memoryview(data).cast("B") if isinstance(data, memoryview) else data
        if not len(view):
            return
        if self._closing:
            return
        if not self._buffer:
            written = self._write_now(view)
            if written is None or written == len(view):
                return
            self._buffer += memoryview(view)[written:]
            self._watch(_WRITE)
        else:
            self._buffer += view
        self._maybe_pause()

    def _write_now(self, data: Any) -> int | None:
        """How much the pipe took; None if it is lost."""
        try:
            return os.write(self._owner.native.stream(self._owner.token, self._stream), data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as exc:
            self._fail(exc)
            return None

    def on_event(self, kind: int, _value: int, _payload: bytes | None) -> None:
        if self._ended:
            return
        if kind == Event.WRITABLE:
            self._flush()
        else:
            self._fail(BrokenPipeError() if self._buffer else None)

    def _flush(self) -> None:
        if not self._buffer:
            return
        written = self._write_now(memoryview(self._buffer)[:_WRITE_SIZE])
        if written is None:
            return
        del self._buffer[:written]
        self._maybe_resume()
        if self._buffer:
            return
        if self._eof:
            self._end(None)
        else:
            self._watch(_IDLE)

    def _watch(self, how: int) -> None:
        try:
            self._owner.native.watch(self._owner.token, self._stream, how)
        except OSError as exc:
            self._fail(exc)

    def _fail(self, exc: OSError | None) -> None:
        self._buffer = bytearray()  # the one that is being written cannot be cleared
        self._end(exc)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Closes the pipe once everything is written."""
        if self._closing or self._eof:
            return
        self._eof = True
        if self._buffer:
            self._closing = True
        else:
            self._end(None)

    def close(self) -> None:
        """As `write_eof`."""
        self.write_eof()

    def abort(self) -> None:
        """Closes the pipe at once; what is not written is dropped."""
        self._fail(None)

    def pause_reading(self) -> None:
        """Nothing is read from a child's stdin."""
        raise NotImplementedError

    resume_reading = pause_reading


class TerminalInput(WritePipe):
    """The writing side of a pseudo terminal. It cannot be closed alone: its end is a character."""

    _MODE = "wb"

    def __init__(self, owner: Owner, stream: int) -> None:
        super().__init__(owner, stream)
        self._line_begins = True

    def write(self, data: Any) -> None:
        super().write(data)
        if len(data):
            self._line_begins = bytes(data[-1:]) == b"\n"

    def write_eof(self) -> None:
        """Writes the terminal's end-of-file character, if it reads by lines; twice within one, as a user would type it."""
        if not self._closing and not self._eof:
            self.write(self._end_of_file() * (1 if self._line_begins else 2))
        super().write_eof()

    def _end_of_file(self) -> bytes:
        import termios

        try:
            attributes = termios.tcgetattr(self._owner.native.stream(self._owner.token, self._stream))
        except (OSError, termios.error):  # the other side is closed
            return b""
        by_lines = attributes[3] & termios.ICANON
        return bytes(attributes[6][termios.VEOF]) if by_lines else b""
