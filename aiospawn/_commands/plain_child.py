"""A child of which nothing is wanted but what comes of it: it has no future, no task and no timer.

It is the target of its own events. What is usual in its life is done by the extension (`_native/plain/plain_child.c`),
which a signal's handler does not interrupt; what else may happen is here. When something else is to happen to it (it has had
its time, it is to be stopped, a pipe is held behind its exit), a `NativeCapture` takes its place, with everything that is
known of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from aiospawn import _errors
from aiospawn._binding import library
from aiospawn._binding.library import Event

from .native_capture import NativeCapture
from .results import CompletedProcess

if TYPE_CHECKING:
    import asyncio
    import contextvars

    from aiospawn._asyncio.reactor import Reactor
    from aiospawn._request.joined_request import JoinedRequest

    from .results import Text

    class _PlainChild:
        """What the extension has of it."""

        _owner: Owner
        _reactor: Reactor
        args: list[Any]
        place: int
        """The owner's."""
        started: float
        """In seconds since the epoch."""
        began: float
        """The same by `time.perf_counter`."""
        elapsed: float
        token: int
        pid: int
        number: int
        """Of the last event."""
        chunks: list[tuple[int, int, bytes, int]] | None
        """The event's number, the stream, bytes, and bytes up to here."""
        returncode: int | None
        usage: bytes | None
        error: Exception | None
        """Why its program could not be run."""
        capture: NativeCapture | None
        """What has taken its place."""

else:
    _PlainChild = library.PlainChild

__all__ = ["PlainChild"]


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
    def ended(self) -> list[Any] | None:
        """Children that have ended, or whose place something has taken; some perhaps twice. None: it need not know."""

    def wake(self) -> None:
        """It is to look at what has ended. Resumable, as an event."""


class PlainChild(_PlainChild):
    """One child. Its request has no input, no option of a launch but a process group and an init, no observer."""

    __slots__ = ()

    @classmethod
    def beginning(cls, owner: Owner, place: int, args: list[Any], reactor: Reactor) -> PlainChild:
        """One that begins now, for `Reactor.launch_plain`."""
        child: PlainChild = library.new_child(cls, owner, place, args, reactor)
        return child

    @property
    def context(self) -> contextvars.Context:
        return self._owner.context

    def keep_lease(self, seconds: float) -> None:
        """Its tree's is renewed as long as this process goes on, so many seconds each time."""
        self._reactor.keep_lease(self.token, seconds)

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
        result: CompletedProcess[Any] = library.completed(CompletedProcess, self, *keeps)
        if mode is not None:
            result.stdout = None if result.stdout is None else mode.decoded(result.stdout)
            result.stderr = None if result.stderr is None else mode.decoded(result.stderr)
        return result

    def _failed(self, kind: int, value: int, extra: int, index: int) -> None:
        """The event of a launch that has failed."""
        request = self._owner.joined.request(self.args)
        self.error = _errors.child_died(value) if kind == Event.DIED else request.failure(value, extra, index)

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
