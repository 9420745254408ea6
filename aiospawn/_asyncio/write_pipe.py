"""The parent's end of a child's stdin: what the pipe does not take at once is kept, and the protocol is asked to pause."""

from __future__ import annotations

import asyncio
import operator
import os
from typing import TYPE_CHECKING, Any

from aiospawn._binding.indivisible import exhaust, made_again, mark
from aiospawn._binding.library import Event, Watch

from .pipe import Pipe

if TYPE_CHECKING:
    from collections.abc import Iterable

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
            self._tell_flow("pause_writing", paused=True)

    def _maybe_resume(self) -> None:
        if self._protocol_paused and len(self._buffer) <= self._low_water:
            self._tell_flow("resume_writing", paused=False)

    def _tell_flow(self, what: str, *, paused: bool) -> None:
        try:
            if (resumed := self._resumed()) is None:
                self._tell(mark(self, "_protocol_paused", paused), what)
            elif (
                paused
            ):  # marked before, and the other way round: else an interruption would leave writers that nobody wakes
                self._protocol_paused = True
                resumed.pause_writing()
            else:
                resumed.resume_writing()
                self._protocol_paused = False
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            if self._protocol_paused is not paused:  # a signal's handler raised before the protocol was called
                raise
            # It is reported to the loop's handler, and not raised by write(), as in asyncio.
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
        view = memoryview(data).cast("B") if isinstance(data, memoryview) else memoryview(data)
        if not len(view) or self._closing:
            return
        try:
            if self._buffer:
                self._buffer.extend(view)
            elif self._write_now(view) and self._buffer:
                self._watch(_WRITE)
            self._maybe_pause()
        except BaseException:  # a signal's handler raised: what was taken is written all the same
            if self._buffer and not self._ended:
                self._watch(_WRITE)
            raise

    # What was written leaves what is to be written in one: else a signal's handler might raise between the two.

    def _write_now(self, view: memoryview) -> bool:
        """Keeps what the pipe does not take. False if it is lost."""
        try:
            written = map(os.write, (self._descriptor(),), (view,))
            exhaust(map(self._buffer.extend, map(operator.getitem, (view,), map(slice, written, (None,)))))
        except (BlockingIOError, InterruptedError):
            self._buffer.extend(view)
        except OSError as exc:
            self._end(exc)
            return False
        return True

    def _write_kept(self) -> bool:
        """Writes what the pipe takes of what is kept. False if it is lost."""
        buffer = self._buffer
        try:
            # A view that is alive forbids the buffer to shrink: this one is gone when its call has returned.
            views: Iterable[Any] = map(memoryview, (buffer,))
            part: Iterable[Any] = map(operator.getitem, views, (slice(_WRITE_SIZE),))
            exhaust(map(buffer.__delitem__, map(slice, map(os.write, (self._descriptor(),), part))))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as exc:
            self._end(exc)
            return False
        return True

    def _descriptor(self) -> int:
        return self._owner.native.stream(self._owner.token, self._stream)

    def on_event(self, _number: int, kind: int, _value: int, _payload: bytes | None) -> None:
        """Resumable, as the process's."""
        if self._ended:
            return
        if kind == Event.WRITABLE:
            self._flush()
        else:
            self._end(BrokenPipeError() if self._buffer else None)

    def _flush(self) -> None:
        if self._buffer and not self._write_kept():
            return
        self._maybe_resume()
        if self._buffer or self._ended:  # the protocol may have written, or closed the pipe
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

    def _tell_soon(self) -> None:
        self._buffer = bytearray()  # the one that is being written cannot be cleared
        super()._tell_soon()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """As `close`: the end of a pipe is that nobody writes to it."""
        self.close()

    @made_again
    def close(self) -> None:
        """Closes the pipe once everything is written."""
        if self._ended:
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
