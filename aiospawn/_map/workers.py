"""What works on a map: tasks that take commands from its source and put their results into its queue.

Where nothing but the commands' results is wanted, one task has all of them run, the `SoleWorker`; a second one waits for the
commands of an asynchronous source. Otherwise there is a fixed number of workers, and each takes the next command when it is
free. There is no task for a command, and the source is read no faster than commands end. What was taken and not yet handed
to the caller is at most twice the number of workers, four times where results come in the order of the commands and a slow
one holds up those behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any

from aiospawn._binding.indivisible import in_one
from aiospawn._termination.terminate import is_thrown_away, outlasted

from .result_queue import ResultQueue
from .runner import Runner
from .sole_worker import SoleWorker
from .source import Source
from .tally import Tally

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from .halt import Halt
    from .map_result import MapLine, MapProgress, MapResult

__all__ = ["Workers"]


class Workers:
    """The workers of one map. They know nothing of the `Map` that the caller holds."""

    def __init__(
        self,
        commands: Iterator[Any] | AsyncIterator[Any],
        total: int | None,
        size: int,
        *,
        ordered: bool,
        retries: int,
        backoff: float,
        halt: Halt | None,
        progress: Callable[[MapProgress], object] | None,
        on_line: Callable[[MapLine], object] | None,
        options: dict[str, Any],
    ) -> None:
        self.halted: MapResult[Any] | None = None
        self._size = size
        self._halt = halt
        self._on_progress = progress
        self._source = Source(commands, size * (4 if ordered else 2))
        self._tally = Tally(self._source, total, halt)
        self.results = ResultQueue(self._source, ordered=ordered)
        self._runner = Runner(self._source, options, retries, backoff, on_line, self.results.fail)
        self._loop: asyncio.AbstractEventLoop | None = None  # once there are workers
        self._sole: SoleWorker | None = None  # or workers
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def progress(self) -> MapProgress:
        return self._tally.progress

    def result(self) -> Coroutine[Any, Any, MapResult[Any] | None]:
        """The next one; None at the end. The first call starts the workers."""
        if self._loop is None and not self._closed:
            self._start()
        return self.results.take()

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        plain = self._runner.repeated
        if plain is not None and plain.is_plain():
            self._sole = SoleWorker(
                self._source, self._runner, self._size, self._put, self._put_all, self.results.fail, self._begin
            )
            self._begin(self._sole.work())
            if self._sole.puller is not None:
                self._begin(self._sole.puller.pull())
        else:
            for _ in range(self._size):
                self._begin(self._work())

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._loop is not None
        task = self._loop.create_task(work)
        gone = functools.partial(task.add_done_callback, self._gone)
        in_one(functools.partial(self._tasks.add, task), gone, gone)  # twice: a signal's handler may raise where one begins
        return task

    def _gone(self, task: asyncio.Task[None]) -> None:
        """The second time nothing happens."""
        try:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                self.results.fail(error)  # the caller's `Map` then closes this
            if not self._tasks:
                if self._sole is not None:
                    self._sole.let_go()
                self._sole = None  # which refers to this
                self.results.end()
        except BaseException:  # a signal's handler raised
            task.get_loop().call_soon(self._gone, task)
            raise

    async def _work(self) -> None:
        while (taken := await self._source.take()) is not None:
            number, command = taken
            result = None
            try:
                result = await self._runner.result_of(number, command)
            finally:
                self._put(number, result)
                result = None  # the traceback of its error refers to this

    def _put(self, number: int, result: MapResult[Any] | None) -> None:
        """A command has come to its end, with a result or without."""
        if self._closed:
            return
        if result is not None and self._tally.halts_at(result):
            self._halt_at(result)
        self.results.put(number, result)
        if result is not None and self._on_progress is not None:
            self._on_progress(self.progress)

    def _put_all(self, results: list[MapResult[Any]], succeeded: int) -> None:
        """As `_put` of each. `succeeded`: how many of them have return code 0."""
        if self._halt is None and self._on_progress is None and not self._closed:
            self._tally.count(succeeded, len(results) - succeeded)
            self.results.put_all(results)
            return
        for result in results:
            is_dropped = self.halted is not None and self._halt is not None and self._halt.when == "now"
            try:
                self._put(result.number, None if is_dropped else result)
            except Exception as error:  # noqa: BLE001 - it is raised to the caller
                self.results.fail(error)

    def _halt_at(self, result: MapResult[Any]) -> None:
        assert self._halt is not None
        self.halted = result
        self.stop()
        if self._halt.when != "now":
            return
        if self._sole is not None:
            self._sole.stop_all()
        else:
            current = asyncio.current_task()
            for task in self._tasks:
                if task is not current:
                    task.cancel()

    # ---- their end ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """No worker takes another command, or tries one again."""
        self._source.stop()
        self._runner.end_pauses()

    async def close(self) -> None:
        """Stops the workers and what they run, and comes back when they are gone, cancelled or not. Closes a generator."""
        self._closed = self._source.stopped = True
        self.results.drop()
        if self._loop is not None and self._loop.is_closed():
            return  # and the workers were with it
        caller = asyncio.current_task()
        self._cancel_all(caller)
        self.results.end()
        cancelled = await outlasted([task for task in self._tasks if task is not caller], self._hurry_all)
        if caller in self._tasks:  # called by the source, whose next await is its end
            caller.cancel()
        else:
            await self._source.aclose()
        if cancelled is not None:
            raise cancelled

    def abandon(self) -> None:
        """Nobody is there any more to take results; may be called by the garbage collector, on any thread."""
        if self._tasks and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks with it
                self._loop.call_soon_threadsafe(self._cancel_all)

    def is_thrown_away(self, error: BaseException | None) -> bool:
        """Is the caller's block left so that nothing can be awaited?"""
        return is_thrown_away(error, self._loop)

    def _cancel_all(self, caller: asyncio.Task[Any] | None = None) -> None:
        """What runs is stopped; what is being stopped already, by `halt`, keeps its time to end."""
        self._source.stopped = True
        stopping = () if self._sole is None else self._sole.stopping
        for task in self._tasks:
            if task is not caller and not task.cancelling() and task not in stopping:
                task.cancel()

    def _hurry_all(self) -> None:
        """Kills at once what is being stopped."""
        for task in self._tasks:
            task.cancel()
