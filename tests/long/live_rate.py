"""How fast lines are read while the child runs, beside `run` that collects the same output: 1 GiB in lines of 80 bytes.

The last row has no child: `async for` over lines that are in a list, which no iteration line by line can exceed.

python tests/long/live_rate.py
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from typing import TYPE_CHECKING

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

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


class _Listed:
    """Lines that are there, as `lines` hands them over."""

    def __init__(self, lines: list[bytes], rounds: int) -> None:
        self._lines = lines
        self._rounds = rounds
        self._block: Iterator[tuple[str, bytes]] = iter(())

    def __aiter__(self) -> _Listed:
        return self

    async def __anext__(self) -> tuple[str, bytes]:
        for line in self._block:
            return line
        if not self._rounds:
            raise StopAsyncIteration
        self._rounds -= 1
        self._block = zip(itertools.repeat("stdout"), self._lines, strict=False)
        return next(self._block)


async def _listed(_path: str) -> None:
    async for _stream, _line in _Listed(_LINES.splitlines(keepends=True), _BLOCKS):
        pass


async def _rates(way: Callable[[str], Awaitable[None]], path: str) -> tuple[float, float]:
    """MB a second, and a second of this process's processor time."""
    began, used = time.perf_counter(), time.process_time()
    await way(path)
    size = len(_LINES) * _BLOCKS / 1e6
    return size / (time.perf_counter() - began), size / (time.process_time() - used)


async def main() -> None:
    ways = {"run, captured": _captured, "run, on_line": _told, "lines of both": _lines, "a list's lines": _listed}
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        for _ in range(_BLOCKS):
            file.write(_LINES)
        file.flush()
        rounds = [[await _rates(way, file.name) for way in ways.values()] for _ in range(_ROUNDS)]
    for name, rates in zip(ways, zip(*rounds, strict=True), strict=True):
        rate, of_processor = map(max, zip(*rates, strict=True))
        print(f"{name:16}{rate:5.0f} MB/s{of_processor:7.0f} MB per second of processor")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
