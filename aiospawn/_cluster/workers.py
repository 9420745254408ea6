"""A map's workers on a cluster: what `_map.workers.Workers` are on one machine, for the same `Map`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from aiospawn._map.map_result import MapLine, MapProgress, MapResult
from aiospawn._map.result_queue import ResultQueue
from aiospawn._map.tally import Tally
from aiospawn._termination.terminate import is_thrown_away, outlasted

from .cluster import WorkerLost
from .fleet import Fleet
from .intake import Intake
from .outcome import result_of
from .travel import travelling
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from aiospawn._map.halt import Halt

    from .cluster import Cluster
    from .job import Job
    from .link import Link

__all__ = ["ClusterWorkers"]


class ClusterWorkers:
    """The agents of one map, its source and its results."""

    def __init__(
        self,
        cluster: Cluster,
        version: str,
        commands: Iterator[Any] | AsyncIterator[Any],
        total: int | None,
        concurrency: int | None,
        *,
        ordered: bool,
        retries: int,
        backoff: float,
        halt: Halt | None,
        progress: Callable[[MapProgress], object] | None,
        on_line: Callable[[MapLine], object] | None,
        options: dict[str, Any],
    ) -> None:
        """As `Workers`; `concurrency` is each worker's."""
        self.halted: MapResult | None = None
        self._halt = halt
        self._on_progress = progress
        self._on_line = on_line
        sent = {**travelling(options), "retries": retries, "backoff": backoff}
        if cluster.output_limit is not None and sent.get("max_output") is None:
            sent["max_output"] = cluster.output_limit
        self._fleet = Fleet(
            cluster, version, self, self._look, concurrency=concurrency, lines=on_line is not None,
            grace=sent.get("grace", 5.0), options=sent,
        )  # fmt: skip
        self._dispatcher = self._fleet.dispatcher
        self._source = Intake(
            commands, self._dispatcher, ordered=ordered, shell=bool(options.get("shell")), failed=self._failed_with,
            changed=self._look,
        )  # fmt: skip
        self._tally = Tally(self._source, total, halt)
        self.results = ResultQueue(self._source, ordered=ordered)
        self._turns = Turns(self._failed_with, self._handled)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def progress(self) -> MapProgress:
        return self._tally.progress

    async def result(self) -> MapResult | None:
        """The next one; None at the end, when the agents are gone. The first call looks for the workers."""
        if self._loop is None and not self._closed:
            self._loop = asyncio.get_running_loop()
            self._keeper = self._loop.create_task(self._keep())
        result = await self.results.take()
        if result is None and not self._closed:
            await self._end()
        return result

    async def _keep(self) -> None:
        try:
            await self._fleet.open()
            await self._fleet.keep()
        except Exception as error:  # noqa: BLE001 - the caller gets it
            self._failed_with(error)

    def _look(self) -> None:
        """Something has changed: there may be room for commands, or nothing more to come."""
        if self._ending is None:
            self._source.pull()
        if self._source.is_over and self._dispatcher.is_idle and self._turns.is_empty:
            self.results.end()

    def _failed_with(self, error: Exception) -> None:
        self.results.fail(error)
        self.stop()

    def _handled(self, link: Link) -> None:
        self._dispatcher.go_on(link)
        self._look()

    # ---- the end ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """No command is started any more."""
        self._source.stop()
        self._dispatcher.stop()
        if self._loop is not None and not self._closed:
            self._loop.call_soon(self._look)

    async def close(self) -> None:
        """Stops what runs everywhere, and comes back when it has ended, cancelled or not. Closes a generator."""
        self._closed = self._source.stopped = True
        self.results.drop()
        if self._loop is not None and self._loop.is_closed():
            return  # thrown away: the leases end what runs
        self.results.end()
        await self._end()

    async def _end(self) -> None:
        """Once, however many ask for it."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._ended())
        cancelled = await outlasted([self._ending], self._fleet.hurry)
        if cancelled is not None:
            raise cancelled
        self._ending.result()

    async def _ended(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._turns.close()
        try:
            await self._fleet.end()
        finally:
            await self._source.aclose()

    def abandon(self) -> None:
        """Nobody is there any more to take results; may be called by the garbage collector, on any thread."""
        if self._loop is not None and not self._closed and self._ending is None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._begin_end)

    def _begin_end(self) -> None:
        self._closed = self._source.stopped = True
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._ended())

    def is_thrown_away(self, error: BaseException | None) -> bool:
        """Is the caller's block left so that nothing can be awaited?"""
        return is_thrown_away(error, self._loop)

    # ---- what the dispatcher tells ------------------------------------------------------------------------------------

    def ended(self, job: Job, link: Link, outcome: Any) -> None:
        """A command has come to its end."""
        self._turns.take(link, lambda: self._put(job.number, result_of(job, outcome, link.host, link.worker)))

    def line(self, job: Job, link: Link, line: Any) -> None:
        """A line of output has come."""
        told = self._on_line
        assert told is not None
        self._turns.take(link, lambda: told(MapLine(job.number, job.command, *line)))

    def given_up(self, job: Job) -> None:
        """A command has lost too many workers."""
        error = WorkerLost(job.args, job.lost)
        self._put(job.number, MapResult(job.number, job.command, None, error, len(job.lost), time.time(), 0.0))

    def dropped(self, job: Job) -> None:
        """A command will have no result."""
        self._put(job.number, None)

    def faulty(self, fault: BaseException) -> None:
        """An agent has failed: with what a command's options are wrong in, for one."""
        self._failed_with(fault if isinstance(fault, Exception) else RuntimeError(repr(fault)))

    # ---- results ------------------------------------------------------------------------------------------------------

    def _put(self, number: int, result: MapResult | None) -> None:
        if self._closed:
            return
        if result is not None and self._tally.halts_at(result):
            self._halt_at(result)
        self.results.put(number, result)
        if result is not None and self._on_progress is not None:
            self._on_progress(self.progress)

    def _halt_at(self, result: MapResult) -> None:
        assert self._halt is not None
        self.halted = result
        self.stop()
        if self._halt.when == "now":  # what runs has no result any more, and holds none back that is here
            self._dispatcher.stop(at_once=True)
            self.results.end()
            if self._ending is None:
                self._ending = asyncio.get_running_loop().create_task(self._ended())
