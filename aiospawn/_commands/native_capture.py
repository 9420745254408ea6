"""A capture of a child on a reactor, whose events it receives itself."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import operator
import os
from typing import TYPE_CHECKING, Any

from aiospawn import _errors
from aiospawn._binding.indivisible import exhaust, in_one, mark
from aiospawn._binding.library import CHILD_READS, Event, Watch
from aiospawn._termination.handles import CgroupHandle
from aiospawn._termination.tree import native_tree

from .capture import Capture

if TYPE_CHECKING:
    from aiospawn._asyncio.reactor import Reactor
    from aiospawn._request.request import Request
    from aiospawn._termination.tree import NativeTree

    from .plain_child import Owner, PlainChild

__all__ = ["NativeCapture"]

_logger = asyncio.log.logger  # type: ignore[attr-defined]
_OFF, _IDLE, _READ, _WRITE = int(Watch.OFF), int(Watch.IDLE), int(Watch.READ), int(Watch.WRITE)
_WRITE_SIZE = 256 * 1024


class NativeCapture(Capture):
    """On a reactor: the target of its child's events."""

    __slots__ = ("_belongings", "_cgroup", "_loss_noted", "_number", "_reactor", "_request", "context", "immediate", "token")

    def __init__(self, reactor: Reactor, request: Request, loop: asyncio.AbstractEventLoop, **keywords: Any) -> None:
        super().__init__(loop, **keywords)
        self.context = contextvars.copy_context()
        self.immediate = self._observer is None
        self._reactor = reactor
        self._request = request
        self._number = -1  # of the last event
        self._loss_noted = False
        self._cgroup: CgroupHandle | None = None
        self._belongings = request.belongings
        self.token = 0

    def launch(self, keeper: list[Capture]) -> NativeCapture:
        """Makes the child, which `keeper` has from then on. Raises OSError; then nothing was made."""
        request = self._request
        plan = request.program.plan
        self._pipes = plan.open_pipes()
        try:  # the observer may leave the program, a signal's handler may raise anywhere
            keeper.append(self)
            _, self.pid, _ = self._reactor.launch(request, self)
            if request.options.cgroup is not None:
                self._cgroup = CgroupHandle(request.options.cgroup)
            if self._observer is not None:
                self._observer.spawned(self.pid)
            if plan.pipes[0] == CHILD_READS and (self._input is None or not self._input.has_more):
                self._feed()
        except BaseException as exc:
            if self.token:
                self.abandon()
                raise
            if self in keeper:
                keeper.remove(self)
            if self._observer is not None and isinstance(exc, OSError):
                self._observer.failed(exc)
            raise
        return self

    @classmethod
    def taking_over(cls, child: PlainChild, request: Request, reactor: Reactor, owner: Owner) -> NativeCapture:
        """One that goes on where the child's target has got to, which passes events on to it from now on."""
        capture = cls(reactor, request, owner.loop, pipe_grace=owner.pipe_grace, limit=owner.limit)
        capture.context = child.context
        capture.token, capture.pid, capture.began = child.token, child.pid, child.began
        capture._number = child.number
        capture._pipes = request.program.plan.open_pipes()  # their ends come with its exit
        for number, stream, data, size in child.chunks or ():
            capture.chunks[stream].append(data)
            capture._collected = number
            if owner.limit is not None:
                capture._left = owner.limit - size
        return capture

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """One event of the reactor, in the context of the launching call if there is an observer."""
        if number <= self._number:
            return
        if kind == Event.DATA:
            self._received(number, stream, payload)
        elif kind == Event.EOF:
            self._pipe_ended(stream)
        elif kind == Event.EXITED:
            self._pipes &= ~stream  # the pipes that ended before it
            if extra & 2 or self._request.options.sandbox is not None:
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

    def _exited(self, returncode: int, usage: bytes | None) -> None:
        self._end_belongings()
        super()._exited(returncode, usage)

    def _failed(self, error: Exception) -> None:
        self._end_belongings()
        super()._failed(error)

    def _end_belongings(self) -> None:
        if self._belongings is not None:
            self._belongings.end()
            self.cgroup_peak = self._belongings.peak

    def _feed(self) -> None:
        """Writes what the pipe takes; the end of the input closes it."""
        native, source = self._reactor.native, self._input
        try:
            if source is not None and source.unwritten:
                with contextlib.suppress(BlockingIOError, InterruptedError):
                    # In one: a signal's handler might raise behind the write, and it would be written again.
                    rest = source.unwritten
                    written = map(os.write, (native.stream(self.token, 0),), (rest[:_WRITE_SIZE],))
                    unwritten = map(operator.getitem, (rest,), map(slice, written, (None,)))
                    exhaust(map(functools.partial(setattr, source, "unwritten"), unwritten))
            if source is not None and (source.unwritten or source.has_more):
                native.watch(self.token, 0, _WRITE if source.unwritten else _IDLE)
                if not source.unwritten:
                    source.report_written()
                return
        except OSError:
            pass  # nobody reads it any more: no error, as in subprocess
        self._close_input()

    def _close_input(self) -> None:
        self._reactor.native.shut(self.token, 0)
        self._drop_input()
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
