"""A child of asyncio's: launched on a reactor, whose events make the calls of the protocol."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import operator
from typing import TYPE_CHECKING, Any

from aiospawn import _errors
from aiospawn._binding.indivisible import in_one, mark
from aiospawn._binding.library import CHILD_READS, NO_PIPE, PTY, Event
from aiospawn._termination.handles import CgroupHandle
from aiospawn._termination.tree import NativeTree, native_tree

from . import lifecycle
from .lifecycle import Call, Happening, State
from .pending_launch import PendingLaunch
from .read_pipe import ReadPipe
from .stream_protocol import Resumed, only_notes
from .terminal_input import TerminalInput
from .write_pipe import WritePipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiospawn._options.confinement import Confinement
    from aiospawn._request.belongings import Belongings
    from aiospawn._request.request import Request
    from aiospawn._request.tree_cgroup import CgroupPeak

    from .popen_view import ProcessView
    from .reactor import Reactor

__all__ = ["ENDED", "Child", "logger"]

logger = asyncio.log.logger  # type: ignore[attr-defined]
ENDED = (State.EXITED, State.FINISHED, State.FAILED)
_OF_A_PIPE = (Event.DATA, Event.EOF, Event.WRITABLE, Event.READER_GONE)
_LOST = 255
_NO_PIPES = (NO_PIPE, NO_PIPE, NO_PIPE)
_CALLERS: dict[Call, Callable[[Any], object]] = {
    Call.PROCESS_EXITED: operator.methodcaller("process_exited"),
    Call.CONNECTION_LOST: operator.methodcaller("connection_lost", None),
}


class Child(asyncio.SubprocessTransport):
    """One child: its launch, its events, its end. The target of its events, and the owner of its pipes.

    `SubprocessTransport` is what the protocol and programs have of it.
    """

    # No __slots__: programs read and write _proc, _returncode, _closed, _pipes, and hang attributes on transports.
    _closed = True  # until there is something to close

    def __init__(
        self, reactor: Reactor, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, arguments: Any
    ) -> None:
        self._extra: dict[str, Any] = {}  # as asyncio.BaseTransport has it
        self.loop = loop
        self.native = reactor.native
        self.context = contextvars.copy_context()
        self.token = 0
        self.limit: str | None = None  # of its sandbox, that ended it
        self._sandbox: Confinement | None = None
        self._reactor = reactor
        self._protocol: Any = protocol  # None at the end, as in asyncio
        # Other protocols may do anything, in callbacks of their own, and so may the handlers of a log in debug mode.
        self.resumed = Resumed(protocol) if only_notes(protocol) else None
        self.immediate = self.resumed is not None and not loop.get_debug()
        self._number = -1  # of the last event
        self._standing: tuple[State, tuple[Call, ...]] = (State.LAUNCHING, ())  # and the calls that are due
        self._pid: int | None = None
        self._pidfd: int | None = None
        self._returncode: int | None = None
        self._usage: bytes | None = None
        self._view: ProcessView | None = None
        self._pipes: dict[int, ReadPipe | WritePipe] = {}
        self._open_pipes = 0  # bit n: stream n
        self._loss_noted = self._is_done = False
        self._exit_waiters: list[asyncio.Future[int]] | None = None
        self.launch: PendingLaunch | None = None
        self._tree: NativeTree | None = None  # where it is more than the child
        self._belongings: Belongings | None = None
        self._arguments = arguments  # as Popen.args: a list, or a shell's command

    @property
    def _state(self) -> State:
        return self._standing[0]

    # ---- the launch ---------------------------------------------------------------------------------------------------

    def start(self, request: Request) -> Awaitable[None]:
        """Makes the child and waits until its program runs. Cancelled meanwhile: kills and reaps it first."""
        pipes = request.program.plan.pipes
        if pipes != _NO_PIPES:
            self._make_pipes(pipes)
        self.launch = PendingLaunch(self, request, self.loop)
        return self.launch.concluded(self._make_child)

    def _make_pipes(self, pipes: tuple[int, int, int]) -> None:
        if pipes[0] == PTY:
            self._pipes = {0: TerminalInput(self, 0), 1: ReadPipe(self, 1)}
        else:
            for stream, kind in enumerate(pipes):
                if kind != NO_PIPE:
                    self._pipes[stream] = (WritePipe if kind == CHILD_READS else ReadPipe)(self, stream)
        for stream in self._pipes:
            self._open_pipes |= 1 << stream

    def _make_child(self, request: Request) -> None:
        self._belongings = request.belongings
        _, self._pid, self._pidfd = self._reactor.launch(request, self)
        self._closed = False
        self._sandbox = request.options.sandbox
        options = request.options
        if request.program.leads_group or options.cgroup is not None or options.init is not None:
            self._tree = self._tree_of(request)

    def _tree_of(self, request: Request) -> NativeTree:
        options, leads_group = request.options, request.program.leads_group
        assert self._pid is not None
        return native_tree(
            self.native,
            self.token,
            self._pid,
            leads_group=leads_group,
            has_init=options.init is not None,
            cgroup=None if options.cgroup is None else CgroupHandle(options.cgroup),
        )

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

    # Resumable, each of these: interrupted anywhere it is run again with the same event (`_indivisible`).

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """One event of the reactor, as a callback of the loop, in this process's context."""
        if number <= self._number:
            return
        if kind in _OF_A_PIPE:
            self._pipes[stream].on_event(number, kind, value, payload)
        elif kind == Event.STARTED:
            self._started()
        elif kind == Event.EXITED:
            if self._sandbox is not None:
                self.limit = self._sandbox.limit_of(extra >> 8, value)
            self._exited(value, payload, lost=bool(extra & 2))
        elif kind == Event.FAILED:
            request = None if self.launch is None else self.launch.request  # None once the failure was reported
            self._failed(None if request is None else request.failure(value, extra, payload))
        else:
            self._failed(_errors.child_died(value))
        self._number = number

    def _started(self) -> None:
        try:
            self._happened(Happening.STARTED)
        finally:
            state, calls = self._standing
            if state is not State.LAUNCHING and not calls and self.launch is not None:  # else it was interrupted
                self.launch.over(None)
        if not self._open_pipes:
            self._happened(Happening.UNPIPED)

    def _failed(self, error: Exception | None) -> None:
        for pipe in self._pipes.values():
            pipe.forget()
        self._pipes.clear()
        self._open_pipes = 0
        self._closed = True
        self._tree = None
        self._end_belongings()
        self._happened(Happening.FAILED)
        if error is not None and self.launch is not None:
            self.launch.over(error)
        self._wake_waiters(_LOST)
        self._reactor.done(self.token)

    def _exited(self, returncode: int, usage: bytes | None, *, lost: bool) -> None:
        if lost and not self._loss_noted:
            # In a callback of its own: the handlers of a log may do anything, and may ask for the context.
            warn = functools.partial(self.loop.call_soon, logger.warning, _errors.STATUS_LOST, self._pid)
            in_one(mark(self, "_loss_noted", value=True), functools.partial(self.context.run, warn))
        self._usage = usage
        if self._belongings is not None:
            self._end_belongings()
        self._process_exited(returncode)

    def _process_exited(self, returncode: int) -> None:
        state = self._standing[0]
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
            if self._standing[0] is State.FINISHED:
                self._finish()

    def pipe_lost(self, stream: int) -> None:
        """A pipe has reported its end. The second time nothing happens."""
        self._open_pipes &= ~(1 << stream)
        if not self._open_pipes:
            try:
                self._happened(Happening.UNPIPED)
            finally:
                if self._standing[0] is State.FINISHED:
                    self._finish()

    def soon(self, callback: Callable[[], None]) -> None:
        """For its pipes: makes a resumable callback soon, again until it returns."""
        self._reactor.soon(callback, self.context)

    def _happened(self, happening: Happening) -> None:
        if self._standing[1]:
            self._make_due_calls()  # of what happened before
        transition = lifecycle.TRANSITIONS.get((self._standing[0], happening))
        if transition is None:  # reported twice: after an interruption, or by a program that calls _process_exited itself
            return
        self._standing = transition
        if transition[1]:
            self._make_due_calls()

    def _make_due_calls(self) -> None:
        """The protocol's calls, each in turn even if one raises, and once."""
        state, (call, *rest) = self._standing
        made, resumed = (state, (*rest,)), self.resumed
        try:
            if resumed is None:
                in_one(mark(self, "_standing", made), functools.partial(self._caller(call), self._protocol))
            elif call is Call.CONNECTION_MADE:
                if not self.immediate:
                    self._log_start()
                resumed.connection_made(self)
                self._standing = made
            else:
                _CALLERS[call](resumed)
                self._standing = made
        finally:
            if self._standing[1]:
                self._make_due_calls()

    def _caller(self, call: Call) -> Callable[[Any], object]:
        if call is not Call.CONNECTION_MADE:
            return _CALLERS[call]
        self._log_start()
        return operator.methodcaller("connection_made", self)

    def _log_start(self) -> None:
        if self.loop.get_debug():
            logger.debug("process %r created: pid %s", self._program, self._pid)

    def _wake_waiters(self, returncode: int) -> None:
        for waiter in self._exit_waiters or ():
            if not waiter.done():
                waiter.set_result(returncode)
        self._exit_waiters = None

    def _finish(self) -> None:
        """Releases everything, once no call of the protocol is left to make."""
        state, calls = self._standing
        if state is not State.FINISHED or calls or self._is_done:
            return
        self._protocol = self.resumed = None
        if self._tree is not None:
            self._tree.outlive_child()
        self._reactor.done(self.token)
        self._is_done = True

    def exit_waiter(self) -> asyncio.Future[int]:
        """A future of the return code, done when the child is reaped."""
        waiter: asyncio.Future[int] = self.loop.create_future()
        if self._exit_waiters is None:  # an empty list for each child alive would have 56 bytes
            self._exit_waiters = []
        self._exit_waiters.append(waiter)
        return waiter

    def _end_belongings(self) -> None:
        if self._belongings is not None:
            self._belongings.end()

    @property
    def cgroup_peak(self) -> CgroupPeak | None:
        """Of a tree with a cgroup of its own; None before its exit was seen."""
        return None if self._belongings is None else self._belongings.peak

    @property
    def _program(self) -> Any:
        """What may be logged: the arguments may be secret."""
        return self._arguments if isinstance(self._arguments, (str, bytes)) else self._arguments[0]
