"""Where the loop's processor time goes for a command of a map.

    python tests/long/map_phases.py [--commands 5000] [-j 64] [-- COMMAND...]

In microseconds a command, by the thread's clock: all of it, and what of it is in the parts that the lines name, each with
what it calls. Reading the clock adds some 0.5 us to each part that is entered for each command.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import functools
import time
from typing import TYPE_CHECKING, Any

import aiospawn
from aiospawn._binding.native import Native
from aiospawn._map import launches
from aiospawn._map.sole_worker import SoleWorker

if TYPE_CHECKING:
    from collections.abc import Callable

_PARTS: dict[str, tuple[Any, str]] = {
    "poll: read and reaped by the native part": (Native, "poll"),
    "dropped by the native part": (Native, "drop_ended"),
    "results handed on": (SoleWorker, "_settle"),
    "commands taken and launched": (SoleWorker, "_fill"),
    "launched, without the step of the task": (launches, "launch_all"),
}
_clock = time.thread_time


def _measure(seconds: collections.Counter[str], name: str, owner: Any, function: str) -> None:
    original: Callable[..., Any] = getattr(owner, function)

    @functools.wraps(original)
    def measured(*arguments: Any) -> Any:
        before = _clock()
        try:
            return original(*arguments)
        finally:
            seconds[name] += _clock() - before

    setattr(owner, function, measured)


async def _map(command: list[str], commands: int, concurrency: int) -> float:
    before = _clock()
    async for _ in aiospawn.map([command] * commands, concurrency=concurrency):
        pass
    return _clock() - before


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--commands", type=int, default=5000)
    parser.add_argument("-j", "--concurrency", type=int, default=64)
    parser.add_argument("command", nargs="*", default=["/bin/true"])
    options = parser.parse_args()
    seconds: collections.Counter[str] = collections.Counter()
    await _map(options.command, 200, options.concurrency)
    alone = await _map(options.command, options.commands, options.concurrency)
    for name, (owner, function) in _PARTS.items():
        _measure(seconds, name, owner, function)
    seconds["all of it"] = await _map(options.command, options.commands, options.concurrency)
    seconds["all of it, not measured in parts"] = alone
    for name, taken in seconds.most_common():
        print(f"{taken / options.commands * 1e6:8.1f} us  {name}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
