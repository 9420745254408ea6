"""A Dask cluster in processes of its own, each worker of one thread, and what a test needs to know of it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["dask_workers", "running_in", "workers_of"]

_PROGRAM = textwrap.dedent("""
    import sys
    import distributed

    if __name__ == "__main__":
        count = int(sys.argv[1])
        with distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster:
            print(cluster.scheduler_address, flush=True)
            sys.stdin.read()
""")

_WITHOUT_NANNIES = textwrap.dedent("""
    import asyncio
    import subprocess
    import sys
    import distributed

    WORKER = "import asyncio, sys, distributed\\nasync def main():\\n"
    WORKER += "    async with distributed.Worker(sys.argv[1], nthreads=1) as worker: await worker.finished()\\n"
    WORKER += "asyncio.run(main())"

    async def kept(address):
        while True:
            worker = subprocess.Popen([sys.executable, "-c", WORKER, address])
            while worker.poll() is None:
                await asyncio.sleep(0.1)

    async def main():
        async with distributed.Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
            print(scheduler.address, flush=True)
            workers = [asyncio.create_task(kept(scheduler.address)) for _ in range(int(sys.argv[1]))]
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    asyncio.run(main())
""")


class DaskWorkers(NamedTuple):
    """A cluster that runs."""

    address: str
    """The scheduler's."""
    pid: int
    """Of the process that has the scheduler, and whose children the workers are."""


@contextlib.contextmanager
def dask_workers(count: int = 2, *, nannies: bool = True) -> Iterator[DaskWorkers]:
    """Everything has ended behind the block.

    A nanny does not start a worker again that is killed while it begins; without nannies there is a plain loop that does.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM if nannies else _WITHOUT_NANNIES, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, "the cluster did not start"
        yield DaskWorkers(address, process.pid)
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # where a worker is stopped
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def workers_of(pid: int) -> list[int]:
    """The processes of the workers."""
    children = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    found = []
    for child in {int(number) for path in children for number in path.read_text().split()}:
        with contextlib.suppress(OSError):
            command = pathlib.Path(f"/proc/{child}/cmdline").read_bytes()
            if b"spawn_main" in command or b"distributed.Worker" in command:
                found.append(child)
    return sorted(found)


def running_in(directory: str | pathlib.Path) -> list[int]:
    """The processes whose working directory it is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == str(directory):
                found.append(int(pid))
    return found
