"""A child whose output is collected, or handed on: one object, one future, neither transport nor stream before the bytes.

How such a child ends:

 - Its future is done when it is reaped and every pipe has ended, or when its launch has failed.
 - A pipe that somebody else holds is given up `pipe_grace` seconds after the exit.
 - Where it is not to be waited for so long (a timeout, too much output, a cancellation), `stop` ends its tree.
"""

from __future__ import annotations

import enum
import functools
import time
from typing import TYPE_CHECKING, Any, TypeVar

from aiospawn._binding import library
from aiospawn._binding.indivisible import in_one, mark
from aiospawn._termination.terminate import note

from .input import Input
from .stopping import Stopping

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from aiospawn._request.tree_cgroup import CgroupPeak
    from aiospawn._termination.tree import Tree

    from .events import Observer
    from .output_queue import OutputQueue

__all__ = ["Capture", "Ending", "drop"]

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


def _paused(queue: OutputQueue | None) -> float:
    """For how many seconds pipes were not read: by the reader's doing, not that of who may hold them."""
    return 0.0 if queue is None else queue.paused


class Capture:
    """One child, natively launched or not: what came of it so far, and how to stop it."""

    __slots__ = (
        "_collected",
        "_failure",
        "_input",
        "_left",
        "_observer",
        "_pipe_grace",
        "_pipes",
        "_releases_at_exit",
        "_stopping",
        "_timers",
        "began",
        "cgroup_peak",
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
        self.cgroup_peak: CgroupPeak | None = None
        self.limit: str | None = None  # of its sandbox, that ended it
        self.began = time.perf_counter()  # uvloop's own clock counts milliseconds, at the turn of the loop
        self.elapsed = 0.0
        self._input = Input(loop, data, has_more=has_more) if data or has_more else None
        self.output_queue = output_queue
        self._left = limit  # bytes that it may still write
        self._pipes = 0  # that are open: bit n for stream n
        self._pipe_grace = pipe_grace
        self._observer = observer
        self._timers: list[asyncio.TimerHandle] = []
        self._stopping: Stopping | None = None
        self._releases_at_exit = False  # to be released when it is reaped
        self._failure: Exception | None = None

    def output(self, stream: int) -> bytes:
        """What came so far."""
        return b"".join(self.chunks[stream])

    def interrupt_after(self, delay: float, ending: Ending) -> None:
        """Ends the waiting then, unless it is over."""
        for _ in range(2):  # one may be lost: a signal's handler may raise where it begins
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
        left = self._left
        if left is not None:
            if len(data) > left:
                data = data[:left]
                self.interrupt(Ending.TOO_MUCH)
            left -= len(data)
        taken = mark(self, "_left", left), mark(self, "_collected", number)
        if self.output_queue is None:
            in_one(*taken, functools.partial(self.chunks[stream].append, data))
        else:
            self.output_queue.put(self, stream, data, taken)

    def _pipe_ended(self, stream: int) -> None:
        self._pipes &= ~(1 << stream)
        if not self._pipes and self._stopping is not None:
            self._stopping.report_emptied()
        if not self._pipes and self.returncode is not None:
            self._settle(Ending.COMPLETE)

    def _exited(self, returncode: int, usage: bytes | None) -> None:
        if self.returncode is None:
            self.elapsed = time.perf_counter() - self.began
        self.returncode = returncode
        self.usage = usage
        try:
            if self._observer is not None:
                self._observer.exited(returncode, None if usage is None else library.rusage(usage))
        finally:  # it may leave the program
            if self._observer is None or self._observer.is_over:
                self._end()

    def _end(self) -> None:
        if self._stopping is not None:
            self._stopping.report_exit()
        if not self._pipes:
            self._settle(Ending.COMPLETE)
        elif self._pipe_grace is not None:
            self._timers.append(self.loop.call_later(self._pipe_grace, self._give_pipes_up, _paused(self.output_queue)))
        if self._releases_at_exit:
            self._release()

    def _failed(self, error: Exception) -> None:
        self.returncode = 255
        try:
            if self._observer is not None:
                self._observer.failed(error)
        finally:
            if self._observer is None or self._observer.is_over:
                self._end_in_failure(error)

    def _end_in_failure(self, error: Exception) -> None:
        if self._stopping is not None:
            self._stopping.report_exit()
        elif not self.over.done():  # else `stop` or `abandon` releases it
            self._failure = error
            self.over.set_result(Ending.FAILED)
        if self._releases_at_exit or (self._stopping is None and self.ending is Ending.FAILED):
            self._release()

    @property
    def ending(self) -> Ending | None:
        """How the waiting came to its end; None if it has not, or was cancelled."""
        return self.over.result() if self.over.done() and not self.over.cancelled() else None

    def needs_stop(self) -> bool:
        """Has it neither ended by itself nor failed?"""
        return self.ending not in (Ending.COMPLETE, Ending.CUT, Ending.FAILED)

    def failure(self) -> Exception:
        """What the launch failed with. It is not kept: once it is raised, its traceback refers to the child."""
        failure, self._failure = self._failure, None
        assert failure is not None
        return failure

    def _give_pipes_up(self, paused: float) -> None:
        """The grace is over, but for the time in which the pipes were not read: more than `paused` by now."""
        try:
            since = _paused(self.output_queue) - paused
            if since > 0:
                self._timers.append(self.loop.call_later(since, self._give_pipes_up, paused + since))
                return
            self._pipes = 0
            self._settle(Ending.CUT)
        except BaseException:  # a signal's handler raised
            self.loop.call_soon(self._give_pipes_up, paused)
            raise

    def _settle(self, ending: Ending) -> None:
        if self.returncode is None or self._pipes:
            return
        if not self.over.done():
            self.over.set_result(ending)
        if self._stopping is None and not self.over.cancelled() and self.over.result() in (Ending.COMPLETE, Ending.CUT):
            self._release()  # else `stop` does

    # ---- input and output, while it runs ------------------------------------------------------------------------------

    async def feed(self, data: Any) -> bool:
        """Writes this to its standard input. False if nobody reads that any more."""
        if self._input is not None:
            self._input.unwritten = memoryview(data)
            self._feed()
        while self._input is not None and self._input.unwritten:
            await self._input.next_write()
        return self._input is not None

    def end_input(self) -> None:
        """Nothing more is fed."""
        if self._input is not None:
            self._input.has_more = False
            self._feed()

    def _drop_input(self) -> None:
        if self._input is not None:
            self._input.report_written()
            self._input = None

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
        """Ends the child and its tree (`terminate`). A program that may not be signalled keeps running, which `noted` notes.

        `read_out`: also what it wrote before its end is collected, which the pipes still hold when it is reaped.
        """
        if self._stopping is None:
            self._stopping = Stopping(self.loop, has_exited=self.returncode is not None)
        try:
            await self._stopping.end(self._tree, grace)
            if read_out and self._pipes and self._stopping.refusal is None:
                if self.output_queue is not None:
                    self.output_queue.let_in(_MOST_LEFT)
                rest_s = _REST_S if self._pipe_grace is None else min(self._pipe_grace, _REST_S)
                await self._stopping.wait_until_emptied(rest_s)
        finally:
            self._release_at_exit()

    def noted(self, exception: _E) -> _E:
        """The exception, with a note of what was not stopped."""
        if self._stopping is not None and self._stopping.refusal is not None:
            note(exception, self._stopping.refusal)
        return exception

    def drop(self) -> None:
        """For a caller that leaves by an exception: kills it unless it has ended or was stopped before.

        A signal's handler may have raised anywhere in that, also where it was stopped or released.
        """
        if self.returncode is None or (self.needs_stop() and not self._releases_at_exit):
            self.abandon()
        else:
            self._release()

    def abandon(self) -> None:
        """Kills it at once and waits for nothing: for a coroutine that is closed, as with its loop."""
        if self.loop.is_closed():
            return
        self.over.cancel()
        self._tree.kill()
        self._release_at_exit()

    def _release_at_exit(self) -> None:
        self._releases_at_exit = True
        if self.returncode is not None:
            self._release()

    def _release(self) -> None:
        """Releases what it holds. The second time nothing happens."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._forget()

    def _forget(self) -> None:
        raise NotImplementedError

    @property
    def _tree(self) -> Tree:
        raise NotImplementedError


def drop(children: Iterable[Capture]) -> None:
    """Each of them."""
    for child in children:
        child.drop()
