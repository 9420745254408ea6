"""What a launch costs."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from asyncio.subprocess import PIPE
from time import perf_counter
from typing import TYPE_CHECKING, Any

import aiospawn

from ._launch import launcher, successfully
from ._live import crowd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._spec import Spec

__all__ = ["launches"]


async def launches(spec: Spec) -> dict[str, Any]:
    """`total` launches, `window` at a time: rate, CPU of the loop's thread, first slices where one runs at a time."""
    slices: list[float] = []
    launch = launcher(spec, slices if spec.window == 1 else None)
    living = await crowd(spec)
    await successfully(launch())  # what a process sets up once is not a launch's cost
    slices.clear()
    childrens, cpu, started = _children_cpu(), time.thread_time(), perf_counter()
    deadline = started + spec.seconds
    launched = await (_count_of_map(spec, deadline) if spec.way == "map" else _count(spec, launch, deadline))
    elapsed, cpu, childrens = perf_counter() - started, time.thread_time() - cpu, _children_cpu() - childrens
    figures: dict[str, Any] = {
        "launched": launched,
        "seconds": elapsed,
        "cut": launched < spec.total,
        "per_s": launched / elapsed,
        "mean_us": elapsed / launched * 1e6,
        "loop_cpu_us": cpu / launched * 1e6,
        "children_cpu_us": childrens / launched * 1e6,
    }
    if slices:
        figures["slice_us"] = statistics.median(slices) * 1e6
    return figures | await living.dismissed()


async def _count(spec: Spec, launch: Callable[[], Awaitable[int | None]], deadline: float) -> int:
    """How many are launched until then, all of them at most."""
    launched, numbers = 0, iter(range(spec.total))

    async def worker() -> None:
        nonlocal launched
        for _ in numbers:
            if launched and perf_counter() > deadline:  # of no launch there are no figures
                return
            await successfully(launch())
            launched += 1

    await asyncio.gather(*[worker() for _ in range(spec.window)])
    return launched


async def _count_of_map(spec: Spec, deadline: float) -> int:
    """As `_count`, by one map."""
    launched = 0
    commands = (spec.program for number in range(spec.total) if not number or perf_counter() <= deadline)
    stdout = PIPE if spec.capture == "pipe" else None
    async with aiospawn.map(commands, concurrency=spec.window, ordered=False, stdout=stdout) as results:
        async for result in results:
            if not result.ok:
                raise RuntimeError(f"a child ended with {result.returncode}")
            launched += 1
    return launched


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
