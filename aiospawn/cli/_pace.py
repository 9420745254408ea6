"""How fast jobs are started: `--delay` and `--load`."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from typing import NamedTuple

from . import _values

__all__ = ["Pace", "load"]

_LOOK_EVERY_S = 0.25


def load(text: str) -> int:
    """A number of running processes, or a percentage of the processors."""
    try:
        return _values.jobs(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(str(error).replace("a number", "a number of processes")) from None


class Pace(NamedTuple):
    """When the next job may be started."""

    delay: float
    """Seconds between two starts."""
    load: int | None
    """How many processes may run on the machine, ours among them, for another one to be started."""
    memory: int | None = None
    """How many bytes of memory must be available for that."""

    async def keep(self, last_start: float | None) -> float:
        """Waits, and returns the time of the start (`time.monotonic`)."""
        if self.delay and last_start is not None:
            await asyncio.sleep(last_start + self.delay - time.monotonic())
        while self._is_held():  # noqa: ASYNC110 - the kernel does not report changes of its load
            await asyncio.sleep(_LOOK_EVERY_S)
        return time.monotonic()

    def _is_held(self) -> bool:
        if self.load is not None and _running() >= self.load:
            return True
        return self.memory is not None and _available() < self.memory


def _available() -> int:
    """Bytes that could be used without swapping (proc_meminfo(5))."""
    with open("/proc/meminfo") as file:
        (line,) = (line for line in file if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def _running() -> int:
    """Processes on a processor or waiting for one, without this one: the fourth field of /proc/loadavg [proc_loadavg(5)]."""
    descriptor = os.open("/proc/loadavg", os.O_RDONLY)
    try:
        return int(os.read(descriptor, 128).split()[3].partition(b"/")[0]) - 1
    finally:
        os.close(descriptor)
