"""Where the time of one launch at a time goes, and whether looking without a pause, or another processor, helps.

`python tests/long/latency.py [PROGRAM] [ROUNDS]`: microseconds, as minimum, lower quartile and median, of launches that take
turns. "call": the first step of the create, or posix_spawn(3); "started": until the create returns; "total": until the exit.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import shutil
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

_LOOKS_NS = 1_000_000


class _Looking(selectors.EpollSelector):
    """Looks again and again before it sleeps."""

    looks = False

    def select(self, timeout: float | None = None) -> Any:
        end = time.perf_counter_ns() + _LOOKS_NS if self.looks and timeout != 0 else 0
        while time.perf_counter_ns() < end:
            if found := super().select(0):
                return found
        return super().select(timeout)


class _Begun:
    """A coroutine whose first step has been made."""

    def __init__(self, coroutine: Any) -> None:
        self._coroutine = coroutine
        self._waited_for = coroutine.send(None)

    def __await__(self) -> Generator[Any, Any, Any]:
        yield self._waited_for
        return (yield from self._coroutine.__await__())


async def _posix_spawn(program: str) -> list[int]:
    times = [time.perf_counter_ns()]
    pid = os.posix_spawn(program, [program], os.environ)  # noqa: ASYNC221 - it is what is measured
    times += [time.perf_counter_ns()] * 2
    os.waitpid(pid, 0)  # noqa: ASYNC222 - likewise
    return [*times, time.perf_counter_ns()]


async def _launch(program: str, **options: Any) -> list[int]:
    times = [time.perf_counter_ns()]
    begun = _Begun(aiospawn.create_subprocess_exec(program, **options))
    times.append(time.perf_counter_ns())
    process = await begun
    times.append(time.perf_counter_ns())
    await process.wait()
    return [*times, time.perf_counter_ns()]


async def _measure(selector: _Looking, program: str, rounds: int) -> None:
    last = max(os.sched_getaffinity(0))
    ways: dict[str, Callable[[], Awaitable[list[int]]]] = {
        "posix_spawn": lambda: _posix_spawn(program),
        "aiospawn": lambda: _launch(program),
        "looking": lambda: _launch(program),
        f"on processor {last}": lambda: _launch(program, affinity=[last]),
    }
    found: dict[str, list[list[int]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            selector.looks = name == "looking"
            began, *moments = await way()
            if number:  # the first makes what a process makes once
                found[name].append([moment - began for moment in moments])
    print(f"{'':16}{'call':>20}{'started':>20}{'total':>20}")
    for name, times in found.items():
        cells = []
        for each in zip(*times, strict=True):
            cut = statistics.quantiles(each, n=4)
            cells.append("/".join(f"{number / 1000:.0f}" for number in (min(each), cut[0], cut[1])))
        print(f"{name:16}" + "".join(f"{cell:>20}" for cell in cells))


def _main() -> None:
    program = sys.argv[1] if len(sys.argv) > 1 else shutil.which("true")
    assert program is not None
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    selector = _Looking()
    with asyncio.Runner(loop_factory=lambda: aiospawn.EventLoop(selector)) as runner:
        runner.run(_measure(selector, program, rounds))


if __name__ == "__main__":
    _main()
