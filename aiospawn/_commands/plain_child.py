"""A child of which nothing is wanted but what comes of it: it has no future, no task and no timer.

It is the target of its own events. When something else is to happen to it (it has had its time, it is to be stopped, a pipe
is held behind its exit), a `NativeCapture` takes its place, with everything that is known of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from aiospawn import _errors
from aiospawn._binding.library import NO_PIPE, Event

from .native_capture import NativeCapture

if TYPE_CHECKING:
    import asyncio
    import contextvars

    from aiospawn._asyncio.reactor import Reactor
    from aiospawn._request.request import Request

__all__ = ["PlainChild"]

_DATA, _EOF, _EXITED, _STARTED, _DIED = Event.DATA, Event.EOF, Event.EXITED, Event.STARTED, Event.DIED


class Owner(Protocol):
    """Who launches such children, and what they have in common."""

    loop: asyncio.AbstractEventLoop
    context: contextvars.Context
    """In which a lost status is logged."""
    pipe_grace: float | None

    def report(self, child: Any) -> None:
        """It has ended, or something has taken its place; perhaps not for the first time. This must not raise."""


class PlainChild:
    """One child. Its request has no input, no option of a launch but a process group, and no observer."""

    __slots__ = (
        *("_owner", "_reactor", "began", "capture", "context", "data", "elapsed", "error", "number"),
        *("pid", "pipes", "request", "returncode", "token", "usage"),
    )
    immediate = True

    def __init__(self, request: Request, owner: Owner) -> None:
        self.request = request
        self.context = owner.context
        self._owner = owner
        self.number = -1  # of the last event
        self.token = self.pid = 0
        self.capture: NativeCapture | None = None
        """What has taken its place."""
        self.data: dict[int, tuple[int, bytes]] = {}  # stream and bytes by the event's number: twice is once
        self.pipes = 0  # that are open: bit n for stream n
        self.returncode: int | None = None
        self.usage: bytes | None = None
        self.error: Exception | None = None
        """Why its program could not be run."""
        self.elapsed = 0.0
        self.began = time.perf_counter()

    def launch(self, reactor: Reactor) -> None:
        """Makes it. Raises OSError; then nothing was made."""
        self._reactor = reactor
        for stream, kind in enumerate(self.request.program.plan.pipes):
            if kind != NO_PIPE:
                self.pipes |= 1 << stream
        _, self.pid, _ = reactor.launch(self.request, self)

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
                self.elapsed = time.perf_counter() - self.began
            self.returncode = value
            self.usage = payload
            self._owner.report(self)
            self._reactor.done(self.token)
        elif kind == _DATA:
            self.data[number] = stream, payload
        elif kind == _EOF:
            self.pipes &= ~(1 << stream)
        elif kind != _STARTED:
            died = kind == _DIED
            self.error = _errors.child_died(value) if died else self.request.failure(value, extra, payload)
            self._owner.report(self)
            self._reactor.done(self.token)
        self.number = number

    @property
    def has_ended(self) -> bool:
        """Is it reaped, with nothing more to come?"""
        return self.returncode is not None or self.error is not None

    def output(self, stream: int) -> bytes:
        """What it wrote."""
        return b"".join([data for of, data in self.data.values() if of == stream])

    def taken_over(self) -> NativeCapture:
        """What has its place from now on; not for a child that has ended."""
        if self.capture is None:
            owner = self._owner
            # Until the reactor knows it, events are passed on.
            self.capture = NativeCapture.taking_over(self, self._reactor, owner.loop, owner.pipe_grace)
            self._reactor.retarget(self.token, self.capture)
        return self.capture

    def drop(self) -> None:
        """For a caller that leaves by an exception: kills it unless it has ended, and waits for nothing."""
        if self.token and not self.has_ended:
            self.taken_over().drop()
