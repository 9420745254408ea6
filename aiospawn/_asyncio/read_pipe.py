"""The parent's end of a child's stdout or stderr: what it read is delivered in order, also when it was paused in between."""

from __future__ import annotations

import asyncio
import collections
import os

from aiospawn._binding.library import Event, Watch

from .pipe import Pipe

__all__ = ["ReadPipe"]

_OFF, _READ = int(Watch.OFF), int(Watch.READ)


class ReadPipe(Pipe, asyncio.ReadTransport):
    """The reading end of a child's stdout or stderr."""

    _MODE = "rb"

    _paused = False
    # What was read, or posted, before a callback paused: kept until reading goes on. None is the end of file.
    _held: collections.deque[bytes | None] | None = None  # an empty deque has 760 bytes

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
            self._protocol.data_received(data)
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
