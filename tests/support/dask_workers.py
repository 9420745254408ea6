"""A Dask cluster in processes of its own, each worker of one thread, and what a test needs to know of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["commands_of", "dask_workers", "running_in", "started"]

_PROGRAM = textwrap.dedent("""
    import os
    import sys
    import distributed

    if __name__ == "__main__":
        answers = open(os.dup(1), "w")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what commands write, which nobody reads
        count, memory_limit = map(int, sys.argv[1:])
        with distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
            memory_limit=memory_limit,
        ) as cluster:
            print(cluster.scheduler_address, file=answers, flush=True)
            sys.stdin.read()
""")


class DaskWorkers(NamedTuple):
    """A cluster that runs."""

    address: str
    """The scheduler's."""
    pid: int
    """Of the process that has the scheduler, and whose children the workers are."""


@contextlib.contextmanager
def dask_workers(count: int = 2, *, memory_limit: int = 0) -> Iterator[DaskWorkers]:
    """Everything has ended behind the block.

    `memory_limit`: bytes of a worker, 0: none. A nanny does not start a worker again that is killed while it begins;
    `dask_machines` does.
    """
    with started([sys.executable, "-c", _PROGRAM, str(count), str(memory_limit)]) as (process, address):
        yield DaskWorkers(address, process.pid)


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A program with a cluster, which prints a line when that is there, and ends with its standard input; and the line."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        assert line, "the cluster did not start"
        yield process, line
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # where a worker is stopped
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def running_in(directory: str | os.PathLike[str]) -> list[int]:
    """The processes whose working directory it is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == str(directory):
                found.append(int(pid))
    return found


def commands_of(cluster: DaskWorkers) -> list[int]:
    """The processes of the commands that run on its workers, each under an init."""
    workers = _children(cluster.pid)
    inits = [init for worker in workers for init in _children(worker)]
    return [command for init in inits for command in _children(init)]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as children:
                found.extend(map(int, children.read().split()))
    return found
