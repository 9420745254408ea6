"""The way to clusters, for those who stand above `_cluster`."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["opened"]


def opened() -> Any:
    """The module `_cluster.door`. By its name: that folder is built on this one, and few programs use it."""
    return importlib.import_module("aiospawn._cluster.door")
