"""The agents of a map: who is there, who comes and goes, and what is sent to them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import time
import uuid
from typing import TYPE_CHECKING, Any

from .agent import begin
from .cluster import ClusterError
from .connection import Connection
from .dispatcher import Dispatcher
from .lease import Lease, Terms
from .link import Link
from .messages import Settings
from .probe import complaint, probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from .agent import Opened
    from .cluster import Cluster
    from .messages import Message
    from .owner import Listener

__all__ = ["Fleet"]

_LOG = logging.getLogger("aiospawn")
_TICK = 0.1  # seconds between looks at leases
_LOOK = 0.5  # and at which workers there are
_MOST_HELD = 32 << 20  # bytes of output that an agent keeps
_PATIENCE_AT_FIRST = 60.0  # seconds for a worker to answer before it has commands: it may have to import us
_PATIENCE = 0.5  # of an agent's lease: how much later than agreed an answer may come


class Fleet:
    """Of one map."""

    def __init__(
        self,
        cluster: Cluster,
        version: str,
        listener: Listener,
        changed: Callable[[], object],
        *,
        concurrency: int | None,
        lines: bool,
        grace: float,
        options: dict[str, Any],
    ) -> None:
        """`changed` is called when there may be room for more commands."""
        self._terms = Terms(cluster.lease)
        self._settings = Settings(
            self._terms.of_agent, self._terms.of_init, concurrency, cluster.memory, cluster.resources, _MOST_HELD,
            cluster.results, lines, options,
        )  # fmt: skip
        self._version = version
        self._grace = grace
        self._is_ending = self._is_hurried = False
        self._changed = changed
        self._connection = Connection(cluster)
        self._calls: dict[str, set[asyncio.Task[None]]] = {}  # by the name of the link
        self._admitting: dict[str, asyncio.Task[None]] = {}
        self._present: dict[str, int] = {}
        self._refused: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self.dispatcher = Dispatcher(self, listener, self._terms, cluster.worker_retries + 1)

    # ---- who is there -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Finds the workers. Raises ClusterError where one of them cannot run commands, naming it and its version."""
        await self._connection.open()
        self._present = await self._connection.workers()
        found = await asyncio.gather(*map(self._looked_at, self._present), return_exceptions=True)
        complaints = [complaint for complaint in found if isinstance(complaint, str)]  # who does not answer may be gone
        if complaints:
            raise ClusterError("; ".join(complaints))
        for worker in self._present:
            self._admit(worker)

    async def _looked_at(self, worker: str) -> str | None:
        """What is wrong with it. Raises OSError where it does not answer."""
        try:
            found = await asyncio.wait_for(self._connection.ask(worker, probe()), _PATIENCE_AT_FIRST)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - of another machine's Python
            found = error
        return complaint(worker, found, self._version)

    async def keep(self) -> None:
        """Goes on until it is cancelled. Raises ClusterError when the scheduler is gone for good."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(_TICK)
            self.dispatcher.tick(time.monotonic())
            self._changed()
            if loop.time() - looked >= _LOOK:
                await self._look()
                looked = loop.time()

    async def _look(self) -> None:
        """Who has come, and who takes no more work."""
        if self._connection.is_lost and not self.dispatcher.links:
            raise ClusterError("the scheduler is gone, and with it all workers")
        try:
            async with asyncio.timeout(self._terms.whole):
                self._present = await self._connection.workers()
        except OSError:  # it may come back
            return
        linked = {link.worker for link in self.dispatcher.links}
        for worker in self._present:
            if worker not in linked and worker not in self._refused:
                self._admit(worker)
        for link in self.dispatcher.links:
            if link.worker not in self._present and not link.is_leaving:
                self.dispatcher.leaving(link, time.monotonic())

    def _admit(self, worker: str) -> None:
        if worker not in self._admitting:
            task = self._admitting[worker] = asyncio.get_running_loop().create_task(self._admitted(worker))
            task.add_done_callback(lambda _: self._admitting.pop(worker, None))

    async def _admitted(self, worker: str) -> None:
        """An agent there, with a session."""
        name = f"aiospawn-agent-{uuid.uuid4().hex}"
        try:
            async with asyncio.timeout(_PATIENCE_AT_FIRST):
                wrong = await self._looked_at(worker)
                if wrong is not None:
                    _LOG.warning("%s; it gets no commands", wrong)
                    self._refused.add(worker)
                    return
                answer = await self._connection.ask(worker, begin, name, pickle.dumps(self._settings))
                opened: Opened = pickle.loads(answer)  # noqa: S301 - a worker is trusted, as Dask has it
        except Exception as error:  # noqa: BLE001 - it is asked again at the next look, if it is still there
            _LOG.debug("worker %s: %s: %s", worker, type(error).__name__, error)
            return
        if opened.capacity < 1:
            _LOG.warning("worker %s has no room for a command that needs what this one does; it gets none", worker)
            self._refused.add(worker)
            return
        now = time.monotonic()
        lease = Lease(self._terms.whole, opened.stamp, now)
        self.dispatcher.joined(Link(name, worker, opened.host, opened.capacity, lease, self.dispatcher.horizon, now))
        self._changed()

    # ---- messages -----------------------------------------------------------------------------------------------------

    def send(self, link: Link, message: Message) -> None:
        """For the dispatcher."""
        task = asyncio.get_running_loop().create_task(self._sent(link, message))
        calls = self._calls.setdefault(link.name, set())
        calls.add(task)
        task.add_done_callback(calls.discard)

    async def _sent(self, link: Link, message: Message) -> None:
        try:
            async with asyncio.timeout(message.wait + self._terms.of_agent * _PATIENCE):
                data = pickle.dumps(message)
                answer = await self._connection.call(link.worker, link.name, message=data)
                report = pickle.loads(answer)  # noqa: S301 - as above
        except Exception as error:  # noqa: BLE001 - whatever it is, the agent has not answered
            _LOG.debug("agent on %s: %s: %s", link.worker, type(error).__name__, error)
            self.dispatcher.failed(link, message, time.monotonic())
        else:
            self.dispatcher.answered(link, message, report, time.monotonic())
        self._changed()

    def forget(self, link: Link) -> None:
        """For the dispatcher. An agent that leaves in order gets a message; one that is lost has ended by itself."""
        current = asyncio.current_task()
        for task in self._calls.pop(link.name, set()):
            if task is not current:
                task.cancel()
        self._behind(self._dismissed(link))

    async def _dismissed(self, link: Link) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._connection.call(link.worker, link.name, hurry=True), self._terms.of_agent)

    def _behind(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # ---- the end ------------------------------------------------------------------------------------------------------

    async def end(self) -> None:
        """Ends everything everywhere; comes back when nothing runs any more."""
        self._is_ending = True
        stale = [*self._admitting.values(), *self._background, *(task for calls in self._calls.values() for task in calls)]
        for task in stale:
            task.cancel()
        await asyncio.gather(*map(self._ended, self.dispatcher.links))
        await asyncio.gather(*stale, return_exceptions=True)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._connection.close()

    async def _ended(self, link: Link) -> None:
        """An agent that cannot be asked has ended when its lease is over."""
        until = max(link.lease.until, time.monotonic() + self._grace)
        while True:
            try:
                async with asyncio.timeout(self._grace + self._terms.whole):
                    await self._connection.call(link.worker, link.name, hurry=self._is_hurried)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the agent has not answered
                if time.monotonic() >= until:
                    _LOG.warning(
                        "worker %s (%s) could not be asked to end its commands, which its lease has done: %s",
                        link.worker, link.host, error,
                    )  # fmt: skip
                    return
                await asyncio.sleep(_TICK)

    def hurry(self) -> None:
        """What is being ended is killed at once."""
        self._is_hurried = True
        if self._is_ending:
            for link in self.dispatcher.links:
                self._behind(self._hurried(link))

    async def _hurried(self, link: Link) -> None:
        with contextlib.suppress(Exception):
            await self._connection.call(link.worker, link.name, hurry=True)
