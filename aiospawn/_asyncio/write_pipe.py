"""The parent's end of a child's stdin: what the pipe does not take at once is kept, and its writer told to pause."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from aiospawn._binding.library import Event, Watch

from .pipe import Pipe

if TYPE_CHECKING:
    from .pipe import Owner

__all__ = ["WritePipe"]

_IDLE, _WRITE = int(Watch.IDLE), int(Watch.WRITE)
_WRITE_SIZE = 256 * 1024
_HIGH_WATER = 64 * 1024


class WritePipe(Pipe, asyncio.WriteTransport):
    """The writing end of a child's stdin."""

    _MODE = "wb"

    def __init__(self, owner: Owner, stream: int) -> None:
        super().__init__(owner, stream)
        self._buffer = bytearray()
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
            self._end(exc)
            return None

    def on_event(self, kind: int, _value: int, _payload: bytes | None) -> None:
        if self._ended:
            return
        if kind == Event.WRITABLE:
            self._flush()
        else:
            self._end(BrokenPipeError() if self._buffer else None)

    def _flush(self) -> None:
        if not self._buffer:
            return
        written = self._write_now(memoryview(self._buffer)[:_WRITE_SIZE])
        if written is None:
            return
        del self._buffer[:written]
        self._maybe_resume()
        if self._buffer or self._ended:  # who was told may have written, or closed the pipe
            return
        if self._closing:
            self._finish()
        else:
            self._watch(_IDLE)

    def _watch(self, how: int) -> None:
        try:
            self._owner.native.watch(self._owner.token, self._stream, how)
        except OSError as exc:
            self._end(exc)

    def _end(self, exc: Exception | None) -> None:
        self._buffer = bytearray()  # the one that is being written cannot be cleared
        super()._end(exc)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """As `close`: the end of a pipe is that nobody writes to it."""
        self.close()

    def close(self) -> None:
        """Closes the pipe once everything is written."""
        if self._closing:
            return
        self._closing = True
        if not self._buffer:
            self._finish()

    def _finish(self) -> None:
        """Everything is written."""
        self._end(None)

    def abort(self) -> None:
        """Closes the pipe at once; what is not written is dropped."""
        self._end(None)

    def pause_reading(self) -> None:
        """Nothing is read from a child's stdin."""
        raise NotImplementedError

    resume_reading = pause_reading
