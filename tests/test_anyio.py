"""anyio's processes on our loops, and on asyncio's with `install()`."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
import pytest

import aiospawn
from conftest import FACTORIES

_WAYS = {**FACTORIES, "installed": asyncio.new_event_loop}


@pytest.fixture(params=_WAYS)
def run(request: pytest.FixtureRequest) -> Any:
    """anyio.run on one of the loops."""
    installed = aiospawn.install() if request.param == "installed" else contextlib.nullcontext()
    with installed:
        yield lambda main: anyio.run(main, backend_options={"loop_factory": _WAYS[request.param]})


def test_run_process(run: Any) -> None:
    """Input goes in, output and errors come out, a failure raises CalledProcessError with both."""

    async def main() -> None:
        done = await anyio.run_process(["tr", "a-z", "A-Z"], input=b"some text")
        assert (done.returncode, done.stdout) == (0, b"SOME TEXT")
        with pytest.raises(subprocess.CalledProcessError) as caught:
            await anyio.run_process("echo out; echo err >&2; exit 3")
        assert (caught.value.returncode, caught.value.output, caught.value.stderr) == (3, b"out\n", b"err\n")

    run(main)


def test_open_process_streams_both_ways(run: Any) -> None:
    """A process of anyio's is ours, and streams both ways while it runs."""

    async def main() -> None:
        async with await anyio.open_process([sys.executable, "-uc", "for l in iter(input, ''): print(l * 2)"]) as process:
            assert type(process._process._transport).__module__.startswith("aiospawn.")
            lines = BufferedByteReceiveStream(process.stdout)
            for word in (b"one", b"two"):
                await process.stdin.send(word + b"\n")
                assert await lines.receive_until(b"\n", 100) == word * 2
            await process.stdin.send(b"\n")
            assert await process.wait() == 0

    run(main)


def test_cancelled(run: Any) -> None:
    """A run that is cancelled by its time limit leaves no child; the house's fixture looks."""

    async def main() -> None:
        with anyio.move_on_after(0.05) as scope:
            await anyio.run_process(["sleep", "1000"])
        assert scope.cancelled_caught

    run(main)


def test_large_input_and_output(run: Any) -> None:
    """A megabyte each way, at the same time."""
    data = bytes(range(256)) * 4096

    async def main() -> None:
        assert (await anyio.run_process(["cat"], input=data)).stdout == data

    run(main)
