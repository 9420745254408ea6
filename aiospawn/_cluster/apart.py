"""What a worker of `cluster="local"` does first: it leaves the process group of this program.

What a terminal sends to that group, Ctrl-C's SIGINT above all, is for the map, which may let running commands finish.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["dask_setup"]


def dask_setup(_worker: Any) -> None:
    """As Dask calls it in a worker."""
    os.setpgid(0, 0)
