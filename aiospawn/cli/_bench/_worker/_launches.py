"""What a launch costs."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ._launch import launcher, successfully
from ._live import crowd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._spec import Spec

__all__ = ["launches"]


async def launches(spec: Spec) -> dict[str, Any]:
    """`total` launches, `window` at a time: rate, CPU of the loop's thread, first slices where one runs at a time."""
    slices: list[float] = []
    launch = launcher(spec, slices if spec.window == 1 else None)
    living = await crowd(spec)
    await successfully(launch())  # what a process sets up once is not a launch's cost
    slices.clear()
    launched, cut = 0, False

    async def worker(numbers: Iterator[int], deadline: float) -> None:
        nonlocal launched, cut
        for _ in numbers:
            if launched and perf_counter() > deadline:  # of no launch there are no figures
                cut = True
                return
            await successfully(launch())
            launched += 1

    numbers = iter(range(spec.total))
    childrens, cpu, started = _children_cpu(), time.thread_time(), perf_counter()
    await asyncio.gather(*[worker(numbers, started + spec.seconds) for _ in range(spec.window)])
    elapsed, cpu, childrens = perf_counter() - started, time.thread_time() - cpu, _children_cpu() - childrens
    figures: dict[str, Any] = {
        "launched": launched,
        "seconds": elapsed,
        "cut": cut,
        "per_s": launched / elapsed,
        "mean_us": elapsed / launched * 1e6,
        "loop_cpu_us": cpu / launched * 1e6,
        "children_cpu_us": childrens / launched * 1e6,
    }
    if slices:
        figures["slice_us"] = statistics.median(slices) * 1e6
    return figures | await living.dismissed()


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
