"""A real cluster whose workers are killed, stopped and cut off: `python tests/long/cluster_faults.py --commands 20000`.

Each command holds a lock of its own while it runs, and the lock is not to be had twice. Every two seconds a worker is
killed, stopped or cut off, often for longer than a lease; at the end every command was done and has one result, and nothing
is left running. Then `--ends` maps are ended at random moments: by a cancellation, a time-out, a halt, by leaving the block,
after which none of their commands runs, and by SIGKILL of the client, after which none runs a lease later.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "support")]

import fresh
from dask_machines import dask_machines
from dask_workers import running_in

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_machines import Machines

_LEASE = 3.0
_WORKERS = 4
_SLEEPS = ["sh", "-c", "setsid sleep 1000 & sleep 1000"]
_CLIENT = textwrap.dedent("""
    import asyncio, sys, aiospawn

    async def main(address, lease, directory, *command):
        cluster = aiospawn.Cluster(address, lease=float(lease))
        async for result in aiospawn.map([command] * 1000, cluster=cluster, concurrency=4, cwd=directory):
            pass

    asyncio.run(main(*sys.argv[1:]))
""")


# ---- workers that are lost ---------------------------------------------------------------------------------------------


async def disturbed(machines: Machines, chance: random.Random, counts: dict[str, int]) -> None:
    """Until it is cancelled."""
    later = asyncio.get_running_loop().call_later
    while True:
        await asyncio.sleep(2)
        number = chance.randrange(_WORKERS)
        worker, what = machines.worker(number), chance.choice([*counts])
        seconds = chance.uniform(0, 2 * _LEASE)
        with contextlib.suppress(ProcessLookupError):  # it begins again
            if what == "killed":
                os.kill(worker, signal.SIGKILL)
            elif what == "stopped":
                os.kill(worker, signal.SIGSTOP)
                later(seconds, _go_on, worker)
            else:
                direction = chance.choice(["to", "from", "both"])
                machines.cut(number, direction)
                later(seconds, machines.mend, number, direction)
            counts[what] += 1


def _go_on(worker: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGCONT)


async def locks(count: int, seed: int) -> list[str]:
    """What is wrong."""
    wrong: list[str] = []
    counts = {"killed": 0, "stopped": 0, "cut": 0}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, dask_machines(_WORKERS) as machines:
        script = 'echo "$0" >>done; sleep 0.0$(($0 % 5))'
        for number in range(1000):
            os.mkdir(os.path.join(directory, str(number)))
        commands = (
            ["flock", "-n", "-E", "9", f"{number % 1000}/{number}", "sh", "-c", script, str(number)]
            for number in range(count)
        )
        trouble = asyncio.ensure_future(disturbed(machines, random.Random(seed), counts))
        numbers: list[int] = []
        rules = aiospawn.Cluster(machines.address, lease=_LEASE, worker_retries=20)
        async with aiospawn.map(commands, cluster=rules, concurrency=4, cwd=directory) as stream:
            async for result in stream:
                numbers.append(result.number)
                if not result.ok:
                    wrong.append(f"command {result.number}: {result.error or result.returncode}")
                if len(numbers) % 1000 == 0:
                    print(f"{len(numbers)} after {time.monotonic() - started:.0f} s, workers {counts}", flush=True)
        trouble.cancel()
        await asyncio.wait([trouble])
        if numbers != list(range(count)):
            wrong.append(f"{len(numbers)} results of {count}")
        with open(os.path.join(directory, "done")) as file:  # noqa: ASYNC230 - nothing else runs any more
            done = [int(line) for line in file]
        if {*done} != set(range(count)):
            wrong.append(f"{count - len({*done})} commands were not run")
        if running_in(directory):
            wrong.append(f"{len(running_in(directory))} processes are left")
    print(
        f"{count} commands in {time.monotonic() - started:.0f} s, workers {counts}: "
        f"{len(done) - count} commands were begun again, {len(wrong)} wrong"
    )
    return wrong


# ---- maps that are ended -----------------------------------------------------------------------------------------------


async def _all(address: str, directory: str, commands: list[list[str]], **options: Any) -> None:
    cluster = aiospawn.Cluster(address, lease=_LEASE)
    async with aiospawn.map(commands, cluster=cluster, concurrency=4, cwd=directory, **options) as stream:
        async for _ in stream:
            pass


async def cancelled(address: str, directory: str, seconds: float) -> None:
    task = asyncio.ensure_future(_all(address, directory, [_SLEEPS] * 1000))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])


async def timed_out(address: str, directory: str, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _all(address, directory, [_SLEEPS] * 1000)


async def halted(address: str, directory: str, seconds: float) -> None:
    failing = ["sh", "-c", f"sleep {seconds}; exit 1"]
    await _all(address, directory, [*[_SLEEPS] * 3, failing, *[_SLEEPS] * 1000], halt="now,fail=1", ordered=False)


async def left(address: str, directory: str, seconds: float) -> None:
    cluster = aiospawn.Cluster(address, lease=_LEASE)
    async with aiospawn.map([_SLEEPS] * 1000, cluster=cluster, concurrency=4, cwd=directory) as stream:
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(seconds)
    await asyncio.gather(waiting, return_exceptions=True)


def killed(address: str, directory: str, seconds: float) -> float:
    """Returns after how many seconds nothing ran any more."""
    client = subprocess.Popen(fresh.command(_CLIENT, address, str(_LEASE), directory, *_SLEEPS))
    while not running_in(directory):
        time.sleep(0.02)
    time.sleep(seconds)
    client.kill()
    client.wait()
    since = time.monotonic()
    while running_in(directory) and time.monotonic() < since + 3 * _LEASE:
        time.sleep(0.02)
    return time.monotonic() - since


def ends(count: int, seed: int) -> list[str]:
    """What is wrong."""
    chance, wrong, slowest = random.Random(seed), [], 0.0
    ways: list[Callable[..., Any]] = [cancelled, timed_out, halted, left, killed]
    with tempfile.TemporaryDirectory() as directory, dask_machines(2) as machines:
        for turn in range(count):
            way = ways[turn % len(ways)]
            seconds = chance.uniform(0, 1)
            if way is killed:
                slowest = max(slowest, killed(machines.address, directory, seconds))
                if slowest > _LEASE:
                    wrong.append(f"turn {turn}: killed, and {slowest:.2f} s later commands ran")
            else:
                asyncio.run(way(machines.address, directory, seconds))
            if running_in(directory):
                wrong.append(f"turn {turn}: {way.__name__}, {len(running_in(directory))} processes are left")
            if turn % 20 == 19:
                print(f"{turn + 1} maps ended, {len(wrong)} wrong", flush=True)
    print(f"{count} maps ended, {len(wrong)} wrong; at most {slowest:.2f} s after a SIGKILL, with a lease of {_LEASE} s")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--ends", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = asyncio.run(locks(options.commands, options.seed)) if options.commands else []
    wrong += ends(options.ends, options.seed) if options.ends else []
    for each in wrong[:20]:
        print(each)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
