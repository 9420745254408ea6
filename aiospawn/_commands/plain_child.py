"""A child of which nothing is wanted but what comes of it: it has no future, no task and no timer.

It is the target of its own events. When something else is to happen to it (it has had its time, it is to be stopped, a pipe
is held behind its exit), a `NativeCapture` takes its place, with everything that is known of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from aiospawn import _errors
from aiospawn._binding.library import Event

from .native_capture import NativeCapture

if TYPE_CHECKING:
    import asyncio
    import contextvars

    from aiospawn._asyncio.reactor import Reactor
    from aiospawn._request.joined_request import JoinedRequest

__all__ = ["PlainChild"]

_DATA, _EOF, _EXITED, _DIED = Event.DATA, Event.EOF, Event.EXITED, Event.DIED
_clock, _time = time.perf_counter, time.time


class Owner(Protocol):
    """Who launches such children, and what they have in common."""

    loop: asyncio.AbstractEventLoop
    context: contextvars.Context
    """In which a lost status is logged."""
    pipe_grace: float | None
    limit: int | None
    """The most bytes of a child's output."""
    joined: JoinedRequest

    def report(self, child: Any) -> None:
        """It has ended, or something has taken its place; perhaps not for the first time. This must not raise."""


class PlainChild:
    """One child. Its request has no input, no option of a launch but a process group and an init, no observer."""

    __slots__ = (
        *("_data", "_owner", "_reactor", "args", "began", "capture", "chunks", "context", "elapsed", "error", "number"),
        *("pid", "pipes", "place", "returncode", "started", "token", "usage"),
    )
    immediate = True

    def __init__(self, owner: Owner, place: int, args: list[Any], reactor: Reactor, data: bytes) -> None:
        """`place` is the owner's; `data` is what the reactor is to launch, which raises OSError if nothing was made."""
        self.place = place
        self._reactor = reactor
        self._data = data
        self.args = args
        self.context = owner.context
        self._owner = owner
        self.number = -1  # of the last event
        self.token = self.pid = 0
        self.capture: NativeCapture | None = None
        """What has taken its place."""
        # Stream, bytes, and bytes up to here, by the event's number: twice is once.
        self.chunks: dict[int, tuple[int, bytes, int]] | None = None
        self.pipes = owner.joined.pipes  # that are open: bit n for stream n
        self.returncode: int | None = None
        self.error: Exception | None = None
        """Why its program could not be run."""
        self.started = _time()
        self.began = _clock()

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """One event of the reactor. Resumable: the last step of an end is that the reactor forgets the child."""
        if self.capture is not None:
            self.capture.on_event(number, kind, stream, value, extra, payload)
            self._owner.report(self)
        elif number <= self.number:
            return
        elif kind == _EXITED:
            if self.pipes or extra & 2:  # held by a descendant; or the status is lost, which is logged
                self.taken_over().on_event(number, kind, stream, value, extra, payload)
                self._owner.report(self)
                return
            if self.returncode is None:
                self.elapsed = _clock() - self.began
            self.usage: bytes | None = payload
            self.returncode = value
            self._owner.report(self)
            self._reactor.ended.append(self.token)
        elif kind == _DATA:
            if not self._received(number, stream, payload):
                self.taken_over().on_event(number, kind, stream, value, extra, payload)
                self._owner.report(self)
                return
        elif kind == _EOF:
            self.pipes &= ~(1 << stream)
        else:
            request = self._owner.joined.request(self.args, self._data)
            self.error = _errors.child_died(value) if kind == _DIED else request.failure(value, extra, payload)
            self._owner.report(self)
            self._reactor.ended.append(self.token)
        self.number = number

    def _received(self, number: int, stream: int, payload: bytes) -> bool:
        """False, and nothing changes, where it is more than the limit allows."""
        chunks, size, limit = self.chunks, len(payload), self._owner.limit
        if chunks is None:
            chunks = self.chunks = {}
        elif number in chunks:
            return True
        elif chunks:
            size += next(reversed(chunks.values()))[2]
        if limit is not None and size > limit:
            return False
        chunks[number] = stream, payload, size
        return True

    @property
    def has_ended(self) -> bool:
        """Is it reaped, with nothing more to come?"""
        return self.returncode is not None or self.error is not None

    def output(self, stream: int) -> bytes:
        """What it wrote."""
        return b"" if self.chunks is None else b"".join([data for of, data, _ in self.chunks.values() if of == stream])

    def taken_over(self) -> NativeCapture:
        """What has its place from now on; not for a child that has ended."""
        if self.capture is None:
            owner = self._owner
            request = owner.joined.request(self.args, self._data)
            # Until the reactor knows it, events are passed on.
            self.capture = NativeCapture.taking_over(self, request, self._reactor, owner)
            self._reactor.retarget(self.token, self.capture)
        return self.capture

    def drop(self) -> None:
        """For a caller that leaves by an exception: kills it unless it has ended, and waits for nothing."""
        if self.token and not self.has_ended:
            self.taken_over().drop()
