"""One reactor per event loop: all events of a loop's children come through one epoll descriptor.

The loop is asked for one `add_reader`, so every loop is the same to it. A wake-up is one call into the native part, which
reads and reaps what is ready into a batch of events, and one `call_soon` for each event, unless it is handled at once:

 - Nothing is lost. The batch stays in native memory, and its head moves behind an event when that was handled; after an
   exception in between (KeyboardInterrupt strikes anywhere) the reactor calls itself soon, and continues there.
 - Nothing is delivered twice. Events have numbers, and a target's handling is resumable (`_indivisible`): run again from its
   start after an interruption, it skips what was done. What is delivered by a callback stays in a mailbox until that
   returns.
 - Callbacks run in the context in which the child was created, and in no other: the reader is added in an empty context, and
   each event is posted from a copy of the creator's.
 - A callback that raises is reported to the loop's exception handler, and affects no other child.
 - A target that only collects, or feeds asyncio's own streams, is called at once, without a callback of the loop.
 - Launches are counted, not entries of the epoll set: on a loop that is not ours, the reactor comes with the first
   launch and goes when the last child's `connection_lost` was delivered, so that a loop at rest holds no descriptor of ours.
 - In the child of a fork the reactor is dead: its descriptors are the parent's, and closed there already.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any

from aiospawn import _errors
from aiospawn._binding.indivisible import in_one, mark
from aiospawn._binding.library import Event, deliver
from aiospawn._binding.native import Launched, Native

from .callbacks import Callbacks
from .forked_child import forked
from .lease import Lease
from .resting import Resting

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiospawn._options.options import Options
    from aiospawn._request.joined_request import JoinedRequest
    from aiospawn._request.request import Request

    from .mailbox import Event as _Event
    from .mailbox import Target

__all__ = ["Reactor", "close_unused", "launch_error", "let_go", "reactor_of"]

_ATTRIBUTE = "_aiospawn_reactor"
_MOST_EVENTS = 1024  # of a batch, at least
_ENDS = (Event.EXITED, Event.FAILED, Event.DIED)


class Reactor:
    """The children of one loop."""

    __slots__ = (
        *(
            "__weakref__",
            "_batches",
            "_callbacks",
            "_holders",
            "_is_delivered",
            "_is_due_again",
            "_is_posted",
            "_launching",
            "_lease",
            "_loop",
            "_newest",
            "_permanent",
            "ended",
            "native",
            "targets",
        ),
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, *, permanent: bool) -> None:
        # Weakly: the loop holds the reactor, as an attribute and as its reader's callback.
        self._loop = weakref.ref(loop)
        self._permanent = permanent
        self.targets: dict[int, Target] = {}
        """By the tokens of their children, for `library.launch_all`."""
        self.ended: list[int] = []
        """The tokens of children that were dropped at their end: what `done` is to others."""
        self._launching = False
        self._newest = 0  # the token of the last launch that came to its end here
        self._batches = 0
        self._is_delivered = True  # the last of them
        self._is_posted = False  # something of it, to a mailbox
        self._is_due_again = False
        self._lease: Lease | None = None
        self._holders: weakref.WeakSet[Any] = weakref.WeakSet()
        try:
            self.native = Native()
            self._callbacks = Callbacks(self._loop, self.native)
            contextvars.Context().run(loop.add_reader, self.native.epoll, self._on_ready)
            _opened.reactors.append(weakref.ref(self))
            setattr(loop, _ATTRIBUTE, self)
        except BaseException:  # else the loop would hold one that nobody finds
            if hasattr(self, "_callbacks"):
                self.close()
            elif hasattr(self, "native"):
                self.native.close()
            raise

    # ---- launches -----------------------------------------------------------------------------------------------------

    def launch(self, request: Request, target: Target) -> Launched:
        """Makes a child whose events go to `target`, which calls `done` with the token when it wants no more.

        Raises OSError; then nothing was created. After an interruption the target's token says whether there is a child.
        """
        try:
            self._launching = True  # else the reactor might close under the launch
            launched = forked(self.native, request) if request.program.forks else self.native.launch(request.data)
            target.token = token = launched[0]
            self.targets[token] = target
            if request.options.init_lease is not None:
                self.keep_lease(token, request.options.init_lease)
            self._launching = False
            self._newest = token
        except BaseException as exc:
            if request.belongings is not None:
                request.belongings.remove()
            self._not_launched(target)
            _raise_no_init(exc, request.options)
            raise
        return launched

    def launch_plain(self, joined: JoinedRequest, arguments: list[Any], target: Any) -> None:
        """As `launch`, of a request without fork and cgroup. The target is a plain child, or one of asyncio's.

        It gets the token, the pid, and asyncio's the pidfd. At its usual end the child is dropped: the token is then added
        to `ended`.
        """
        try:
            self._launching = True
            joined.launched(self.native.address, self.targets, target, arguments)
            if joined.options.init_lease is not None:
                self.keep_lease(target.token, joined.options.init_lease)
            self._launching = False
        except BaseException as exc:
            self._launching = False
            if target.token:  # a signal's handler raised
                self._kill_unheld(target.token, target)
            else:
                self.close_if_unused()
            _raise_no_init(exc, joined.options)
            raise

    def keep_lease(self, token: int, seconds: float) -> None:
        if self._lease is None:
            self._lease = Lease(self._loop, self.native)
        self._lease.keep(token, seconds)

    def _not_launched(self, target: Target) -> None:
        self._launching = False
        newest = self.native.newest
        if newest == self._newest:
            target.token = 0
            self.close_if_unused()
        else:  # it was made, and a signal's handler that was due raised
            try:
                self._kill_unheld(newest, target)
            except BaseException:  # another one's: the target may not know of its child
                self._kill_unheld(newest, target)
                raise
            self._newest = newest

    def _kill_unheld(self, token: int, target: Target) -> None:
        """Nobody knows of this child, nor will: it is reaped all the same. Interrupted, it may still be the target's."""
        unheld = _Unheld(self, token)
        with contextlib.suppress(PermissionError):  # a set-user-id program already
            self.native.signal(token, signal.SIGKILL)
        in_one(functools.partial(self.targets.__setitem__, token, unheld), mark(target, "token", 0))

    def retarget(self, token: int, target: Target) -> None:
        """From now on this one gets the events of a child whose target was `immediate`, as this one is."""
        if token in self.targets:
            self.native.keep(token)
            self.targets[token] = target

    def rest(self, token: int) -> None:
        """Nothing comes of this child before it calls `attend`: until then it is not held (`Resting`)."""
        target = self.targets.get(token)
        if target is not None and not isinstance(target, Resting):
            self._replace(token, Resting(target, self._freed))

    def attend(self, target: Target) -> None:
        """Events may come again."""
        if isinstance(self.targets.get(target.token), Resting):
            self._replace(target.token, target)

    def _replace(self, token: int, target: Target) -> None:
        mailbox = self._callbacks.mailboxes.get(token)
        if mailbox is not None:
            mailbox.target = target
        self.targets[token] = target

    def _freed(self, token: int) -> None:
        """In whichever thread a child that rested was freed."""
        loop = self._loop()
        if loop is not None and not self.native.dead:
            with contextlib.suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(self.done, token, context=contextvars.Context())

    def done(self, token: int) -> None:
        """All events of a child were delivered. Nothing happens the second time.

        The last step of a target: an event whose handling is interrupted behind it is not delivered again.
        """
        if token not in self.targets:
            return
        if self._lease is not None:
            self._lease.drop(token)
        self.native.release(token)
        if not self._permanent:
            self.close_if_unused(token)
        self._callbacks.mailboxes.pop(token, None)
        self.targets.pop(token, None)

    def _forget_ended(self) -> None:
        """Again where it is interrupted."""
        self.native.drop_ended()
        if len(self.targets) <= len(self.ended):
            self.close_if_unused(*self.ended)
        for token in self.ended:
            self.targets.pop(token, None)
            if self._lease is not None:
                self._lease.drop(token)
        self.ended.clear()

    def close_if_unused(self, *last: int) -> None:
        """On a loop that is not ours, where nobody is left, or only the children of these tokens."""
        if not (self._permanent or self._holders or self._launching) and self.targets.keys() <= {*last}:
            self.close()

    def hold(self, holder: object) -> None:
        """It stays open, also without children, for one that has more to launch: until `let_go`, or while that lives."""
        self._holders.add(holder)

    def let_go(self, holder: object) -> None:
        """Nothing happens where it was not held."""
        self._holders.discard(holder)
        self.close_if_unused()

    def close(self) -> None:
        """Closes every descriptor; children live on. Their targets get no more events."""
        try:
            self._close()
        except BaseException:  # a signal's handler raised: nobody may find it any more, or somebody may launch on it
            self._callbacks.post_twice(self.close_if_unused)
            raise

    def _close(self) -> None:
        loop = self._loop()
        if loop is not None and getattr(loop, _ATTRIBUTE, None) is self:
            delattr(loop, _ATTRIBUTE)
        # In a fork the loop's own selector is shared with the parent: taking our entry out there would mute the parent.
        if loop is not None and not self.native.dead and not loop.is_closed():
            loop.remove_reader(self.native.epoll)
        if self._lease is not None:
            self._lease.close()
        self.native.close()
        self.targets.clear()
        self._callbacks.clear()

    def is_stale(self) -> bool:
        """Was its loop closed, and the reactor not?"""
        loop = self._loop()
        return not self.native.dead and (loop is None or loop.is_closed())

    # ---- callbacks ----------------------------------------------------------------------------------------------------

    def soon(self, callback: Callable[[], None], context: contextvars.Context) -> None:
        """Makes a resumable callback soon, in a copy of the context, again until it returns."""
        self._callbacks.soon(callback, context)

    # ---- wake-ups -----------------------------------------------------------------------------------------------------

    def _on_ready(self) -> None:
        self._is_due_again = False
        try:
            if self._lease is not None:
                self._lease.look()
            if self._is_delivered:
                self._batches += 1
                self._is_delivered = False
                self.native.poll()  # nothing comes of one that is dead
            elif self.native.dead:
                return
            self._deliver()
        except BaseException:
            if not self._is_due_again:  # else each of the two would post two more
                self._is_due_again = True
                self._callbacks.post_twice(self._on_ready)
            raise

    def _deliver(self) -> None:
        if self._loop() is None:
            return
        self._is_posted = False
        try:
            deliver(
                self.native.address, self.native.batch, self.targets, self._batches * _MOST_EVENTS, self.ended, self._post
            )
        finally:  # interrupted, it stays where it was: the numbers say what was handled
            if self._is_posted:
                self._callbacks.look_after()
        if self.ended:
            self._forget_ended()
        self._is_delivered = True

    def _post(self, token: int, target: Target, event: _Event) -> None:
        self._is_posted = True
        self._callbacks.mailbox(token, target).put(event)


class _Unheld:
    """The target of a child whose launch was interrupted when it was made."""

    immediate = True

    def __init__(self, reactor: Reactor, token: int) -> None:
        self.context = contextvars.Context()
        self.token = token
        self._reactor = reactor

    def on_event(self, _number: int, kind: int, _stream: int, _value: int, _extra: int, _payload: Any) -> None:
        if kind in _ENDS:
            self._reactor.done(self.token)


def launch_error(number: int, options: Options) -> OSError:
    """What a launch with these options raises for this errno of the native part's."""
    return _in_its_words(OSError(number, os.strerror(number)), options)


def _in_its_words(error: OSError, options: Options) -> OSError:
    """Of a launch with an init."""
    return error if options.init is None else _errors.no_init(error, namespace=options.init_namespace is not None)


def _raise_no_init(error: BaseException, options: Options) -> None:
    """Raises the error in the words for a launch with an init, if it is one."""
    if isinstance(error, OSError) and options.init is not None:
        raise _in_its_words(error, options) from None


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
    return reactor


def close_unused(loop: asyncio.AbstractEventLoop) -> None:
    """For a launch that has failed: a signal's handler may have raised when the reactor was opened, and had no child yet."""
    reactor: Reactor | None = getattr(loop, _ATTRIBUTE, None)
    if reactor is not None and not reactor.native.dead and not loop.is_closed():
        reactor.close_if_unused()


def let_go(loop: asyncio.AbstractEventLoop, holder: object) -> None:
    """The loop's reactor, if there is one, is not held by this any more."""
    reactor: Reactor | None = getattr(loop, _ATTRIBUTE, None)
    if reactor is not None and not reactor.native.dead and not loop.is_closed():
        reactor.let_go(holder)


def _close_stale() -> None:
    """A loop that is not ours reports its closing to nobody: what its children hold would wait for the garbage collector."""
    reactors = [reactor for reference in _opened.reactors if (reactor := reference()) is not None]
    for reactor in reactors:
        if reactor.is_stale():
            reactor.close()
    _opened.reactors = [weakref.ref(reactor) for reactor in reactors if not reactor.native.dead]
