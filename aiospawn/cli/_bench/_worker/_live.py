"""Many children alive at a time."""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
from asyncio.subprocess import PIPE
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ._heart import heartbeat, stalls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._spec import Spec

__all__ = ["crowd", "storm"]


class _Crowd(NamedTuple):
    members: list[asyncio.subprocess.Process]
    gate: int  # closed, it lets all of them go
    figures: dict[str, float]

    async def dismissed(self) -> dict[str, float]:
        """Signals all, reaps all. Raises RuntimeError where one was lost."""
        if not self.members:
            os.close(self.gate)
            return {}
        started = perf_counter()
        for member in self.members:
            member.send_signal(signal.SIGTERM)
        signalled = perf_counter()
        statuses = await asyncio.gather(*[member.wait() for member in self.members])
        reaped = perf_counter()
        os.close(self.gate)
        if set(statuses) - {-signal.SIGTERM}:
            raise RuntimeError(f"children ended with {set(statuses)}")
        return self.figures | {"live_signal_s": signalled - started, "live_reap_s": reaped - signalled}


async def crowd(spec: Spec, stdout: int | None = PIPE) -> _Crowd:
    """`live` children that wait for the end of one pipe, each with a pipe of its own for its output."""
    gate, inner = os.pipe()
    members: list[asyncio.subprocess.Process] = []

    async def create() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(spec.gate, stdin=gate, stdout=stdout, **spec.options)

    async def worker(numbers: Iterator[int]) -> None:
        members.extend([await create() for _ in numbers])

    if spec.live:
        first = await create()
        first.kill()
        await first.wait()
    resident, started, numbers = _resident_kib(), perf_counter(), iter(range(spec.live))
    await asyncio.gather(*[worker(numbers) for _ in range(min(64, spec.live))])
    elapsed, resident = perf_counter() - started, _resident_kib() - resident
    os.close(gate)
    figures = {"live_launch_s": elapsed, "live_kib_each": resident / spec.live} if spec.live else {}
    return _Crowd(members, inner, figures)


async def storm(spec: Spec) -> dict[str, Any]:
    """`live` children end at once: how long until all are reaped, and how late a beat comes meanwhile."""
    living = await crowd(spec, stdout=None)
    late: list[float] = []
    started = perf_counter()
    with heartbeat(late):
        os.close(living.gate)
        statuses = await asyncio.gather(*[member.wait() for member in living.members])
        elapsed = perf_counter() - started
    if set(statuses) != {0}:
        raise RuntimeError(f"children ended with {set(statuses)}")
    return stalls(late) | {"seconds": elapsed, "per_s": spec.live / elapsed}


def _resident_kib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE / 1024
