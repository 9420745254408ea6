"""What a sandbox costs.

python tests/long/sandbox_figures.py [--rounds 300]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import time
from typing import Any

import aiospawn

_HIDDEN, _BUBBLEWRAP = "Sandbox(hide=True)", "bwrap --unshare-all, by asyncio"
_BWRAP = (
    *("bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"),
    *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--", "true"),
)


async def _microseconds(launch: Any, *command: str, **options: Any) -> float:
    began = time.perf_counter()
    process = await launch(*command, **options)
    assert await process.wait() == 0, command
    return 1e6 * (time.perf_counter() - began)


async def _cost(rounds: int) -> None:
    """One of each in turn."""
    ours, asyncios = aiospawn.create_subprocess_exec, asyncio.create_subprocess_exec
    limits = aiospawn.Limits(memory=2**30, processes=50, cpu_seconds=50, wall=50)
    ways: dict[str, tuple[Any, ...]] = {
        "without": (ours, ("true",), {}),
        "Sandbox()": (ours, ("true",), {"sandbox": aiospawn.Sandbox()}),
        "Sandbox(limits=...)": (ours, ("true",), {"sandbox": aiospawn.Sandbox(limits=limits)}),
        _HIDDEN: (ours, ("true",), {"sandbox": aiospawn.Sandbox(hide=True)}),
        'Sandbox(hide=True, network="loopback")': (
            ours,
            ("true",),
            {"sandbox": aiospawn.Sandbox(hide=True, network="loopback")},
        ),
        "Sandbox(hide=True, network=True)": (ours, ("true",), {"sandbox": aiospawn.Sandbox(hide=True, network=True)}),
    }
    if shutil.which("bwrap"):
        ways[_BUBBLEWRAP] = (asyncios, _BWRAP, {})
        shared = ("bwrap", "--share-net", *_BWRAP[1:])
        ways["bwrap --unshare-all --share-net, by asyncio"] = (asyncios, ("bwrap", "--unshare-all", *shared[1:]), {})
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (launch, command, options) in ways.items():
            times[name].append(await _microseconds(launch, *command, **options))
    for name, measured in times.items():
        more = statistics.median(one - other for one, other in zip(measured, times["without"], strict=True))
        print(f"`true`, {name}: {statistics.median(measured):.0f} us, {more:+.0f} in the same round", flush=True)
    if bubblewraps := times.get(_BUBBLEWRAP):
        share = statistics.median(one / other for one, other in zip(times[_HIDDEN], bubblewraps, strict=True))
        print(f"{_HIDDEN} takes {share:.2f} of {_BUBBLEWRAP}, in the same round", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=300)
    given = parser.parse_args()
    for factory in (aiospawn.new_event_loop, aiospawn.new_uvloop_event_loop):
        print(f"-- {factory.__name__}", flush=True)
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_cost(given.rounds))


if __name__ == "__main__":
    main()
