"""A real cluster whose workers are killed and stopped: `python tests/long/cluster_faults.py --commands 20000`.

Each command holds a lock of its own while it runs, and the lock is not to be had twice. Every two seconds a worker is
killed or stopped, now and then for longer than a lease; at the end every command was done, and nothing is left running.
Then the client is killed at a random moment, `--clients` times, and a lease later none of its commands runs.
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

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "support")]

import fresh
from dask_workers import dask_workers, running_in, workers_of

import aiospawn

_LEASE = 3.0
_CLIENT = textwrap.dedent("""
    import asyncio, sys, aiospawn

    async def main():
        sleeps = (["sh", "-c", "setsid sleep 1000 & sleep 1000"] for _ in range(1000))
        cluster = aiospawn.Cluster(sys.argv[1], lease=float(sys.argv[2]))
        async for result in aiospawn.map(sleeps, cluster=cluster, concurrency=4, cwd=sys.argv[3]):
            pass

    asyncio.run(main())
""")


async def disturbed(cluster_pid: int, chance: random.Random) -> None:
    """Until it is cancelled."""
    counts = {"killed": 0, "stopped": 0}
    try:
        while True:
            await asyncio.sleep(2)
            workers = workers_of(cluster_pid)
            if not workers:
                continue
            worker = chance.choice(workers)
            try:
                if chance.random() < 0.5:
                    os.kill(worker, signal.SIGKILL)
                    counts["killed"] += 1
                else:
                    os.kill(worker, signal.SIGSTOP)
                    counts["stopped"] += 1
                    asyncio.get_running_loop().call_later(chance.uniform(0, 2 * _LEASE), _go_on, worker)
            except ProcessLookupError:
                continue
    finally:
        print(f"workers {counts}")


def _go_on(worker: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGCONT)


async def locks(count: int, seed: int) -> list[str]:
    """What is wrong."""
    wrong = []
    with tempfile.TemporaryDirectory() as directory, dask_workers(count=4, nannies=False) as cluster:
        script = 'echo "$0" >>done; sleep 0.0$(($0 % 5))'
        commands = (
            ["flock", "-n", "-E", "9", f"{number % 1000}/{number}", "sh", "-c", script, str(number)]
            for number in range(count)
        )
        for number in range(1000):
            os.mkdir(os.path.join(directory, str(number)))
        trouble = asyncio.ensure_future(disturbed(cluster.pid, random.Random(seed)))
        results: list[aiospawn.MapResult] = []
        started = time.monotonic()
        rules = aiospawn.Cluster(cluster.address, lease=_LEASE, worker_retries=20)
        async with aiospawn.map(commands, cluster=rules, concurrency=4, cwd=directory) as stream:
            async for result in stream:
                results.append(result)
                if not result.ok:
                    wrong.append(f"command {result.number}: {result.error or result.returncode}")
        trouble.cancel()
        await asyncio.gather(trouble, return_exceptions=True)
        if [result.number for result in results] != list(range(count)):
            wrong.append(f"{len(results)} results of {count}")
        with open(os.path.join(directory, "done")) as file:  # noqa: ASYNC230 - nothing else runs any more
            done = {int(line) for line in file}
        if done != set(range(count)):
            wrong.append(f"{count - len(done)} commands were not run")
        if running_in(directory):
            wrong.append(f"{len(running_in(directory))} processes are left")
        print(f"{count} commands in {time.monotonic() - started:.0f} s, {len(wrong)} wrong")
    return wrong


def clients(count: int, seed: int) -> list[str]:
    """What is wrong."""
    chance, wrong, slowest = random.Random(seed), [], 0.0
    with tempfile.TemporaryDirectory() as directory, dask_workers() as cluster:
        for turn in range(count):
            client = subprocess.Popen(fresh.command(_CLIENT, cluster.address, str(_LEASE), directory))
            while not running_in(directory):
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 1))
            before = len(running_in(directory))
            client.kill()
            client.wait()
            killed = time.monotonic()
            while running_in(directory) and time.monotonic() < killed + 2 * _LEASE:
                time.sleep(0.02)
            slowest = max(slowest, time.monotonic() - killed)
            if time.monotonic() - killed > _LEASE:
                wrong.append(f"client {turn}: of {before} processes {len(running_in(directory))} are left a lease later")
    print(f"{count} clients killed, {len(wrong)} wrong; nothing ran {slowest:.2f} s later, with a lease of {_LEASE} s")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = asyncio.run(locks(options.commands, options.seed)) if options.commands else []
    wrong += clients(options.clients, options.seed) if options.clients else []
    for each in wrong[:20]:
        print(each)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
