"""A child of asyncio's: launched on a reactor, whose events make the calls of the protocol."""

from __future__ import annotations

import contextvars
import functools
from typing import TYPE_CHECKING, Any

from aiospawn import _errors
from aiospawn._binding.indivisible import in_one, mark
from aiospawn._binding.library import NO_PIPE, Event, know_children
from aiospawn._options.options import DEFAULTS
from aiospawn._request.joined_request import JoinedRequest
from aiospawn._termination.handles import CgroupHandle
from aiospawn._termination.tree import NativeTree, native_tree

from .lifecycle import SETTLED, Happening, State
from .pipe_owner import PipeOwner
from .standing import logger
from .stream_protocol import Resumed, StreamProtocol, only_notes

if TYPE_CHECKING:
    import asyncio

    from aiospawn._binding.native import Native
    from aiospawn._options.confinement import Confinement
    from aiospawn._request.belongings import Belongings
    from aiospawn._request.request import Request

    from .popen_view import ProcessView
    from .reactor import Reactor

__all__ = ["ENDED", "Child"]

ENDED = (State.EXITED, State.FINISHED, State.FAILED)
_RUNNING, _UNPIPED, _FINISHED = SETTLED[State.RUNNING], SETTLED[State.UNPIPED], SETTLED[State.FINISHED]
_OF_A_PIPE = (Event.DATA, Event.EOF, Event.WRITABLE, Event.READER_GONE)
_START, _EXIT, _FAILURE = Event.STARTED, Event.EXITED, Event.FAILED
_LOST = 255
_NO_PIPES = (NO_PIPE, NO_PIPE, NO_PIPE)


class Child(PipeOwner):
    """One child: its launch, its events, its end. The target of its events, and the owner of its pipes.

    `SubprocessTransport` is what the protocol and programs have of it.
    """

    # What is here is a child's own once it is another.
    _closed = True  # until there is something to close
    token = 0
    limit: str | None = None  # of its sandbox, that ended it
    launch: asyncio.Future[None] | None = None  # of the coroutine that waits until the program runs; None behind that
    request: Request | JoinedRequest | None = None  # which names what fails; likewise
    is_plain = True
    """Is its end that of the child alone? Not with a tree, a sandbox or a cgroup."""
    _sandbox: Confinement | None = None
    _number = -1  # of the last event
    _pidfd: int | None = None
    _returncode: int | None = None
    _usage: bytes | None = None
    _view: ProcessView | None = None
    _loss_noted = _is_done = False
    _exit_waiters: list[asyncio.Future[int]] | None = None
    _tree: NativeTree | None = None  # where it is more than the child
    _belongings: Belongings | None = None

    def __init__(
        self, reactor: Reactor, loop: asyncio.AbstractEventLoop, protocol: Any, arguments: Any, *, debug: bool
    ) -> None:
        self.loop = loop
        self._protocol = protocol
        self.native = reactor.native
        self.context = contextvars.copy_context()
        self._reactor = reactor
        if type(protocol) is StreamProtocol or only_notes(protocol):
            # Other protocols may do anything, in callbacks of their own, and so may the handlers of a log in debug mode.
            self.resumed = Resumed(protocol)
            self.immediate = not debug
        self._arguments = arguments

    # ---- the launch ---------------------------------------------------------------------------------------------------

    def start(self, request: Request) -> asyncio.Future[None]:
        """Makes the child. The future is done when its program runs, or cannot be run.

        It may be interrupted anywhere, by a signal's handler that raises: then the child is to be `abandoned`, as where
        nobody waits for the future any more.
        """
        if request.program.plan.pipes != _NO_PIPES:
            self._make_pipes(request.program.plan.open_pipes(), request.program.plan)
        self.request = request
        self.launch = launch = self.loop.create_future()
        if request.belongings is not None:
            self._belongings = request.belongings
        options = request.options
        self.is_plain = options is DEFAULTS
        _, self._pid, self._pidfd = self._reactor.launch(request, self)
        self._closed = False
        if not self.is_plain:
            self._sandbox = options.sandbox
            if request.program.leads_group or options.cgroup is not None or options.init is not None:
                self._tree = _tree(self.native, self.token, self._pid, request)
        return launch

    def start_joined(self, joined: JoinedRequest, arguments: list[Any]) -> asyncio.Future[None]:
        """As `start`, of a request without options."""
        if joined.pipes:
            self._make_pipes(joined.pipes, joined.program.plan)
        self.request = joined
        self.launch = launch = self.loop.create_future()
        self._reactor.launch_plain(joined, arguments, self)
        self._closed = False
        return launch

    @functools.cached_property
    def _extra(self) -> dict[str, Any]:
        """As asyncio.BaseTransport has it."""
        return {}

    def is_made(self) -> bool:
        """For its launch: is there a child, as far as the native part knows, which has not failed?"""
        return bool(self.token) and self._state is not State.FAILED

    def has_ended(self) -> bool:
        """Is the child reaped, with its pipes open or not?"""
        return self._state in ENDED

    def kill_tree(self) -> None:
        """Kills the child and its tree at once, and closes the pipes."""
        self._closed = False  # the launch was interrupted before it knew of the child
        self.close()
        if self._tree is not None:
            self._tree.kill()

    # ---- events -------------------------------------------------------------------------------------------------------

    # Resumable, each of these: interrupted anywhere it is run again with the same event (`_indivisible`). Of a protocol that
    # runs nobody else's code the native part handles the usual ones, in the same way (`plain/asyncio_child.c`).

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """One event of the reactor, as a callback of the loop, in this process's context."""
        if number <= self._number:
            return
        if kind in _OF_A_PIPE:
            self._pipes[stream].on_event(number, kind, value, payload)
        elif kind == _START:
            self._started()
        elif kind == _EXIT:
            if extra & 2 or self._sandbox is not None:
                self._judge_exit(value, extra)
            self._usage = payload
            if self._belongings is not None:
                self._belongings.end()
            self._process_exited(value)
        elif kind == _FAILURE:
            request = self.request  # None once the failure was reported
            if isinstance(request, JoinedRequest):
                request = request.request([self._executable])
            self._failed(None if request is None else request.failure(value, extra, payload))
        else:
            self._failed(_errors.child_died(value))
        self._number = number

    def _started(self) -> None:
        try:
            self._happened(Happening.STARTED)
        finally:
            state, calls = self._standing
            if state is not State.LAUNCHING and not calls:  # else it was interrupted
                self._conclude_launch(None)
        if not self._open_pipes:
            self._happened(Happening.UNPIPED)

    def _conclude_launch(self, error: Exception | None) -> None:
        launch = self.launch
        if launch is not None:
            if not launch.done():
                if error is None:
                    launch.set_result(None)
                else:
                    launch.set_exception(error)
            if error is not None and not launch.cancelled():
                launch.exception()  # retrieved, also where the caller is cancelled in this moment
            self.launch = self.request = None

    def _failed(self, error: Exception | None) -> None:
        self.forget_pipes()
        self._closed = True
        self._tree = None
        if self._belongings is not None:
            self._belongings.end()
        self._happened(Happening.FAILED)
        if error is not None:
            self._conclude_launch(error)
        self._wake_waiters(_LOST)
        self._reactor.done(self.token)

    def _judge_exit(self, value: int, extra: int) -> None:
        if self._sandbox is not None:
            self.limit = self._sandbox.limit_of(extra >> 8, value)
        if extra & 2 and not self._loss_noted:
            # In a callback of its own: the handlers of a log may do anything, and may ask for the context.
            warn = functools.partial(self.loop.call_soon, logger.warning, _errors.STATUS_LOST, self._pid)
            in_one(mark(self, "_loss_noted", value=True), functools.partial(self.context.run, warn))

    def _process_exited(self, returncode: int) -> None:
        state = self._state
        if state is State.FAILED:
            return
        if self._returncode is None:
            self._returncode = returncode
        if state not in ENDED and not self.immediate and self.loop.get_debug():
            logger.info("%r exited with return code %r", self, returncode)
        self._pidfd = None
        try:
            self._happened(Happening.EXITED)
        finally:
            # The waiting tasks continue after this callback: after connection_lost, where that was due.
            if self._exit_waiters is not None:
                self._wake_waiters(self._returncode)
            self._finish_if_over()
        self.rest_if_paused()

    def _wake_waiters(self, returncode: int) -> None:
        for waiter in self._exit_waiters or ():
            if not waiter.done():
                waiter.set_result(returncode)
        self._exit_waiters = None

    def _finish_if_over(self) -> None:
        """Releases everything, once no call of the protocol is left to make."""
        if self._standing is not _FINISHED or self._is_done:
            return
        # An exit that was interrupted does not come again, where the end of a pipe behind it came first.
        if self._exit_waiters is not None and self._returncode is not None:
            self._wake_waiters(self._returncode)
        self._protocol = self.resumed = None
        if self._tree is not None:
            self._tree.outlive_child()
        self._reactor.done(self.token)
        self._is_done = True

    def exit_waiter(self) -> asyncio.Future[int]:
        """A future of the return code, done when the child is reaped."""
        waiter: asyncio.Future[int] = self.loop.create_future()
        if self._exit_waiters is None:  # an empty list for each child alive would have 56 bytes
            self._exit_waiters = [waiter]
        else:
            self._exit_waiters.append(waiter)
        return waiter


def _tree(native: Native, token: int, pid: int, request: Request) -> NativeTree:
    options = request.options
    return native_tree(
        native,
        token,
        pid,
        leads_group=request.program.leads_group,
        has_init=options.init is not None,
        cgroup=None if options.cgroup is None else CgroupHandle(options.cgroup),
    )


if know_children is not None:
    know_children(Child, *(SETTLED[state] for state in (State.LAUNCHING, State.RUNNING, State.UNPIPED, State.FINISHED)))
