"""One reactor per event loop: everything that the children of a loop have to tell comes through one epoll descriptor.

The loop is asked for one `add_reader`, so every loop is the same to it. A wake-up is one call into the native part, which
reads and reaps what is ready into a batch of events, and one `call_soon` for each event, unless it is told at once:

 - Nothing is lost between the drain and the callbacks. The batch stays in native memory and its head moves behind what was
   told; after an exception in between (KeyboardInterrupt strikes anywhere) the reactor calls itself soon, and goes on there.
 - Nothing is delivered twice. An event posted just before such an exception is posted again; its number tells.
 - Callbacks run in the context of whoever created the child, and in no other: the reader is added in an empty context, and
   each event is posted from a copy of the creator's.
 - A callback that raises is the loop's exception handler's business, and hurts no other child.
 - A target that only collects, or feeds asyncio's own streams, is told at once, without a callback of the loop.
 - Launches are counted, not entries of the epoll set: on a loop that is not ours, the reactor comes with the first
   launch and goes when the last child's `connection_lost` was delivered, so that a loop at rest holds no descriptor of ours.
 - In the child of a fork the reactor is dead: its descriptors are the parent's, and closed there already.
"""

from __future__ import annotations

import contextlib
import contextvars
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from aiospawn import _errors
from aiospawn._binding.library import Event
from aiospawn._binding.native import Launched, Native

from .forked_child import forked

if TYPE_CHECKING:
    import asyncio

    from aiospawn._request.request import Request

__all__ = ["Reactor", "Target", "reactor_of"]

_ATTRIBUTE = "_aiospawn_reactor"
_MOST_EVENTS = 1024  # of a batch, at least
_DATA, _EXITED, _FAILED = Event.DATA, Event.EXITED, Event.FAILED
_ENDS = (Event.EXITED, Event.FAILED, Event.DIED)


class Target(Protocol):
    """Who is told of a child's events."""

    context: contextvars.Context
    immediate: bool
    """Whether nobody else's code runs in `on_event`, and it does not raise: then no callback of the loop is needed."""

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """Runs as a callback of the loop, unless `immediate`. A number that is not above the last was delivered before."""


class Reactor:
    """The children of one loop."""

    __slots__ = ("__weakref__", "_batches", "_loop", "_permanent", "_targets", "_users", "native")

    def __init__(self, loop: asyncio.AbstractEventLoop, *, permanent: bool) -> None:
        # Weakly: the loop holds the reactor, as an attribute and as its reader's callback.
        self._loop = weakref.ref(loop)
        self._permanent = permanent
        self._targets: dict[int, Target] = {}
        self._users = 0
        self._batches = 0
        self.native = Native()
        contextvars.Context().run(loop.add_reader, self.native.epoll, self._on_ready)

    # ---- launches -----------------------------------------------------------------------------------------------------

    def launch(self, request: Request, target: Target) -> Launched:
        """Makes a child whose events go to `target`, which calls `done` with the token when it wants no more."""
        newest = self.native.newest
        self._users += 1  # before the clone: else the reactor might close under the launch
        try:
            launched = forked(self.native, request) if request.options.forks else self.native.launch(request.data)
        except BaseException as exc:
            if self.native.newest == newest:
                self._leave()
            else:  # it was made, and a signal's handler that was due raised
                self._kill_unheld(self.native.newest)
            if isinstance(exc, OSError) and request.options.init is not None:
                raise _errors.no_init(exc) from None
            raise
        self._targets[launched.token] = target
        return launched

    def _kill_unheld(self, token: int) -> None:
        """Nobody knows of this child, nor will: it is reaped all the same."""
        self._targets[token] = _Unheld(self, token)
        with contextlib.suppress(PermissionError):  # a set-user-id program already
            self.native.signal(token, signal.SIGKILL)

    def done(self, token: int) -> None:
        """A child was told everything. Nothing happens the second time."""
        if self._targets.pop(token, None) is None:
            return
        if not self.native.dead:
            self.native.release(token)
        self._leave()

    def _leave(self) -> None:
        self._users -= 1
        if not self._users and not self._permanent:
            self.close()

    def close(self) -> None:
        """Closes every descriptor; children live on. Their targets hear nothing any more."""
        loop = self._loop()
        if loop is not None and getattr(loop, _ATTRIBUTE, None) is self:
            delattr(loop, _ATTRIBUTE)
        # In a fork the loop's own selector is shared with the parent: taking our entry out there would mute the parent.
        if loop is not None and not self.native.dead and not loop.is_closed():
            loop.remove_reader(self.native.epoll)
        self.native.close()
        self._targets.clear()

    def is_stale(self) -> bool:
        """Was its loop closed, and the reactor not?"""
        loop = self._loop()
        return not self.native.dead and (loop is None or loop.is_closed())

    # ---- wake-ups -----------------------------------------------------------------------------------------------------

    def _on_ready(self) -> None:
        if self.native.dead:
            return
        try:
            if not self.native.pending:
                self._batches += 1
                self.native.drain()
            self._deliver()
        except BaseException:
            loop = self._loop()
            if loop is not None:
                contextvars.Context().run(loop.call_soon, self._on_ready)
            raise

    def _deliver(self) -> None:
        loop = self._loop()
        if loop is None:
            return
        native, targets, post = self.native, self._targets, loop.call_soon
        first = self._batches * _MOST_EVENTS
        place = native.head
        try:
            for token, kind, stream, value, extra, offset, length in native.events():
                target = targets.get(token)
                if target is not None:
                    payload: Any = None
                    if kind == _DATA:
                        payload = native.data(offset, length)
                    elif kind == _EXITED:
                        payload = native.usage(place) if extra & 1 else None
                    elif kind == _FAILED:
                        payload = offset
                    if target.immediate:
                        target.on_event(first + place, kind, stream, value, extra, payload)
                    else:
                        # A copy: a callback may run a nested loop, and a context cannot be entered twice.
                        context = target.context.copy()
                        post(target.on_event, first + place, kind, stream, value, extra, payload, context=context)
                place += 1
        finally:
            native.head = place


class _Unheld:
    """The target of a child whose launch was interrupted when it was made."""

    immediate = True

    def __init__(self, reactor: Reactor, token: int) -> None:
        self.context = contextvars.Context()
        self._reactor = reactor
        self._token = token

    def on_event(self, _number: int, kind: int, _stream: int, _value: int, _extra: int, _payload: Any) -> None:
        if kind in _ENDS:
            self._reactor.done(self._token)


class _Opened(threading.local):
    """The reactors of this thread: another's may be in a native call of that one's."""

    def __init__(self) -> None:
        self.reactors: list[weakref.ref[Reactor]] = []


_opened = _Opened()


def reactor_of(loop: asyncio.AbstractEventLoop, *, permanent: bool = False) -> Reactor:
    """The loop's reactor, opened if there is none. `permanent`: it stays until it is closed with the loop."""
    reactor: Reactor | None = getattr(loop, _ATTRIBUTE, None)
    if reactor is None or reactor.native.dead:
        _close_stale()
        reactor = Reactor(loop, permanent=permanent)
        _opened.reactors.append(weakref.ref(reactor))
        setattr(loop, _ATTRIBUTE, reactor)
    return reactor


def _close_stale() -> None:
    """A loop that is not ours reports its closing to nobody: what its children hold would wait for the garbage collector."""
    reactors = [reactor for reference in _opened.reactors if (reactor := reference()) is not None]
    for reactor in reactors:
        if reactor.is_stale():
            reactor.close()
    _opened.reactors = [weakref.ref(reactor) for reactor in reactors if not reactor.native.dead]
