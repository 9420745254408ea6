"""A child whose output is collected, or handed on: one object, one future, neither transport nor stream before the bytes.

How such a child ends:

 - Its future is done when it is reaped and every pipe has ended, or when its launch has failed.
 - A pipe that somebody else holds is given up `pipe_grace` seconds after the exit.
 - Whoever loses patience earlier (a timeout, too much output, a cancellation) calls `stop`, which ends its tree.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import enum
import functools
import operator
import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

from aiospawn import _errors
from aiospawn._binding import library
from aiospawn._binding.indivisible import exhaust, in_one, mark
from aiospawn._binding.library import CHILD_READS, NO_PIPE, Event, Watch
from aiospawn._termination.handles import CgroupHandle
from aiospawn._termination.terminate import ended, note
from aiospawn._termination.tree import native_tree

if TYPE_CHECKING:
    from aiospawn._asyncio.reactor import Reactor
    from aiospawn._request.request import Request
    from aiospawn._termination.tree import NativeTree, Tree

    from .events import Observer
    from .output_queue import OutputQueue

__all__ = ["Capture", "Ending", "NativeCapture"]

_logger = asyncio.log.logger  # type: ignore[attr-defined]
_OFF, _IDLE, _READ, _WRITE = int(Watch.OFF), int(Watch.IDLE), int(Watch.READ), int(Watch.WRITE)
_WRITE_SIZE = 256 * 1024
_MOST_LEFT = 1024 * 1024  # bytes that a pipe holds
_REST_S = 1.0  # for the end of the pipes of a child that was stopped: only somebody outside of its tree can still hold one

_E = TypeVar("_E", bound=BaseException)


class Ending(enum.Enum):
    """How waiting for a child came to its end."""

    COMPLETE = "it is reaped, its pipes have ended"
    CUT = "it is reaped, a pipe was given up"
    TIMED_OUT = "it had its time"
    TOO_MUCH = "it wrote more than it may"
    FAILED = "it could not be launched"
    UNFED = "what was to be its input raised"


_BY_ITSELF = (Ending.COMPLETE, Ending.CUT, Ending.FAILED)


class Capture:
    """One child, whoever launched it: what came of it so far, and how to stop it."""

    __slots__ = (
        "_collected",
        "_emptied",
        "_exit",
        "_failure",
        "_has_more",
        "_input",
        "_is_end_told",
        "_is_let_go",
        "_observer",
        "_pipe_grace",
        "_pipes",
        "_refusal",
        "_room",
        "_timers",
        "_written",
        "began",
        "chunks",
        "elapsed",
        "limit",
        "loop",
        "output_queue",
        "over",
        "pid",
        "returncode",
        "usage",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        data: Any = b"",
        pipe_grace: float | None = None,
        limit: int | None = None,
        observer: Observer | None = None,
        output_queue: OutputQueue | None = None,
        has_more: bool = False,
    ) -> None:
        """`data` is for its standard input, behind which `has_more` comes by `feed`; `limit` the most bytes of its output.

        That is collected, or goes to `output_queue`.
        """
        self.loop = loop
        self.over: asyncio.Future[Ending] = loop.create_future()
        self.chunks: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])  # by stream
        self._collected = -1  # the number of the last event whose data is there
        self.pid = 0
        self.returncode: int | None = None
        self.usage: bytes | None = None
        self.limit: str | None = None  # of its sandbox, that ended it
        self.began = time.perf_counter()  # uvloop's own clock counts milliseconds, at the turn of the loop
        self.elapsed = 0.0
        self._input: memoryview | None = memoryview(data)
        self._has_more = has_more
        self._written: asyncio.Future[None] | None = None  # for who feeds it
        self.output_queue = output_queue
        self._room = limit
        self._pipes = 0  # that are open: bit n for stream n
        self._pipe_grace = pipe_grace
        self._observer = observer
        self._timers: list[asyncio.TimerHandle] = []
        self._exit: asyncio.Future[None] | None = None  # for whoever stops it
        self._emptied: asyncio.Future[None] | None = None  # done when no pipe is open, for whoever stops it
        self._is_end_told = False  # to the observer
        self._is_let_go = False  # to be released when it is reaped
        self._failure: Exception | None = None
        self._refusal: PermissionError | None = None

    def output(self, stream: int) -> bytes:
        """What came so far."""
        return b"".join(self.chunks[stream])

    def interrupt_after(self, delay: float, ending: Ending) -> None:
        """Ends the waiting then, unless it is over."""
        self._timers.append(self.loop.call_later(delay, self.interrupt, ending))

    def interrupt(self, ending: Ending) -> None:
        """Ends the waiting: `stop` is to follow."""
        if not self.over.done():
            self.over.set_result(ending)

    # ---- what happens to it -------------------------------------------------------------------------------------------

    # Resumable, each of these: interrupted anywhere it may be called again (`_indivisible`).

    def _received(self, number: int, stream: int, data: bytes) -> None:
        """`number` is the event's."""
        if number <= self._collected:
            if self.output_queue is not None:
                self.output_queue.came(self)
            return
        room = self._room
        if room is not None:
            if len(data) > room:
                data = data[:room]
                self.interrupt(Ending.TOO_MUCH)
            room -= len(data)
        taken = mark(self, "_room", room), mark(self, "_collected", number)
        if self.output_queue is None:
            in_one(*taken, functools.partial(self.chunks[stream].append, data))
        else:
            self.output_queue.put(self, stream, data, taken)

    def _pipe_ended(self, stream: int) -> None:
        self._pipes &= ~(1 << stream)
        if not self._pipes and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)
        self._settle(Ending.COMPLETE)

    def _exited(self, returncode: int, usage: bytes | None) -> None:
        if self.returncode is None:
            self.elapsed = time.perf_counter() - self.began
        self.returncode = returncode
        self.usage = usage
        try:
            if self._observer is not None and not self._is_end_told:
                told = mark(self, "_is_end_told", value=True)
                self._observer.exited(returncode, None if usage is None else library.rusage(usage), told)
        finally:  # it may leave the program
            if self._observer is None or self._is_end_told:
                self._end()

    def _end(self) -> None:
        self._tell_exit()
        if self._pipes and self._pipe_grace is not None:
            self._timers.append(self.loop.call_later(self._pipe_grace, self._give_pipes_up))
        self._settle(Ending.COMPLETE)
        if self._is_let_go:
            self._release()

    def _failed(self, error: Exception) -> None:
        self.returncode = 255
        try:
            if self._observer is not None and not self._is_end_told:
                self._observer.failed(error, mark(self, "_is_end_told", value=True))
        finally:
            if self._observer is None or self._is_end_told:
                self._end_in_failure(error)

    def _end_in_failure(self, error: Exception) -> None:
        self._tell_exit()
        if self._exit is None and not self.over.done():  # else whoever stops or abandons it lets go of it
            self._failure = error
            self.over.set_result(Ending.FAILED)
        if self._is_let_go or (self._exit is None and self.has_failed()):
            self._release()

    def has_failed(self) -> bool:
        """Could it not be launched? Whoever waits has been told, or is told now."""
        return self.over.done() and not self.over.cancelled() and self.over.result() is Ending.FAILED

    def is_over(self) -> bool:
        """Has it ended by itself, or failed? Then there is nothing to stop."""
        return self.over.done() and not self.over.cancelled() and self.over.result() in _BY_ITSELF

    def failure(self) -> Exception:
        """What the launch failed with. It is let go of: the traceback of whoever raises it refers to the child."""
        failure, self._failure = self._failure, None
        assert failure is not None
        return failure

    def _tell_exit(self) -> None:
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(None)

    def _give_pipes_up(self) -> None:
        try:
            if (
                self.output_queue is not None and self.output_queue.is_paused
            ):  # whoever takes the output keeps it, not the writer
                assert self._pipe_grace is not None
                self._timers.append(self.loop.call_later(self._pipe_grace, self._give_pipes_up))
                return
            self._pipes = 0
            self._settle(Ending.CUT)
        except BaseException:  # a signal's handler raised
            self.loop.call_soon(self._give_pipes_up)
            raise

    def _settle(self, ending: Ending) -> None:
        if self.returncode is None or self._pipes:
            return
        if not self.over.done():
            self.over.set_result(ending)
        if self._exit is None and not self.over.cancelled() and self.over.result() in (Ending.COMPLETE, Ending.CUT):
            self._release()  # else whoever stops it lets go of it

    # ---- input and output, while it runs ------------------------------------------------------------------------------

    async def feed(self, data: Any) -> bool:
        """Writes this to its standard input. False if nobody reads that any more."""
        if self._input is None:
            return False
        self._input = memoryview(data)
        self._feed()
        while self._input:
            self._written = self.loop.create_future()
            try:
                await self._written
            finally:
                self._written = None
        return self._input is not None

    def end_input(self) -> None:
        """Nothing more is fed."""
        self._has_more = False
        if self._input is not None:
            self._feed()

    def _tell_written(self) -> None:
        if self._written is not None and not self._written.done():
            self._written.set_result(None)

    def _feed(self) -> None:
        """Writes of the input what the pipe takes, and closes it at the end."""
        raise NotImplementedError

    def pause_output(self) -> None:
        """Reads no more from its pipes, until `resume_output`; what is on its way comes."""
        raise NotImplementedError

    def resume_output(self) -> None:
        raise NotImplementedError

    # ---- its end ------------------------------------------------------------------------------------------------------

    async def stop(self, grace: float, *, read_out: bool = False) -> None:
        """Ends the child and its tree (`terminate`). A program that may not be signalled goes on; `noted` tells.

        `read_out`: also what it wrote before its end is collected, which the pipes still hold when it is reaped.
        """
        if self._exit is None:
            self._exit = self.loop.create_future()
            if self.returncode is not None:
                self._exit.set_result(None)
        try:
            await ended(self._tree, self._exit, grace)
            if read_out and self._pipes:
                if self.output_queue is not None:
                    self.output_queue.let_in(_MOST_LEFT)
                self._emptied = self.loop.create_future()
                await asyncio.wait([self._emptied], timeout=self._rest_s())
        except PermissionError as refusal:
            self._refusal = refusal
        finally:
            self._release_at_exit()

    def _rest_s(self) -> float:
        return _REST_S if self._pipe_grace is None else min(self._pipe_grace, _REST_S)

    def noted(self, exception: _E) -> _E:
        """The exception, which tells what was not stopped."""
        if self._refusal is not None:
            note(exception, self._refusal)
        return exception

    def abandon(self) -> None:
        """Kills it at once and waits for nothing: for a coroutine that is thrown away, as with a loop closed under it."""
        if self.loop.is_closed():
            return
        self.over.cancel()
        self._tree.kill()
        self._release_at_exit()

    def _release_at_exit(self) -> None:
        self._is_let_go = True
        if self.returncode is not None:
            self._release()

    def _release(self) -> None:
        """Lets go of what it holds. The second time nothing happens."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._forget()

    def _forget(self) -> None:
        raise NotImplementedError

    @property
    def _tree(self) -> Tree:
        raise NotImplementedError


class NativeCapture(Capture):
    """On a reactor: the target of its child's events."""

    __slots__ = ("_cgroup", "_loss_noted", "_number", "_reactor", "_request", "context", "immediate", "token")

    def __init__(self, reactor: Reactor, request: Request, loop: asyncio.AbstractEventLoop, **keywords: Any) -> None:
        """Makes the child. Raises OSError; then nothing was made."""
        super().__init__(loop, **keywords)
        self.context = contextvars.copy_context()
        self.immediate = self._observer is None
        self._reactor = reactor
        self._request = request
        self._number = -1  # of the last event
        self._loss_noted = False
        self._cgroup: CgroupHandle | None = None
        self.token = 0
        pipes = request.program.plan.pipes
        for stream, kind in enumerate(pipes):
            if kind != NO_PIPE:
                self._pipes |= 1 << stream
        try:  # the observer may leave the program, a signal's handler may raise anywhere
            _, self.pid, _ = reactor.launch(request, self)
            if request.options.cgroup is not None:
                self._cgroup = CgroupHandle(request.options.cgroup)
            if self._observer is not None:
                self._observer.spawned(self.pid)
            if pipes[0] == CHILD_READS and not self._has_more:
                self._feed()
        except BaseException as exc:
            if self.token:
                self.abandon()
            elif self._observer is not None and isinstance(exc, OSError):
                self._observer.failed(exc)
            raise

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """One event of the reactor, in the context of whoever launched the child if there is an observer."""
        if number <= self._number:
            return
        if kind == Event.DATA:
            self._received(number, stream, payload)
        elif kind == Event.EOF:
            self._pipe_ended(stream)
        elif kind == Event.EXITED:
            self._judge_exit(value, extra)
            self._exited(value, payload)
        elif kind == Event.WRITABLE:
            self._feed()
        elif kind == Event.READER_GONE:
            self._close_input()
        elif kind != Event.STARTED:
            died = kind == Event.DIED
            error = _errors.child_died(value) if died else self._request.failure(value, extra, payload)
            self._failed(error)
        elif self._observer is not None:
            self._observer.executed(mark(self, "_number", number))
        self._number = number

    def _judge_exit(self, value: int, extra: int) -> None:
        sandbox = self._request.options.sandbox
        if sandbox is not None:
            self.limit = sandbox.limit_of(extra >> 8, value)
        if extra & 2 and not self._loss_noted:
            # In a callback of its own: the handlers of a log may do anything, and may ask for the context.
            warn = functools.partial(self.loop.call_soon, _logger.warning, _errors.STATUS_LOST, self.pid)
            in_one(mark(self, "_loss_noted", value=True), functools.partial(self.context.run, warn))

    def _feed(self) -> None:
        """Writes what the pipe takes; the end of the input closes it."""
        native, rest = self._reactor.native, self._input
        try:
            if rest:
                with contextlib.suppress(BlockingIOError, InterruptedError):
                    # In one: a signal's handler might raise behind the write, and it would be written again.
                    written = map(os.write, (native.stream(self.token, 0),), (rest[:_WRITE_SIZE],))
                    unwritten = map(operator.getitem, (rest,), map(slice, written, (None,)))
                    exhaust(map(functools.partial(setattr, self, "_input"), unwritten))
            if self._input or self._has_more:
                native.watch(self.token, 0, _WRITE if self._input else _IDLE)
                if not self._input:
                    self._tell_written()
                return
        except OSError:
            pass  # nobody reads it any more: no error, as in subprocess
        self._close_input()

    def _close_input(self) -> None:
        self._input = None
        self._reactor.native.shut(self.token, 0)
        self._tell_written()
        self._pipe_ended(0)

    def pause_output(self) -> None:
        self._watch_output(_OFF)

    def resume_output(self) -> None:
        self._watch_output(_READ)

    def _watch_output(self, how: int) -> None:
        for stream in (1, 2):
            with contextlib.suppress(OSError):  # it has ended, or is no pipe
                self._reactor.native.watch(self.token, stream, how)

    def _forget(self) -> None:
        self._input = None
        self._cgroup = None
        self._reactor.done(self.token)

    @property
    def _tree(self) -> NativeTree:
        program, has_init = self._request.program, self._request.options.init is not None
        native, cgroup = self._reactor.native, self._cgroup
        return native_tree(native, self.token, self.pid, leads_group=program.leads_group, has_init=has_init, cgroup=cgroup)
