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
from .results import CompletedProcess

if TYPE_CHECKING:
    import asyncio
    import contextvars
    from collections.abc import MutableSequence

    from aiospawn._asyncio.reactor import Reactor
    from aiospawn._request.joined_request import JoinedRequest

    from .results import Text

__all__ = ["PlainChild"]

_DATA, _EXITED, _DIED = Event.DATA, Event.EXITED, Event.DIED
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
    is_woken: bool
    """Whether it is going to look at what has ended."""

    @property
    def ended(self) -> MutableSequence[Any]:
        """Children that have ended, or whose place something has taken; some of them perhaps twice."""

    def wake(self) -> None:
        """It is to look at what has ended. Resumable, as an event."""


class PlainChild:
    """One child. Its request has no input, no option of a launch but a process group and an init, no observer."""

    __slots__ = (
        *("_owner", "_reactor", "args", "began", "capture", "chunks", "context", "elapsed", "error", "number"),
        *("pid", "place", "returncode", "started", "token", "usage"),
    )
    immediate = True

    def __init__(self, owner: Owner, place: int, args: list[Any], reactor: Reactor) -> None:
        """`place` is the owner's. The reactor is to launch it, which raises OSError if nothing was made."""
        self.place = place
        self._reactor = reactor
        self.args = args
        self.context = owner.context
        self._owner = owner
        self.number = -1  # of the last event
        self.token = self.pid = 0
        self.capture: NativeCapture | None = None
        """What has taken its place."""
        # Stream, bytes, and bytes up to here, by the event's number: twice is once.
        self.chunks: dict[int, tuple[int, bytes, int]] | None = None
        self.returncode: int | None = None
        self.error: Exception | None = None
        """Why its program could not be run."""
        self.started = _time()
        self.began = _clock()

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """One event of the reactor. Resumable: the last step of an end is that the reactor forgets the child."""
        capture, owner = self.capture, self._owner
        if capture is None:
            if number <= self.number:
                return
            if kind == _DATA and self._received(number, stream, payload):
                self.number = number
                return
            if kind == _DATA or (kind == _EXITED and (owner.joined.pipes & ~stream or extra & 2)):
                # It wrote too much; or a descendant holds a pipe; or the status is lost, which is logged.
                capture = self.taken_over()
        if capture is not None:
            capture.on_event(number, kind, stream, value, extra, payload)
        elif kind == _EXITED:
            self.elapsed = _clock() - self.began
            self.usage: bytes | None = payload
            self.returncode = value
        else:
            request = owner.joined.request(self.args)
            self.error = _errors.child_died(value) if kind == _DIED else request.failure(value, extra, payload)
        owner.ended.append(self)
        if not owner.is_woken:
            owner.wake()
        if capture is None:
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

    def failure(self) -> Exception:
        """The error, which is not kept: once it is raised, its traceback refers to the child."""
        error, self.error = self.error, None
        assert error is not None
        return error

    @property
    def has_ended(self) -> bool:
        """Is it reaped, with nothing more to come?"""
        return self.returncode is not None or self.error is not None

    def completed(self, keeps: tuple[bool, bool], mode: Text | None) -> CompletedProcess[Any]:
        """The result of one that has ended, with those of its outputs that are kept. Raises UnicodeDecodeError."""
        chunks = () if self.chunks is None else self.chunks.values()
        stdout: Any = b"".join([data for stream, data, _ in chunks if stream == 1]) if keeps[0] else None
        stderr: Any = b"".join([data for stream, data, _ in chunks if stream == 2]) if keeps[1] else None
        if mode is not None:
            stdout, stderr = (None if part is None else mode.decoded(part) for part in (stdout, stderr))
        assert self.returncode is not None
        return CompletedProcess(
            self.args, self.returncode, stdout, stderr, pid=self.pid, elapsed=self.elapsed, usage=self.usage
        )

    def taken_over(self) -> NativeCapture:
        """What has its place from now on; not for a child that has ended."""
        if self.capture is None:
            owner = self._owner
            request = owner.joined.request(self.args)
            # Until the reactor knows it, events are passed on.
            self.capture = NativeCapture.taking_over(self, request, self._reactor, owner)
            self._reactor.retarget(self.token, self.capture)
        return self.capture

    def drop(self) -> None:
        """For a caller that leaves by an exception: kills it unless it has ended, and waits for nothing."""
        if self.token and not self.has_ended:
            self.taken_over().drop()
