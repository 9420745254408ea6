"""How late the loop is while children are launched."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ._heart import heartbeat, stalls
from ._launch import launcher, successfully

if TYPE_CHECKING:
    from ._spec import Spec

__all__ = ["delayed", "hold", "opening", "paced"]

_AT_MOST_PACED = 256  # launches that are under way at a time
_OPENED_A_MILLISECOND = 50
_DELAY_S = 1.0


async def paced(spec: Spec) -> dict[str, Any]:
    """`rate` launches a second for `seconds`, and how late the loop answers meanwhile."""
    launch = launcher(spec)
    await successfully(launch())
    late: list[float] = []
    running: set[asyncio.Task[None]] = set()
    cpu, started = time.thread_time(), perf_counter()
    with heartbeat(late):
        for number in range(round(spec.rate * spec.seconds)):
            early = started + number / spec.rate - perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            elif perf_counter() > started + 2 * spec.seconds:
                break
            while len(running) >= _AT_MOST_PACED:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(successfully(launch()))
            running.add(task)
            task.add_done_callback(running.discard)
        if not spec.rate:
            await asyncio.sleep(spec.seconds)
            number = -1
        await asyncio.gather(*running)
        elapsed = perf_counter() - started
    cpu = time.thread_time() - cpu
    return stalls(late) | {"per_s": (number + 1) / elapsed, "loop_cpu_ms_per_s": cpu / elapsed * 1e3}


async def opening(spec: Spec) -> dict[str, Any]:
    """`descriptors` are opened beside launches, a few each millisecond."""
    launch = launcher(spec)
    await successfully(launch())
    late: list[float] = []
    opened: list[int] = []

    async def launching() -> None:
        while len(opened) < spec.descriptors:
            await successfully(launch())

    started = perf_counter()
    with heartbeat(late):
        workers = [asyncio.create_task(launching()) for _ in range(spec.window)]
        while len(opened) < spec.descriptors:
            opened += [os.open(os.devnull, os.O_RDONLY) for _ in range(_OPENED_A_MILLISECOND)]
            await asyncio.sleep(0.001)
        await asyncio.gather(*workers)
    elapsed = perf_counter() - started
    for descriptor in opened:
        os.close(descriptor)
    return stalls(late) | {"seconds": elapsed}


async def delayed(spec: Spec) -> dict[str, Any]:
    """A launch whose execve waits for a lease on the program, which is given back after a second."""
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "program")
        shutil.copy(spec.program[0], program)
        launch = launcher(spec._replace(program=[program]))
        await successfully(launch())
        command = [sys.executable, "-P", "-m", __package__, json.dumps({"kind": "hold", "program": [program]})]
        with subprocess.Popen(command, stdout=PIPE) as holder:  # noqa: ASYNC220 - nothing is measured yet
            assert holder.stdout is not None
            holder.stdout.readline()
            late: list[float] = []
            started = perf_counter()
            with heartbeat(late):
                await successfully(launch())
            return stalls(late) | {"seconds": perf_counter() - started}


def hold(program: str) -> None:
    """A process that opens the program waits until its write lease is given back (fcntl(2), F_SETLEASE)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    with open(program, "rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        print("held", flush=True)
        signal.sigwait({signal.SIGIO})
        time.sleep(_DELAY_S)
