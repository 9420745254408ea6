"""The way to clusters, for those who stand above `_cluster`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import CompletedProcess

__all__ = ["elsewhere", "opened"]


def opened() -> Any:
    """The module `_cluster.door`. By its name: that folder is built on this one, and few programs use it."""
    return importlib.import_module("aiospawn._cluster.door")


async def elsewhere(given: dict[str, Any]) -> CompletedProcess[Any]:
    """`run` with the parameters that it was given, on their `cluster`. Raises as it does, and ClusterError."""
    if given.pop("on_output") is not None:
        raise ValueError("on_output with cluster: what a command writes comes line by line, to on_line")
    args, cluster, options = given.pop("args"), given.pop("cluster"), given.pop("options")
    result: CompletedProcess[Any] = await opened().run(args, cluster, **given, **options)
    return result
