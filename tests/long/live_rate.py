"""How fast lines are read while the child runs, beside `run` that collects the same output: 1 GiB in lines of 80 bytes.

python tests/long/live_rate.py
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from typing import TYPE_CHECKING

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LINES = (b"x" * 79 + b"\n") * (1 << 14)
_BLOCKS = (1 << 30) // len(_LINES)
_ROUNDS = 3


async def _captured(path: str) -> None:
    await aiospawn.run(["cat", path], capture_output=True)


async def _told(path: str) -> None:
    def told(_stream: str, _line: bytes) -> None:
        pass

    await aiospawn.run(["cat", path], on_line=told)


async def _lines(path: str) -> None:
    async for _stream, _line in aiospawn.lines(["cat", path], both=True):
        pass


async def _rate(way: Callable[[str], Awaitable[None]], path: str) -> float:
    began = time.perf_counter()
    await way(path)
    return len(_LINES) * _BLOCKS / (time.perf_counter() - began) / 1e6


async def main() -> None:
    ways = (_captured, _told, _lines)
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        for _ in range(_BLOCKS):
            file.write(_LINES)
        file.flush()
        rounds = [[await _rate(way, file.name) for way in ways] for _ in range(_ROUNDS)]
    for name, rates in zip(("run, captured", "run, on_line", "lines of both"), zip(*rounds, strict=True), strict=True):
        print(f"{name:14}{max(rates):5.0f} MB/s")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
