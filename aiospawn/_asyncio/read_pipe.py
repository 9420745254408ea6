"""The parent's end of a child's stdout or stderr: what it read is delivered in order, also when it was paused in between."""

from __future__ import annotations

import asyncio
import collections
import functools
import os

from aiospawn._binding.indivisible import in_one, made_again, mark
from aiospawn._binding.library import Event, Watch

from .pipe import Pipe, StreamPassedOn

__all__ = ["ReadPipe"]

_OFF, _READ = int(Watch.OFF), int(Watch.READ)


class ReadPipe(Pipe, asyncio.ReadTransport):
    """The reading end of a child's stdout or stderr."""

    _MODE = "rb"

    _paused = False
    # What was read, or posted, before a callback paused: kept until reading is resumed. None is the end of file.
    _held: collections.deque[bytes | None] | None = None  # an empty deque has 760 bytes

    _fed = -1  # the number of the last event that was passed on, or kept
    _taken = -1  # likewise, to asyncio's streams, which have not yet done what follows
    _eof = False
    _eof_told = False

    def on_event(self, number: int, kind: int, value: int, payload: bytes | None) -> None:
        """Resumable, as the process's."""
        if kind == Event.EOF and value:
            self._end(OSError(value, os.strerror(value)))
        elif self._eof:  # interrupted
            self._tell_end()
        elif self._closing:
            self._end(None)
        elif number <= self._fed:
            return
        elif number <= self._taken:  # interrupted, perhaps where it was paused
            self._go_on()
            self._fed = number
        elif self._paused or self._held:
            if self._held is None:
                self._held = collections.deque()
            in_one(mark(self, "_fed", number), functools.partial(self._held.append, payload))
        elif payload is None:
            self._tell_end()
        elif (resumed := self._resumed()) is None:
            self._tell(mark(self, "_fed", number), "data_received", payload)
        else:
            resumed.pipe_data_received(self._stream, payload, mark(self, "_taken", number))
            self._fed = number

    def ended_unread(self) -> None:
        """It has ended before anybody asked for it."""
        self._eof = True
        self.forget()
        self._protocol = None
        self.__dict__.pop("_owner", None)

    def _go_on(self) -> None:
        """Does what follows when asyncio's streams have taken data: an interruption may have kept them from it."""
        resumed = self._resumed()
        if resumed is not None and not self._closing:
            resumed.data_taken(self._stream)

    def _tell_end(self) -> None:
        self._eof = self._closing = self._ended = True
        if self._file is not None:  # else the native part has closed it
            self._file.close()
        if self._over:
            return
        resumed = self._resumed()
        if resumed is not None:
            if not self._lost:
                resumed.pipe_connection_lost(self._stream, None)
                self._lost = True
            self._let_go()
            return
        try:
            if not self._eof_told and type(self._protocol) is not StreamPassedOn and hasattr(self._protocol, "eof_received"):
                self._tell(mark(self, "_eof_told", value=True), "eof_received")
        finally:
            self._lose()

    @property
    def is_paused(self) -> bool:
        """As `Pipe` has it."""
        return self._paused and not self._closing

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        if self._closing or self._paused:
            return
        try:
            self._paused = True
            self._watch(_OFF)
            self._owner.rest_if_paused()
        except BaseException:  # a signal's handler raised: the caller does not know that it is paused
            self._read_on()
            raise

    def resume_reading(self) -> None:
        try:
            if not self._closing and self._paused:
                self._read_on()
        except BaseException:  # a signal's handler raised: the caller takes it for resumed
            self._read_on()
            raise

    def _read_on(self) -> None:
        self._paused = False
        self._owner.pipe_resumed()
        if self._held:
            self._soon(self._deliver_held)
        else:
            self._watch(_READ)

    def _deliver_held(self) -> None:
        self._go_on()
        while self._held and not self._paused and not self._closing:
            if self._held[0] is None:
                self._tell_end()
                return
            self._pass_held_on(self._held, self._held[0])
        if self._eof:
            self._tell_end()
        elif not self._held and not self._paused and not self._closing:
            self._watch(_READ)

    def _pass_held_on(self, held: collections.deque[bytes | None], data: bytes) -> None:
        resumed = self._resumed()
        if resumed is None:
            self._tell(held.popleft, "data_received", data)
        else:
            resumed.pipe_data_received(self._stream, data, held.popleft)

    def _watch(self, how: int) -> None:
        try:
            self._owner.native.watch(self._owner.token, self._stream, how)
        except OSError:
            # The end was seen: the descriptor is gone, and its event is on the way or held.
            return

    @made_again
    def close(self) -> None:
        """Closes the pipe; what was not delivered is dropped."""
        self._end(None)
