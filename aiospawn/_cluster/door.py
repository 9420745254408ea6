"""The door to this folder for those above it, which import it by name when a cluster is first used."""

from __future__ import annotations

from typing import Any

from aiospawn._map.map import map as mapped

from .cluster import cluster_of
from .workers import ClusterWorkers

__all__ = ["run", "workers"]


def workers(cluster: Any, *arguments: Any, **keywords: Any) -> ClusterWorkers:
    """The workers of a map on a cluster. Raises TypeError and ValueError for what cannot be had there."""
    import aiospawn

    return ClusterWorkers(cluster_of(cluster), aiospawn.__version__, *arguments, **keywords)


async def run(args: Any, cluster: Any, *, on_line: Any, check: bool, **keywords: Any) -> Any:
    """`run` on a cluster: a map of one."""
    told = None if on_line is None else lambda line: on_line(line.stream, line.line)
    async with mapped([args], cluster=cluster, check=check, on_line=told, **keywords) as results:
        async for result in results:
            if result.completed is None:
                assert result.error is not None
                raise result.error
            return result.completed
    raise RuntimeError("unreachable: a map has a result for each command")
