"""The workers of a map, and what they share.

A fixed number of workers takes commands from the source, each the next one when it is free, and runs them: there is no task
for a command, and the source is read no faster than commands end. What was taken and not yet handed to the caller is
bounded: by twice the number of workers, by four times where results come in the order of the commands and a slow one holds
up those behind it. At that bound the source waits, so a caller that is slow slows everything down.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import subprocess
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn._commands.keywords import StreamName
from aiospawn._commands.results import CompletedProcess, signal_of
from aiospawn._commands.run import run
from aiospawn._termination.terminate import is_thrown_away, outlasted

if TYPE_CHECKING:
    import signal

    from .halt import Halt

__all__ = ["Crew", "MapLine", "MapProgress", "MapResult"]

_SHORTAGES = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 1.0
_END: Any = object()  # of the source
_LAUNCHES_ALONE = 9  # about 5 s: a shortage that lasts while none of our own jobs runs is not ours to wait for


class MapResult(NamedTuple):
    """What became of one command."""

    number: int
    """The command's, from 0."""
    command: Any
    """As the source gave it."""
    completed: CompletedProcess[Any] | None
    """What `run` returned; None where it raised."""
    error: Exception | None
    """What `run` raised: OSError where the command could not be launched, `subprocess.TimeoutExpired`, ..."""
    attempts: int
    """How many times it was run: more than 1 with `retries`."""
    started: float
    """When the last attempt began: seconds since the epoch."""
    elapsed: float
    """How long it took, in seconds."""

    @property
    def tag(self) -> Any:
        """The tag of its `Command`; None of other commands."""
        return getattr(self.command, "tag", None)

    @property
    def ok(self) -> bool:
        """Whether it ended with return code 0."""
        return self.completed is not None and self.completed.returncode == 0

    @property
    def returncode(self) -> int | None:
        """As `subprocess.CompletedProcess.returncode`; None where it was not launched, or stopped by a time-out."""
        return None if self.completed is None else self.completed.returncode

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended it, as `CompletedProcess.signal`."""
        return signal_of(self.returncode)

    @property
    def stdout(self) -> Any:
        """The output, if it was captured; of a command that was stopped what had come until then."""
        return getattr(self.error if self.completed is None else self.completed, "stdout", None)

    @property
    def stderr(self) -> Any:
        """As `stdout`."""
        return getattr(self.error if self.completed is None else self.completed, "stderr", None)


class MapLine(NamedTuple):
    """A line of the output of a command that still runs."""

    number: int
    """The command's, from 0."""
    command: Any
    """As the source gave it."""
    stream: StreamName
    line: Any
    """With its newline, which the last one of a stream may lack: bytes, or str in text mode."""

    @property
    def tag(self) -> Any:
        """The tag of its `Command`; None of other commands."""
        return getattr(self.command, "tag", None)


class MapProgress(NamedTuple):
    """How far a map has got."""

    started: int
    finished: int
    failed: int
    total: int | None
    """How many commands there are, where that is known."""


class Crew:
    """The workers of one map, and what they share."""

    def __init__(
        self,
        source: Iterator[Any] | AsyncIterator[Any],
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
        self.halted: MapResult | None = None
        self._source = source
        self._total = total
        self._size = size
        self._ordered = ordered
        self._retries = retries
        self._backoff = backoff
        self._halt = halt
        self._on_progress = progress
        self._on_line = on_line
        self._options = options
        self._window = size * (4 if ordered else 2)
        self._loop: asyncio.AbstractEventLoop | None = None  # once there are workers
        self._workers: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()  # at an async source
        self._puller: asyncio.Task[None] | None = None  # who waits for it
        self._pausing: set[asyncio.Future[None]] = set()
        self._without_room: collections.deque[asyncio.Future[None]] = collections.deque()
        self._caller: asyncio.Future[None] | None = None
        self._ready: collections.deque[MapResult] = collections.deque()
        self._early: dict[int, MapResult | None] = {}  # ended before its turn; None: there will be no result
        self._due = 0  # the number whose turn it is
        self._taken = 0
        self._handed = 0  # to the caller, or dropped
        self._running = 0
        self._succeeded = 0
        self._failed = 0
        self._stopped = False
        self._closed = False
        self._fault: BaseException | None = None

    @property
    def progress(self) -> MapProgress:
        return MapProgress(self._taken, self._succeeded + self._failed, self._failed, self._total)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the next result."""
        return self._caller is not None

    # ---- the caller's side --------------------------------------------------------------------------------------------

    async def result(self) -> MapResult | None:
        """The next one; None at the end."""
        if self._loop is None and not self._closed:
            self._begin()
        while not self._ready:
            if self._closed:
                return None
            if self._fault is not None:
                raise self._fault
            if not self._workers:
                return None
            assert self._loop is not None
            self._caller = self._loop.create_future()
            try:
                await self._caller
            finally:
                self._caller = None
        self._make_room()
        return self._ready.popleft()

    def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        for _ in range(self._size):
            worker = self._loop.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._gone)

    def _gone(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            self._fail(error)
        if not self._workers:
            self._wake_caller()

    def _fail(self, error: BaseException) -> None:
        if self._fault is None:
            self._fault = error
        self._stopped = True
        self._wake_caller()

    def _wake_caller(self) -> None:
        if self._caller is not None:
            _wake(self._caller)

    def _make_room(self) -> None:
        self._handed += 1
        while self._without_room:
            waiter = self._without_room.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def stop(self) -> None:
        """No worker takes another command, or tries one again."""
        self._stopped = True
        for waiter in (*self._without_room, *self._pausing):
            _wake(waiter)
        if self._puller is not None:
            self._puller.cancel()

    async def close(self) -> None:
        """Stops the workers and what they run, and comes back when they are gone, cancelled or not. Closes a generator."""
        self._closed = self._stopped = True
        self._ready.clear()
        self._early.clear()
        if self._loop is not None and self._loop.is_closed():
            return  # thrown away, and the workers with it
        self._cancel_all()
        self._wake_caller()  # who may be another task
        cancelled = await outlasted([*self._workers], self._hurry_all)
        if isinstance(self._source, AsyncGenerator):
            await self._source.aclose()
        if cancelled is not None:
            raise cancelled

    def abandon(self) -> None:
        """Nobody is there any more to take results; may be called by the garbage collector, on any thread."""
        if self._workers and self._loop is not None and not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and its tasks with it
                self._loop.call_soon_threadsafe(self._cancel_all)

    def is_thrown_away(self, error: BaseException | None) -> bool:
        """Is the caller's block left so that nothing can be awaited?"""
        return is_thrown_away(error, self._loop)

    def _cancel_all(self) -> None:
        """What runs is stopped; what is being stopped already, by `halt`, keeps its time to end."""
        self._stopped = True
        for worker in self._workers:
            if not worker.cancelling():
                worker.cancel()

    def _hurry_all(self) -> None:
        """Kills at once what is being stopped."""
        for worker in self._workers:
            worker.cancel()

    # ---- the workers' side --------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._stopped:
            command = await self._next()
            if command is _END:
                return
            number = self._taken
            self._taken += 1
            result = None
            try:
                result = await self._result_of(number, command)
            finally:
                self._put(number, result)

    async def _next(self) -> Any:
        """The next command, when there is room for its result; _END where there is none, or the map was stopped."""
        if isinstance(self._source, Iterator):
            await self._room()
            return _END if self._stopped else next(self._source, _END)
        async with self._turn:
            await self._room()
            command = _END if self._stopped else await self._pulled(self._source)
            return _END if self._stopped else command

    async def _room(self) -> None:
        while self._taken - self._handed >= self._window and not self._stopped:
            assert self._loop is not None
            waiter = self._loop.create_future()
            self._without_room.append(waiter)
            await waiter

    async def _pulled(self, source: AsyncIterator[Any]) -> Any:
        self._puller = asyncio.current_task()
        try:
            return await anext(source, _END)
        except asyncio.CancelledError:
            if self._closed or not self._stopped:
                raise
            return _END  # `stop` did it
        finally:
            self._puller = None

    async def _result_of(self, number: int, command: Any) -> MapResult | None:
        """None if the map was stopped before there was an attempt."""
        attempts, pause, result = 0, self._backoff, None
        while True:
            attempts += 1
            started, clock = time.time(), time.perf_counter()
            completed = error = None
            try:
                completed = await self._launched(number, command)
            except (OSError, ValueError, subprocess.SubprocessError) as exc:
                error = exc
            if completed is None and error is None:
                return result
            elapsed = completed.elapsed if completed is not None else time.perf_counter() - clock
            result = MapResult(number, command, completed, error, attempts, started, elapsed)
            if result.ok or attempts > self._retries:
                return result
            await self._pause(pause)
            if self._stopped:
                return result
            pause *= 2

    async def _launched(self, number: int, command: Any) -> CompletedProcess[Any] | None:
        """`run`, again and again while there is a shortage; None if the map was stopped meanwhile."""
        options = self._options if self._on_line is None else {**self._options, "on_line": self._telling(number, command)}
        pause, alone = _FIRST_PAUSE_S, 0
        while True:
            self._running += 1
            try:
                completed: CompletedProcess[Any] = await run(command, **options)
                return completed
            except OSError as error:
                if error.errno not in _SHORTAGES:
                    raise
                alone += self._running == 1
                if alone > _LAUNCHES_ALONE:
                    raise
            finally:
                self._running -= 1
            await self._pause(pause)
            if self._stopped:
                return None
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _telling(self, number: int, command: Any) -> Callable[[StreamName, Any], object]:
        """For one command. What the caller's function raises is the map's end, and no result of that command."""
        on_line = self._on_line
        assert on_line is not None

        def told(stream: StreamName, line: Any) -> object:
            try:
                answer = on_line(MapLine(number, command, stream, line))
            except BaseException as error:
                self._fail(error)
                raise
            return self._awaited(answer) if hasattr(answer, "__await__") else None

        return told

    async def _awaited(self, answer: Any) -> None:
        try:
            await answer
        except Exception as error:
            self._fail(error)
            raise

    async def _pause(self, seconds: float) -> None:
        """Until then, or until the map is stopped."""
        assert self._loop is not None
        waiter = self._loop.create_future()
        self._pausing.add(waiter)
        timer = self._loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._pausing.discard(waiter)

    def _put(self, number: int, result: MapResult | None) -> None:
        """A command has come to its end, with a result or without."""
        if self._closed:
            return
        if result is not None:
            self._count(result)
        if not self._ordered:
            self._hand(result)
        else:
            self._early[number] = result
            while self._due in self._early:
                self._hand(self._early.pop(self._due))
                self._due += 1
        if result is not None and self._on_progress is not None:
            self._on_progress(self.progress)

    def _hand(self, result: MapResult | None) -> None:
        if result is None:
            self._make_room()
        else:
            self._ready.append(result)
            self._wake_caller()

    def _count(self, result: MapResult) -> None:
        if result.ok:
            self._succeeded += 1
        else:
            self._failed += 1
        halt = self._halt
        if halt is None or self._stopped or not halt.is_reached(self._succeeded, self._failed, self._total):
            return
        self.halted = result
        self.stop()
        if halt.when == "now":
            current = asyncio.current_task()
            for worker in self._workers:
                if worker is not current:
                    worker.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
