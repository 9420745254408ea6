"""How fast a cluster on this machine is, beside one map without: `python tests/long/cluster_rate.py --commands 2000`.

The ways take turns, so that what else the machine does is the same to all. Printed are commands a second, the median of the
turns' ratios, this process's processor time for a command, and the time until the first result of one command.
"""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "support")]

from dask_workers import dask_workers
from distributed import Client

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_TRUE = ["true"]


async def mapped(count: int, **options: Any) -> None:
    async with aiospawn.map((_TRUE for _ in range(count)), ordered=False, **options) as results:
        async for result in results:
            assert result.ok


async def submitted(count: int, client: Any) -> None:
    await client.gather(client.map(subprocess.run, [_TRUE] * count, pure=False))


async def timed(work: Callable[[], Awaitable[None]], count: int) -> tuple[float, float]:
    """Commands a second, and microseconds of this process's processors for each."""
    begun, used = time.perf_counter(), time.process_time()
    await work()
    return count / (time.perf_counter() - begun), (time.process_time() - used) / count * 1e6


async def first_result(client: Any) -> float:
    """Seconds until there is one."""
    begun = time.perf_counter()
    await aiospawn.run(_TRUE, cluster=client)
    return time.perf_counter() - begun


async def main(address: str, count: int, turns: int) -> None:
    async with Client(address, asynchronous=True, set_as_default=False) as client:
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "cluster": lambda: mapped(count, cluster=client),
            "one machine": lambda: mapped(count),
            "client.map": lambda: submitted(count // 8, client),
        }
        await mapped(count // 4, cluster=client)
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        firsts = []
        for _ in range(turns):
            firsts.append(await first_result(client))
            for name, work in ways.items():
                figures[name].append(await timed(work, count // 8 if name == "client.map" else count))
    for name, found in figures.items():
        rates, used = zip(*found, strict=True)
        print(f"{name}: {statistics.median(rates):.0f} commands a second, {statistics.median(used):.0f} us of this process")
    for other in ("one machine", "client.map"):
        ratios = [ours[0] / theirs[0] for ours, theirs in zip(figures["cluster"], figures[other], strict=True)]
        print(f"cluster: {statistics.median(ratios):.2f} times {other} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"first result of one command: {statistics.median(firsts) * 1000:.0f} ms ({min(firsts) * 1000:.0f} ms at best)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with dask_workers() as cluster:
        asyncio.run(main(cluster.address, options.commands, options.turns))
