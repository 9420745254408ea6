"""The way to the workers of a Dask cluster, by its own connections. `distributed` is imported when there is one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
from typing import TYPE_CHECKING, Any

from .cluster import ClusterError

if TYPE_CHECKING:
    from .cluster import Cluster

__all__ = ["Connection"]

_GUARD = 'the program that the main module runs is not under `if __name__ == "__main__":`'
_PRELOAD = "aiospawn._cluster.apart"
_MOST_CONNECTIONS = 100_000  # the bound is the process's own, of its descriptors


class Connection:
    """One map's: a client, which may be the caller's, and connections to workers."""

    def __init__(self, cluster: Cluster) -> None:
        self._given = cluster.client
        self._client: Any = None
        self._local: Any = None
        self._pool: Any = None
        self._starting: asyncio.Future[Any] | None = None

    async def open(self) -> None:
        """Raises ClusterError where there is no `distributed`, or no scheduler."""
        try:
            import distributed
        except ImportError as error:
            raise ClusterError(
                f"cluster={self._given!r} needs distributed: pip install 'aiospawn[dask]' ({error})"
            ) from None
        if not isinstance(self._given, str):
            self._client = self._given
            self._refuse_unusable()
        else:
            await self._connect(distributed)
        self._pool = await distributed.core.ConnectionPool(
            limit=_MOST_CONNECTIONS, connection_args=self._client.security.get_connection_args("client")
        )

    async def _connect(self, distributed: Any) -> None:
        """What is made here is closed by `close`, also where it was not made completely."""
        address = self._given
        if address == "local":
            address = await self._local_address(distributed)
        self._client = distributed.Client(address, asynchronous=True, set_as_default=False)
        try:
            await self._client
        except OSError as error:  # a time-out is one too
            raise ClusterError(f"cluster={self._given!r}: no scheduler answers there: {error}") from None

    async def _local_address(self, distributed: Any) -> str:
        # A process that is being started imports the main module, and may start none itself until it has.
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise ClusterError(f'cluster="local" where a worker imports the main module: {_GUARD}')
        self._local = distributed.LocalCluster(
            asynchronous=True, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=logging.ERROR,
            preload=_PRELOAD,
        )  # fmt: skip
        self._starting = asyncio.ensure_future(self._local)
        try:
            address: str = await asyncio.shield(self._starting)
        except Exception as error:
            raise ClusterError(f'cluster="local": its workers do not start: {error} Perhaps {_GUARD}') from error
        return address

    def _refuse_unusable(self) -> None:
        if self._client.loop.asyncio_loop is not asyncio.get_running_loop():
            raise ClusterError("cluster: the client belongs to another event loop than the one that runs")
        if self.is_lost:
            raise ClusterError(f"cluster: the client is closed: {self._client!r}")

    @property
    def is_lost(self) -> bool:
        """Whether there is no scheduler any more, and the client has given up."""
        return self._client is not None and self._client.status in ("closed", "closing")

    async def workers(self) -> dict[str, int]:
        """Those that take work, and how many threads they have. Raises OSError."""
        if self._client.scheduler is None:
            raise ConnectionError("the scheduler is gone")
        found: dict[str, int] = await self._client.scheduler.ncores_running()
        return found

    async def ask(self, worker: str, function: Any, *args: Any) -> Any:
        """What a function returns on a worker. Raises what it raises, and OSError."""
        from distributed.protocol import pickle

        answer = await self._pool(worker).run(
            function=pickle.dumps(function), args=pickle.dumps(args), kwargs=pickle.dumps({})
        )
        if answer["status"] == "OK":
            return answer["result"]
        raise answer["exception"]

    async def call(self, worker: str, agent: str, **values: Any) -> bytes:
        """What an agent answers. Raises OSError where there is none."""
        answer = await getattr(self._pool(worker), agent)(**values)
        if not isinstance(answer, bytes):
            raise ConnectionError(f"there is no agent {agent}: {answer!r}")
        return answer

    async def close(self) -> None:
        """The client that was given stays as it is."""
        if self._pool is not None:
            await self._pool.close()
        if isinstance(self._given, str) and self._client is not None:
            with contextlib.suppress(OSError):
                await self._client.close()
        if self._starting is not None:  # a cluster that begins to start cannot be closed
            await asyncio.wait([self._starting])
        if self._local is not None:
            await self._local.close()
