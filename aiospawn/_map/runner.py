"""One command of a map, run until it has a result: again where it failed, and again where a resource was short."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn._commands.repeated_run import RepeatedRun
from aiospawn._commands.run import run

from .map_result import MapLine, MapResult
from .waiting import wake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sized

    from aiospawn._commands.keywords import StreamName
    from aiospawn._commands.results import CompletedProcess

    from .source import Source

__all__ = ["Begun", "Runner", "is_shortage"]

_SHORTAGES = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 1.0
_LAUNCHES_ALONE = 9  # about 5 s: a shortage that lasts while none of our own jobs runs is not ours to wait for


def is_shortage(error: Exception | None) -> bool:
    """Is it a launch that may succeed when something else has ended?"""
    return isinstance(error, OSError) and error.errno in _SHORTAGES


class Begun(NamedTuple):
    """The first attempt of a command, which is under way or has ended."""

    started: float
    """In seconds since the epoch."""
    clock: float
    """The same by `time.perf_counter`."""
    outcome: Callable[[], Awaitable[CompletedProcess[Any]]]
    """Its result, or what `run` raises."""


class Runner:
    """Runs the commands of one map, for all of its workers: whether others run decides if a shortage is waited for."""

    __slots__ = (
        *("_backoff", "_fail", "_on_line", "_options", "_pausing", "_running", "_source", "beside", "repeated", "retries"),
    )

    def __init__(
        self,
        source: Source,
        options: dict[str, Any],
        retries: int,
        backoff: float,
        on_line: Callable[[MapLine], object] | None,
        fail: Callable[[BaseException], None],
    ) -> None:
        """No command is tried again once `source` is stopped.

        `options` are `run`'s; what `on_line` raises goes to `fail`.
        """
        self._source = source
        self._options = options
        self.retries = retries
        self._backoff = backoff
        self._on_line = on_line
        self.repeated = RepeatedRun(options) if on_line is None and RepeatedRun.suits(options) else None
        self._fail = fail
        self._pausing: set[asyncio.Future[None]] = set()
        self._running = 0
        self.beside: Sized = ()
        """What runs besides, by nobody's call of this."""

    def end_pauses(self) -> None:
        """For a map that is stopped: a command that waits to be tried again has the result that it has."""
        for waiter in self._pausing:
            wake(waiter)

    async def result_of(self, number: int, command: Any, begun: Begun | None = None) -> MapResult[Any] | None:
        """None if the map was stopped before there was an attempt; `begun` is the first one."""
        attempts, pause, result = 0, self._backoff, None
        try:
            while True:
                attempts += 1
                result = await self._result_of_one(number, command, begun, attempts) or result
                begun = None
                if result is None or result.ok or attempts > self.retries or self._source.stopped:
                    return result
                await self._pause(pause)
                if self._source.stopped:
                    return result
                pause *= 2
        finally:
            result = None  # the traceback of its error refers to this frame: it would be a cycle

    async def _result_of_one(self, number: int, command: Any, begun: Begun | None, attempts: int) -> MapResult[Any] | None:
        """Of one attempt; None if the map was stopped meanwhile."""
        started, clock = (time.time(), time.perf_counter()) if begun is None else begun[:2]
        completed = error = None
        try:
            try:
                completed = await self._attempt(number, command, begun)
            except (OSError, ValueError, subprocess.SubprocessError) as exc:
                error = exc
            if completed is None and error is None:
                return None
            elapsed = completed.elapsed if completed is not None else time.perf_counter() - clock
            return MapResult(number, command, completed, error, attempts, started, elapsed)
        finally:
            error = begun = None  # the error's traceback refers to this

    async def _attempt(self, number: int, command: Any, begun: Begun | None) -> CompletedProcess[Any] | None:
        """`run`, again and again while there is a shortage; None if the map was stopped meanwhile."""
        options = self._options if self._on_line is None else {**self._options, "on_line": self._passing_on(number, command)}
        pause, alone = _FIRST_PAUSE_S, 0
        while True:
            self._running += 1
            try:
                # A list of arguments is the same to both; whatever else a command is, `run` says what is wrong with it.
                repeated = self.repeated if type(command) is list else None
                if begun is not None:
                    return await begun.outcome()
                completed: CompletedProcess[Any] = await (run(command, **options) if repeated is None else repeated(command))
                return completed
            except OSError as error:
                if not is_shortage(error):
                    raise
                alone += self._running + len(self.beside) == 1
                if alone > _LAUNCHES_ALONE:
                    raise
            finally:
                self._running -= 1
                begun = None
            await self._pause(pause)
            if self._source.stopped:
                return None
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _passing_on(self, number: int, command: Any) -> Callable[[StreamName, Any], object]:
        """For one command. What the caller's function raises is the map's end, and no result of that command."""
        on_line = self._on_line
        assert on_line is not None

        def passed_on(stream: StreamName, line: Any) -> object:
            try:
                answer = on_line(MapLine(number, command, stream, line))
            except BaseException as error:
                self._fail(error)
                raise
            return self._awaited(answer) if hasattr(answer, "__await__") else None

        return passed_on

    async def _awaited(self, answer: Any) -> None:
        try:
            await answer
        except Exception as error:
            self._fail(error)
            raise

    async def _pause(self, seconds: float) -> None:
        """Until then, or until the map is stopped."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._pausing.add(waiter)
        timer = loop.call_later(seconds, wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._pausing.discard(waiter)
