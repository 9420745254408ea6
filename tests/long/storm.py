"""A fork storm: threads that fork in every way there is, while the loops of four other threads launch.

    python tests/long/storm.py --launches 100000

Every child of everybody must end with the status that it was told to; else it says what was lost, and exits with 1. Nothing
may hang: after a minute without a launch or a fork that is still wanted every thread's stack is printed, and it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import itertools
import multiprocessing
import os
import pathlib
import subprocess
import sys
import threading
import time
import traceback
import warnings
from typing import TYPE_CHECKING

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))  # where this is run as a script

import fresh
from loops import ALL, new_event_loop

import aiospawn
from aiospawn import PIPE

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 8  # launches of a loop
STILL = 60  # seconds

# ---- those who fork ---------------------------------------------------------------------------------------------------


def _fork(status: int) -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork_and_launch(status: int) -> int:
    """The child runs a loop of its own."""
    pid = os.fork()
    if pid == 0:
        with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
            os._exit(runner.run(_exit_status(status)))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def _exit_status(status: int) -> int:
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", f"exit {status}")
    return await process.wait()


def _popen(status: int) -> int:
    return subprocess.run(["/bin/sh", "-c", f"exit {status}"], stdout=subprocess.PIPE, check=False).returncode


def _posix_spawn(status: int) -> int:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", f"exit {status}"], {})
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _multiprocessing(status: int) -> int:
    """In one thread: with two, multiprocessing itself loses the status of a process that both look at."""
    process = multiprocessing.get_context("fork").Process(target=os._exit, args=(status,))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


FORKERS: tuple[Callable[[int], int], ...] = (
    *(_fork, _fork, _fork, _fork_and_launch),
    *(_popen, _popen, _posix_spawn, _multiprocessing),
)

# ---- the storm --------------------------------------------------------------------------------------------------------


class Storm:
    """Counts launches and forks, and keeps what went wrong."""

    def __init__(self, launches: int, forks: int) -> None:
        self._numbers = itertools.count(1)
        self._launches_wanted, self._forks_wanted = launches, forks
        self._over = threading.Event()
        self.forks = 0
        self.launches = 0
        self._counting = threading.Lock()
        self.lost: list[object] = []

    def run(self) -> None:
        launching = [threading.Thread(target=self._kept, args=(self._launch_on, name)) for name in ALL]
        forking = [threading.Thread(target=self._kept, args=(self._fork_on, fork)) for fork in FORKERS]
        for thread in (*launching, *forking):
            thread.start()
        for thread in launching:
            thread.join()
        self._over.set()
        for thread in forking:
            thread.join()

    def _kept(self, body: Callable[..., None], argument: object) -> None:
        try:
            body(argument)
        except BaseException as error:  # noqa: BLE001 - of a thread: reported at the end
            self.lost.append("".join(traceback.format_exception(error)))
            self._over.set()

    def _fork_on(self, fork: Callable[[int], int]) -> None:
        for turn in itertools.cycle(range(256)):
            if self._over.is_set():
                return
            if (status := fork(turn)) != turn:
                self.lost.append((fork.__name__, status, turn))
            with self._counting:
                self.forks += 1
            if self.forks <= self._forks_wanted:
                faulthandler.dump_traceback_later(STILL, exit=True)

    def _launch_on(self, variant: str) -> None:
        with asyncio.Runner(loop_factory=lambda: new_event_loop(variant)) as runner:
            runner.run(self._workers())

    async def _workers(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while (self.launches < self._launches_wanted or self.forks < self._forks_wanted) and not self._over.is_set():
            number = next(self._numbers)
            if number <= self._launches_wanted:
                faulthandler.dump_traceback_later(STILL, exit=True)
            process = await aiospawn.create_subprocess_exec(
                "/bin/sh", "-c", 'read line; echo "$line"; exit $1', "sh", str(number % 256), stdin=PIPE, stdout=PIPE
            )
            output, _ = await process.communicate(f"{number}\n".encode())
            if (output, process.returncode) != (f"{number}\n".encode(), number % 256):
                self.lost.append((number, output, process.returncode))
            with self._counting:
                self.launches += 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Loops launch while threads fork; no status may be lost, nothing hang.")
    parser.add_argument("--launches", type=int, default=100_000, help="end after so many")
    parser.add_argument("--forks", type=int, default=0, help="and so many forks")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads: that is what is tested
    for variant in ALL:
        new_event_loop(variant).close()  # what each opens once
    before = fresh.descriptors()
    storm, started = Storm(chosen.launches, chosen.forks), time.monotonic()
    storm.run()
    faulthandler.cancel_dump_traceback_later()
    left = {"descriptors": fresh.descriptors().keys() ^ before.keys(), "children": fresh.children()}
    if storm.lost or any(left.values()):
        print(f"lost: {storm.lost[:10]}, left: {left}", file=sys.stderr)
        return 1
    print(f"{storm.launches} launches, {storm.forks} forks, {time.monotonic() - started:.0f} s, nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
