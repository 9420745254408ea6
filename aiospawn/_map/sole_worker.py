"""The commands of a map whose children are `PlainChild`s: one task takes commands, launches, and hands results on.

All that a wake-up of the loop brought is one step of this task: results are put, and as many commands are launched. Those of
an asynchronous source are launched by the task that waits for them (`Puller`). What
has to be waited for in another way has a task of its own, which has the command's place meanwhile: a command that `run` is
for, a child that is stopped, a pipe that is held behind its child's exit, a pause before the next attempt.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import time
from typing import TYPE_CHECKING, Any

from aiospawn._asyncio.reactor import launch_error, let_go
from aiospawn._binding.indivisible import in_one
from aiospawn._binding.library import settle
from aiospawn._commands.results import CompletedProcess
from aiospawn._termination.terminate import outlasted

from .launches import Launches
from .map_result import MapResult
from .puller import Puller
from .runner import Begun, is_shortage
from .time_limit import TimeLimit
from .waiting import wake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from aiospawn._commands.plain_child import PlainChild
    from aiospawn._commands.repeated_run import RepeatedRun

    from .runner import Runner
    from .source import Source

    Put = Callable[[int, MapResult[Any] | None], None]
    PutAll = Callable[[list[MapResult[Any]], int], None]
    Begin = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

__all__ = ["SoleWorker"]


class SoleWorker:
    """What runs of one map, and who waits for it."""

    def __init__(
        self,
        source: Source,
        runner: Runner,
        size: int,
        put: Put,
        put_all: PutAll,
        fail: Callable[[BaseException], None],
        begin: Begin,
    ) -> None:
        """`put` gets a command's number and result, or None; `put_all` results, and how many of them succeeded.

        `begin` makes a task.
        """
        assert runner.repeated is not None
        self.loop = asyncio.get_running_loop()
        self.context = contextvars.copy_context()
        self._plain: RepeatedRun = runner.repeated
        self.pipe_grace = self._plain.pipe_grace
        self.limit = self._plain.limit
        self._keeps, self._mode = self._plain.keeps, self._plain.mode
        self._source = source
        self._runner = runner
        self._size = size
        self._put = put
        self._put_all = put_all
        self._fail = fail
        self._begin_task = begin
        self._jobs: dict[int, PlainChild] = {}  # by the command's number, the oldest first
        runner.beside = self._jobs
        self._launches = Launches(source, self._plain, self, self._jobs, self.loop)
        self.joined = self._launches.joined
        self.ended: list[PlainChild] = []
        self.is_woken = False
        self._aside: dict[int, asyncio.Task[None] | None] = {}  # by the command's number: what has a task of its own
        self._not_begun: dict[int, PlainChild | None] = {}  # of these, whose task has not run yet
        self.stopping: set[asyncio.Task[None]] = set()  # likewise: they stop a child, and have its grace
        self._waiter: asyncio.Future[None] | None = None  # the task's
        self._time = TimeLimit(self.loop, self._plain.timeout, self._jobs)
        self.puller: Puller | None = None
        """Of an asynchronous source."""
        if source.iterator is None:
            launch, end = (lambda command: self._launch(iter((command,)), 1)), (lambda: wake(self._waiter))
            self.puller = Puller(source, self._room, launch, fail, end)

    # ---- the task -----------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Until every command has come to its end. Cancelled, it stops what runs, and comes back when that is gone."""
        try:
            await self._until_stopped()
        except BaseException:  # closed; or a signal's handler raised
            for job in self._jobs.values():
                job.drop()
            raise
        finally:
            self._time.cancel()
            self._jobs.clear()  # which refer to this
            self.ended.clear()
            self._launches.close()
            self.puller = None

    def let_go(self) -> None:
        """Called when the task is gone, again where it is interrupted."""
        let_go(self.loop, self)

    async def _until_stopped(self) -> None:
        try:
            await self._work()
        except asyncio.CancelledError:
            self.stop_all()
            tasks = [task for task in self._aside.values() if task is not None]
            await outlasted(tasks, lambda: [task.cancel() for task in tasks])
            raise

    async def _work(self) -> None:
        source = self._source
        while True:
            self._fill()
            while self.ended:
                self._settle()
                self._fill()
            is_full = len(self._jobs) + len(self._aside) >= self._size
            if not is_full and source.is_over and not self._jobs and not self._aside:
                return
            self._waiter = waiter = self.loop.create_future()
            self.is_woken = False
            if not is_full and not source.is_over and self.puller is None:
                source.wake_for_room(waiter)
            await waiter

    def _room(self) -> int:
        return min(self._size - len(self._jobs) - len(self._aside), self._source.room)

    def _fill(self) -> None:
        """Takes commands and launches them, as many as there is room for."""
        source = self._source
        if source.iterator is None:
            if self.puller is not None and self._room() > 0:
                self.puller.wake()
            return
        while not source.is_over and (room := self._room()) > 0:
            if not self._launch(source.iterator, room):
                return

    def _launch(self, commands: Iterator[Any], most: int) -> bool:
        """Takes and launches so many of these. False: there are no more now; True: one was left to a task of its own."""
        source, first = self._source, self._source.taken
        try:
            left = self._launches.take(commands, most)
        except Exception as error:  # noqa: BLE001 - it is raised to the caller
            self._fail(error)
            source.is_over = True
            return False
        finally:
            self._begun(range(first, source.taken))
        if left is None:
            return False
        self._not_launched(*left)
        return True

    def wake(self) -> None:
        """As `Owner` has it."""
        wake(self._waiter)
        self.is_woken = True

    # ---- one command --------------------------------------------------------------------------------------------------

    def _begun(self, numbers: range) -> None:
        """These commands were taken, and most of them launched."""
        if self._time.seconds is not None:
            self._time.begin(self._expired)
        lease = self.joined.options.init_lease
        if lease is not None:
            for number in numbers:
                if number in self._jobs:
                    self._jobs[number].keep_lease(lease)

    def _not_launched(self, number: int, command: Any, refusal: int | OSError | None) -> None:
        """A command for `run`, which has the words for a bad one; or a child with its launch's errno, or a hook's error."""
        if refusal is None:
            self._set_aside(number, functools.partial(self._runner.result_of, number, command))
            return
        error = launch_error(refusal, self.joined.options) if isinstance(refusal, int) else refusal
        self._go_on(command, functools.partial(_known, None, error))

    def _settle(self) -> None:
        """Hands the results of what has ended on."""
        kinds = CompletedProcess, MapResult
        results, others, succeeded = settle(
            self.ended, self._jobs, self._keeps, self._mode is None, self._runner.retries > 0, *kinds
        )
        if results:
            self._put_all(results, succeeded)
        for job in others:
            self._settle_one(job)

    def _settle_one(self, job: PlainChild) -> None:
        """Hands its result on, or sets it aside."""
        number = job.place
        if number not in self._jobs:
            return
        if job.capture is not None:
            self._go_on(job, functools.partial(self._plain.outcome, job.capture, job.args, self._time.left(job)))
            del self._jobs[number]  # it was dropped if this was interrupted
            return
        completed, error = None, job.error
        del self._jobs[number]
        if error is None:
            try:
                completed = job.completed(self._keeps, self._mode)
            except ValueError as exc:
                error = exc
        failed = completed is None or completed.returncode
        if (failed and self._runner.retries) or (error is not None and is_shortage(error)):
            self._go_on(job, functools.partial(_known, completed, error))
            return
        elapsed = time.perf_counter() - job.began if completed is None else job.elapsed
        result = MapResult(number, job.args, completed, error, 1, job.started, elapsed)
        self._put_all([result], result.ok)

    def _go_on(self, job: PlainChild, outcome: Callable[[], Awaitable[CompletedProcess[Any]]]) -> None:
        begun = Begun(job.started, job.began, outcome)
        self._set_aside(job.place, functools.partial(self._runner.result_of, job.place, job.args, begun), job)

    # ---- what has a task of its own -----------------------------------------------------------------------------------

    def _set_aside(
        self, number: int, work: Callable[[], Awaitable[MapResult[Any] | None]], job: PlainChild | None = None
    ) -> asyncio.Task[None]:
        self._aside[number] = None
        self._not_begun[number] = job
        task = self._begin_task(self._worked(number, work, job))
        if number in self._aside:  # else it was an eager one, and is at its end
            self._aside[number] = task
        gone = functools.partial(task.add_done_callback, functools.partial(self._gone, number))
        in_one(gone, gone)  # as in `Workers`
        return task

    async def _worked(
        self, number: int, work: Callable[[], Awaitable[MapResult[Any] | None]], job: PlainChild | None
    ) -> None:
        result = None
        try:
            self._not_begun.pop(number, None)
            result = await work()
        except BaseException as error:
            if job is not None:
                job.drop()
            if isinstance(error, Exception):
                self._fail(error)  # before another command is taken
            raise
        finally:
            self._aside.pop(number, None)
            wake(self._waiter)
            self._put(number, result)
            del result, work, job  # the traceback of an error that one of them has refers to this

    def _gone(self, number: int, task: asyncio.Task[None]) -> None:
        """A task that was cancelled before it ran has done nothing."""
        try:
            self.stopping.discard(task)
            if number in self._not_begun:
                job = self._not_begun[number]
                if job is not None:
                    job.drop()
                self._aside.pop(number, None)
                del self._not_begun[number]
                self._put(number, None)
            wake(self._waiter)
        except BaseException:  # a signal's handler raised
            self.loop.call_soon(self._gone, number, task)
            raise

    # ---- ends ---------------------------------------------------------------------------------------------------------

    def _expired(self, job: PlainChild) -> None:
        self.ended.append(job)
        wake(self._waiter)

    def stop_all(self) -> None:
        """Stops what runs, but for the task that calls; there will be no results of it."""
        current = asyncio.current_task()
        for task in self._aside.values():
            if task is not None and task is not current and task not in self.stopping and not task.cancelling():
                task.cancel()
        for number, job in [*self._jobs.items()]:
            if job.has_ended:
                self._put(number, None)
            else:
                self.stopping.add(self._set_aside(number, functools.partial(self._stopped, job), job))
            del self._jobs[number]

    async def _stopped(self, job: PlainChild) -> None:
        if not job.has_ended:
            await job.taken_over().stop(self._plain.grace)


async def _known(completed: CompletedProcess[Any] | None, error: Exception | None) -> CompletedProcess[Any]:
    if error is not None:
        try:
            raise error
        finally:
            del error  # whose traceback refers to this
    assert completed is not None
    return completed
