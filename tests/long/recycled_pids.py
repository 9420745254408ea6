"""Signals while process ids recycle: do they hit a stranger that has got the number?

    unshare --pid --fork --kill-child --mount-proc python tests/long/recycled_pids.py aiospawn --ids 200000

It leaves 16 process ids in its PID namespace, launches children that exit at once, and signals each until it is told that it
is gone. Beside them it launches bystanders on the same ids. Nobody signals these: one that a signal ends is a stranger hit.

`asyncio` in the place of `aiospawn` does the same on the standard library's loop, which loses statuses before CPython 3.13.
Since then it hits strangers: it signals the number as it stands, also when the child is reaped and that is not reported yet.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import pathlib
import signal
from collections import Counter
from typing import Any

import aiospawn

LOWEST = 300  # RESERVED_PIDS of <linux/pid.h>: the kernel goes on from there when it has come to the end
IDS = 16  # fewer than there are children to launch, so that an id is given out again at once
AT_ONCE = 10  # targets, and as many bystanders

FACTORIES = {
    "aiospawn": aiospawn.new_event_loop,
    "aiospawn-uvloop": aiospawn.new_uvloop_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}


def few_ids() -> None:
    """For this PID namespace only from Linux 6.14 on."""
    assert os.getpid() == 1, "not in a PID namespace of its own"
    pathlib.Path("/proc/sys/kernel/pid_max").write_text(str(LOWEST + IDS))


class Hammer:
    """Counts what happens to targets and bystanders."""

    def __init__(self, ids: int, signals: int, bystanders: int) -> None:
        self._wanted = {"recycled ids": ids, "signals": signals, "bystanders": bystanders}
        self._seen: set[int] = set()
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work(self._target))
                group.create_task(self._work(self._bystander))

    async def _work(self, one: Any) -> None:
        while any(self.counts[what] < number for what, number in self._wanted.items()):
            await one()

    async def _launch(self, *command: str, **options: Any) -> Any:
        while True:
            try:
                process = await asyncio.create_subprocess_exec(*command, **options)
            except BlockingIOError:  # every id is taken, and those who have them need the processor
                await asyncio.sleep(0.001)
                continue
            self.counts["recycled ids"] += process.pid in self._seen
            self._seen.add(process.pid)
            return process

    async def _target(self) -> None:
        process = await self._launch("/bin/true")
        try:
            while True:
                process.send_signal(signal.SIGUSR1)
                self.counts["signals"] += 1
                await asyncio.sleep(0)
        except ProcessLookupError:
            pass
        self._note(await process.wait())

    async def _bystander(self) -> None:
        process = await self._launch("/bin/sleep", "0.005")
        status = await process.wait()
        self.counts["bystanders"] += 1
        self.counts["bystanders hit"] += status == -signal.SIGUSR1
        self._note(status)

    def _note(self, status: int) -> None:
        self.counts["lost statuses"] += (lost := status not in (0, -signal.SIGUSR1))
        if lost:
            self.counts[f"status {status}"] += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("loop", choices=FACTORIES)
    parser.add_argument("--ids", type=int, default=200_000, help="end when so many recycled ids were given out")
    parser.add_argument("--signals", type=int, default=0, help="and so many signals were sent: a quick child may get none")
    parser.add_argument("--bystanders", type=int, default=0, help="and so many of these have ended")
    chosen = parser.parse_args()
    few_ids()
    logging.disable()  # asyncio's "exit status already read"
    hammer = Hammer(chosen.ids, chosen.signals, chosen.bystanders)
    loop = FACTORIES[chosen.loop]()
    loop.run_until_complete(hammer.run())
    loop.close()
    print(json.dumps(hammer.counts))


if __name__ == "__main__":
    main()
