"""An agent: what runs a map's commands on a worker, on the worker's own event loop, and answers messages there.

A session ends with the map's word, or with its lease. It has ended when nothing that it started runs any more: commands run
under an init (docs/trees.md), which ends them with this process too, and where its loop stands still.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import platform
import time
from subprocess import DEVNULL
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn._commands.command_value import Command
from aiospawn._map.arrivals import NONE_YET, Arrivals
from aiospawn._map.map import map as mapped

from .outcome import failed, packed, portable, size_of
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiospawn._map.map_result import MapLine

    from .messages import Message, Order, Report, Settings

__all__ = ["Agent", "Opened", "begin"]

_REST = 0.005  # seconds


class Opened(NamedTuple):
    """What an agent says when a session begins."""

    stamp: float
    host: str
    capacity: int
    """How many commands it runs at a time."""


class Agent:
    """One worker's, for one map. Its name is that of a message that the worker's server understands meanwhile."""

    def __init__(self, name: str, settings: Settings, capacity: int, worker: Any) -> None:
        self._name = name
        self._worker = worker
        self._running = _Running(settings, capacity, self._forget)

    async def answer(self, message: bytes = b"", hurry: bool = False) -> bytes:
        """Takes a pickled `Message`, and returns a pickled `Report`.

        Without a message the session ends; comes back when nothing of it runs. `hurry`: without time for an orderly end.
        """
        if message:
            given: Message = pickle.loads(message)  # noqa: S301 - who connects to a worker may run anything there
            return pickle.dumps(await self._running.exchange(given))
        await self._running.end(hurry=hurry)
        self._forget()
        return b""

    def _forget(self) -> None:
        for registry in (self._worker.handlers, self._worker.plugins):
            registry.pop(self._name, None)

    async def leave(self) -> None:
        """The worker closes: what runs may finish, what was not started goes back. The map ends the session, or a lease."""
        await self._running.leave()


async def begin(name: str, settings: bytes, dask_worker: Any) -> bytes:
    """For a worker to run: begins a session. Pickled are the `Settings`, and the `Opened` that is returned."""
    from distributed import WorkerPlugin

    class Leaving(WorkerPlugin):  # type: ignore[misc] # distributed has no types
        async def teardown(self, worker: Any) -> None:  # noqa: ARG002 - as Dask calls it
            await agent.leave()

    given: Settings = pickle.loads(settings)  # noqa: S301 - as above
    capacity = _capacity(given, dask_worker)
    if capacity > 0:
        agent = Agent(name, given, capacity, dask_worker)
        dask_worker.handlers[name] = agent.answer
        await dask_worker.plugin_add(Leaving(), name=name)
    return pickle.dumps(Opened(time.monotonic(), platform.node(), capacity))


def _capacity(settings: Settings, worker: Any) -> int:
    capacity: int = worker.state.nthreads if settings.concurrency is None else settings.concurrency
    if settings.memory is not None and worker.memory_manager.memory_limit:
        capacity = min(capacity, worker.memory_manager.memory_limit // settings.memory)
    for name, amount in settings.resources.items():
        capacity = min(capacity, int(worker.state.total_resources.get(name, 0) // amount))
    return capacity


class _Running:
    """A session, and the map that runs its commands."""

    def __init__(self, settings: Settings, capacity: int, forget: Callable[[], object]) -> None:
        """`forget` is called when its lease has been over for so long that the map knows it."""
        self._settings = settings
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._session = Session(settings.lease, time.monotonic())
        # Nobody types at a worker: what reads its standard input, a pipe perhaps, might wait for ever.
        self._has_no_input = settings.options.get("stdin") is None and settings.options.get("input") is None
        self._attempts: list[int] = []  # by the number that the map counts with
        self._capacity = capacity
        self._orders = Arrivals(self._next_command)
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._reported = 0.0  # when
        self._is_due_later = False  # there is news, which waits for its time
        self._files: dict[int, Any] = {}
        self._is_ending = False
        self._timer = self._loop.call_at(self._loop.time() + settings.lease, self._look_at_lease)
        self._task = self._loop.create_task(self._run())
        self._ending: asyncio.Task[None] | None = None

    # ---- the map ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._map()
        except Exception as error:  # noqa: BLE001 - it is the map's
            self._session.fault = portable(error)
        finally:  # also where somebody else has cancelled it: a worker that is interrupted cancels all that there is
            self._session.is_over = True
            self._news.set()

    async def _map(self) -> None:
        settings, session = self._settings, self._session
        stdin = {"stdin": DEVNULL} if self._has_no_input else {}
        results = mapped(
            self._orders, concurrency=self._capacity, ordered=False, on_line=self._line if settings.lines else None,
            init_lease=settings.init_lease, **{**settings.options, **stdin},
        )  # fmt: skip
        async with results:
            async for result in results:
                attempt = self._attempts[result.number]
                self._close_files(attempt)
                session.ended(attempt, packed(result), size_of(result))
                self._tell()
                await self._until_room()

    async def _until_room(self) -> None:
        while self._session.held > self._settings.most_held:
            self._room.clear()
            self._news.set()
            await self._room.wait()

    def _next_command(self) -> Any:
        """As `Arrivals` has it: it is started at once."""
        while (order := self._session.next(time.monotonic())) is not None:
            try:
                command = self._command(order)
            except OSError as error:  # no place for its output: as with a command that cannot be launched
                self._session.ended(order.attempt, failed(error), 0)
                self._tell()
                continue
            self._attempts.append(order.attempt)
            return command
        if self._session.is_over:
            raise StopIteration
        self._tell()
        return NONE_YET

    def _command(self, order: Order) -> Any:
        results, own = self._settings.results, order.options
        if own is not None and self._has_no_input and own.get("input") is not None:
            own = {"stdin": None, **own}
        if results is None:
            return order.args if own is None else Command(order.args, **own)
        streams = self._files[order.attempt] = _output_files(results, order.number)
        return Command(order.args, **{"stdout": streams[0], "stderr": streams[1], **(own or {})})

    def _close_files(self, attempt: int) -> None:
        for file in self._files.pop(attempt, ()):
            os.close(file)

    async def _line(self, line: MapLine) -> None:
        self._session.line(self._attempts[line.number], (line.stream, line.line), len(line.line))
        self._tell()
        await self._until_room()

    # ---- messages -----------------------------------------------------------------------------------------------------

    async def exchange(self, message: Message) -> Report:
        session = self._session
        session.take(message, time.monotonic())
        if message.turn:
            self._orders.came()
            self._news.set()
        if session.held <= self._settings.most_held:
            self._room.set()
        if message.wait:
            await self._until_news(message)
        if session.is_over:
            await self.end(hurry=not self._is_ending)
        return session.report(time.monotonic(), with_entries=message.wait > 0)

    async def _until_news(self, message: Message) -> None:
        """Until there is something to report, and it is time for it."""
        loop, session = self._loop, self._session
        deadline = loop.time() + message.wait
        due = min(deadline, self._reported + message.interval)
        while not session.is_over:
            now = loop.time()
            if now >= deadline or (session.has_news and (now >= due or self._is_urgent())):
                break
            self._news.clear()
            self._is_due_later = session.has_news
            timer = loop.call_at(due if session.has_news else deadline, self._news.set)
            try:
                await self._news.wait()
            finally:
                timer.cancel()
                self._is_due_later = False
        self._reported = loop.time()

    def _tell(self) -> None:
        """There is news, or nothing to do."""
        if not self._is_due_later or self._is_urgent():
            self._news.set()

    def _is_urgent(self) -> bool:
        """Has it nothing to do, or no room for what it does?"""
        session = self._session
        return (not session.queued and session.running < self._capacity) or session.held > self._settings.most_held

    # ---- the end ------------------------------------------------------------------------------------------------------

    async def leave(self) -> None:
        """Comes back when the session is over."""
        self._session.leave()
        self._news.set()
        await asyncio.wait([self._task])

    def _look_at_lease(self) -> None:
        now = time.monotonic()
        if self._session.is_live(now):
            self._timer = self._loop.call_later(self._session.until - now, self._look_at_lease)
        else:
            self._ending = self._loop.create_task(self.end(hurry=True))
            self._loop.call_later(2 * self._settings.lease, self._forget)

    async def end(self, *, hurry: bool) -> None:
        """What runs is stopped."""
        self._is_ending = self._session.is_over = True
        self._timer.cancel()
        self._orders.came()
        self._news.set()
        if not self._task.cancelling():
            self._task.cancel()
        while hurry and not self._task.done():
            await asyncio.wait([self._task], timeout=_REST)
            self._task.cancel()  # the second time kills
        await asyncio.wait([self._task])
        for attempt in [*self._files]:
            self._close_files(attempt)


def _output_files(results: str, number: int) -> tuple[int, int]:
    """The files of one command. Raises OSError."""
    directory = os.path.join(results, str(number))
    os.makedirs(directory, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    stdout = os.open(os.path.join(directory, "stdout"), flags, 0o666)
    try:
        return stdout, os.open(os.path.join(directory, "stderr"), flags, 0o666)
    except BaseException:
        os.close(stdout)
        raise
