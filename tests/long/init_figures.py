"""What init costs, and how soon a tree is gone.

python tests/long/init_figures.py [--many]

`--many` keeps 9,900 trees at the same time, as many as 20,000 descriptors allow, and measures nothing else.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import resource
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import aiospawn

_ROUNDS = 300
_JOBS = 64


async def _milliseconds(launch: Any, *command: str, **options: Any) -> float:
    began = time.perf_counter()
    process = await launch(*command, **options)
    await process.wait()
    return 1000 * (time.perf_counter() - began)


async def _launches() -> None:
    """Paired: one of each in turn."""
    times: dict[str, list[float]] = {"without": [], "init=True": [], "tini -s, by asyncio": []}
    ours, asyncios = aiospawn.create_subprocess_exec, asyncio.create_subprocess_exec
    for _ in range(_ROUNDS):
        times["without"].append(await _milliseconds(ours, "true"))
        times["init=True"].append(await _milliseconds(ours, "true", init=True))
        if shutil.which("tini"):
            times["tini -s, by asyncio"].append(await _milliseconds(asyncios, "tini", "-s", "--", "true"))
    for name, measured in times.items():
        if measured:
            print(f"`true`, {name}: {statistics.median(measured):.2f} ms")


def _status(pid: int, name: str, file: str) -> int:
    text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(f"{name}:")).split()[1])


async def _idle() -> None:
    processes = [await aiospawn.create_subprocess_exec("sleep", "1000", init=True) for _ in range(100)]
    pids = [process.pid for process in processes]
    await asyncio.sleep(1)
    before = [_status(pid, "voluntary_ctxt_switches", "status") for pid in pids]
    await asyncio.sleep(5)
    woken = sum(_status(pid, "voluntary_ctxt_switches", "status") for pid in pids) - sum(before)
    share = statistics.mean(_status(pid, "Pss", "smaps_rollup") for pid in pids)
    print(f"memory of an init, its share of 100: {share:.0f} KiB")
    print(f"wake-ups of 100 idle ones in 5 s: {woken}")
    for process in processes:
        process.kill()
    for process in processes:
        await process.wait()


async def _many_descendants() -> None:
    reader, writer = os.pipe()
    script = "i=0; while [ $i -lt 1000 ]; do setsid sleep 1000 & i=$((i + 1)); done; echo . >&9; wait"
    process = await aiospawn.create_subprocess_exec("sh", "-c", script, init=True, fds={9: writer})
    os.close(writer)
    await asyncio.get_running_loop().run_in_executor(None, os.read, reader, 1)
    began = time.perf_counter()
    process.kill()
    await process.wait()
    print(f"1,000 descendants: gone after {1000 * (time.perf_counter() - began):.0f} ms")
    os.close(reader)


def _wait_for_bytes(reader: int, count: int) -> None:
    while count > 0:
        select.select([reader], [], [])
        count -= len(os.read(reader, 4096))


def _killed_map() -> None:
    """Every job holds the FIFO: it ends with the last of them."""
    with tempfile.TemporaryDirectory() as directory:
        fifo = os.path.join(directory, "fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        keeper = os.open(fifo, os.O_WRONLY)
        script = f"exec >{fifo}; printf .; exec setsid sleep 1000"
        command = [sys.executable, "-m", "aiospawn", "map", "-j", str(_JOBS), "--init", "sh", "-c", script]
        with subprocess.Popen([*command, ":::", *map(str, range(_JOBS))]) as mapping:
            _wait_for_bytes(reader, _JOBS)
            os.close(keeper)
            began = time.perf_counter()
            mapping.kill()
            while True:
                select.select([reader], [], [])
                if not os.read(reader, 1):
                    break
            print(f"kill -9 of `aiospawn map -j {_JOBS} --init`: no job after {1000 * (time.perf_counter() - began):.0f} ms")
        os.close(reader)


def _lines(directory: str) -> int:
    done = pathlib.Path(directory, "done")
    return len(done.read_text().splitlines()) if done.exists() else 0


def _resumed_map() -> None:
    """Each job holds a lock: a second copy of it would find that."""
    with tempfile.TemporaryDirectory() as directory:
        script = 'flock -n lock-$1 sh -c "sleep 0.2; echo $1 >> done" || echo $1 >> twice'
        command = [sys.executable, "-m", "aiospawn", "map", "-j", str(_JOBS), "--init", "--joblog", "log", "--resume"]
        command += ["sh", "-c", script, "job", "{}", ":::", *map(str, range(400))]
        kills = 0
        while True:
            mapping = subprocess.Popen(command, cwd=directory)
            before = _lines(directory)
            while mapping.poll() is None and _lines(directory) < before + _JOBS:
                time.sleep(0.01)
            if mapping.poll() is not None:
                break
            mapping.kill()
            mapping.wait()
            kills += 1
        done = pathlib.Path(directory, "done").read_text().split()
        twice = pathlib.Path(directory, "twice").exists()
        print(f"killed {kills} times and resumed: {len(set(done))} of 400 jobs done, two copies at a time: {twice}")


_MANY, _LIMIT = 9_900, 20_000


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd")) - 1


async def _many_trees() -> None:
    """All at the same time: a pidfd and a socket each."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_LIMIT, max(_LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    first = await aiospawn.create_subprocess_exec("sleep", "1000", init=True)
    descriptors, memory, began = _open_files(), _status(os.getpid(), "VmRSS", "status"), time.perf_counter()
    others = [await aiospawn.create_subprocess_exec("sleep", "1000", init=True) for _ in range(_MANY - 1)]
    rate = _MANY / (time.perf_counter() - began)
    fds, kib = _open_files() - descriptors, _status(os.getpid(), "VmRSS", "status") - memory
    processes = [first, *others]
    share = statistics.mean(_status(process.pid, "Pss", "smaps_rollup") for process in processes[:100])
    print(f"{_MANY:,} trees at RLIMIT_NOFILE {_LIMIT:,}, {rate:.0f} launched a second")
    print(f"of this process each has {fds / (_MANY - 1):.2f} descriptors and {kib / _MANY:.1f} KiB")
    print(f"memory of an init, its share of {_MANY:,}: {share:.0f} KiB")
    began = time.perf_counter()
    for process in processes:
        process.kill()
    for process in processes:
        await process.wait()
    print(f"killed and reaped in {time.perf_counter() - began:.1f} s")


async def main() -> None:
    await _launches()
    await _idle()
    await _many_descendants()


if __name__ == "__main__":
    if sys.argv[1:] == ["--many"]:
        asyncio.run(_many_trees())
        sys.exit()
    asyncio.run(main())
    _killed_map()
    _resumed_map()
