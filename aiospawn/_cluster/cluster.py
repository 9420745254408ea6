"""Where commands run that do not run here, and by which rules."""

from __future__ import annotations

import math
import os
import subprocess
from typing import TYPE_CHECKING, Any

from aiospawn._options.values import at_least

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Cluster", "ClusterError", "WorkerLost", "cluster_of"]

_SHORTEST_LEASE = 1.0  # seconds: below that a busy loop looks like a dead one


class ClusterError(RuntimeError):
    """Commands cannot be run on a cluster: no scheduler, a worker without aiospawn or with another version, ..."""


class WorkerLost(subprocess.SubprocessError):
    """A command was given up, since so many workers were lost while they had it; its results there are not known.

    Attributes:
        cmd: The command.
        workers: Their addresses, a tuple of str.
    """

    def __init__(self, cmd: Any, workers: Sequence[str]) -> None:
        super().__init__(cmd, workers)
        self.cmd = cmd
        self.workers = tuple(workers)

    def __str__(self) -> str:
        count = len(self.workers)
        return f"Command {self.cmd!r} is given up: {count} workers were lost while it ran ({', '.join(self.workers)})"


class Cluster:
    """A Dask cluster, and the rules by which commands run there: for `cluster=` of `map` and `run`.

    Needs the extra `aiospawn[dask]`.

    Args:
        client: An asynchronous `distributed.Client` of the running loop, the address of a scheduler such as
            `"tcp://10.0.0.1:8786"`, or `"local"` for workers on this machine, which end with the map.
        lease: Seconds, 1 or more: nothing runs so long after this process, its machine or the network is gone, and so long
            after a worker was last heard of its commands are given to another.
        worker_retries: How many times a command is given to another worker where the one that has it is lost; then it is
            given up, with WorkerLost as its error. It is no attempt of `retries`.
        output_limit: Bytes of captured output of a command, at most; None: no limit. `max_output` goes before it.
        results: A directory that the workers share: output goes to `NUMBER/stdout` and `NUMBER/stderr` in it instead of to
            the results.
        memory: Bytes that a command is taken to need: a worker runs no more at a time than its memory limit allows.
        resources: Of the workers' own resources (Dask's `--resources`), what a command needs.

    Raises:
        TypeError: A value of the wrong type, or a client that is not asynchronous.
        ValueError: A value out of range.
    """

    __slots__ = ("client", "lease", "memory", "output_limit", "resources", "results", "worker_retries")

    def __init__(
        self,
        client: Any,
        *,
        lease: float = 10.0,
        worker_retries: int = 2,
        output_limit: int | None = 16 << 20,
        results: str | os.PathLike[str] | None = None,
        memory: int | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        self.client = _client(client)
        self.lease = _lease(lease)
        self.worker_retries = at_least("worker_retries", worker_retries, 0)
        self.output_limit = None if output_limit is None else at_least("output_limit", output_limit, 0)
        self.results = None if results is None else _directory(results)
        self.memory = None if memory is None else at_least("memory", memory, 1)
        self.resources = _resources(resources)


def cluster_of(value: Any) -> Cluster:
    """What `cluster=` was given. Raises TypeError and ValueError."""
    return value if isinstance(value, Cluster) else Cluster(value)


def _client(client: Any) -> Any:
    if isinstance(client, str):
        if client != "local" and "://" not in client:
            raise ValueError(f'cluster must be "local" or the address of a scheduler, as "tcp://host:8786", got {client!r}')
        return client
    if not hasattr(client, "scheduler_info") or not hasattr(client, "submit"):  # Dask's own clusters have the first
        raise TypeError(f"cluster must be a distributed.Client, an address or an aiospawn.Cluster, not {client!r}")
    # What `asynchronous` says of an asynchronous client depends on the loop that runs; the connection looks at that.
    if not getattr(client, "_asynchronous", client.asynchronous):
        raise TypeError(f"cluster must be an asynchronous client, as Client(..., asynchronous=True) is, not {client!r}")
    return client


def _lease(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"lease must be a number of seconds, not {value!r}")
    if not _SHORTEST_LEASE <= value < math.inf:
        raise ValueError(f"lease must be {_SHORTEST_LEASE:g} second or more, got {value!r}")
    return value


def _directory(value: Any) -> str:
    path = os.fspath(value)
    if not isinstance(path, str) or not os.path.isabs(path):
        raise ValueError(f"results must be an absolute path, the same on every worker, got {value!r}")
    return path


def _resources(given: Any) -> dict[str, float]:
    resources = dict(given or {})
    for name, amount in resources.items():
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 < amount < math.inf:
            raise ValueError(f"resources must be amounts above 0, got {name!r}: {amount!r}")
    return resources
