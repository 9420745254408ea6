"""anyio's processes, and asyncio's runners: on our loops, and on asyncio's with `install()`."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import Any

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from loops import FACTORIES

import aiospawn

_WAYS = {**FACTORIES, "installed": asyncio.new_event_loop}

_ECHO = [sys.executable, "-uc", "for line in iter(input, ''): print(line * 2)"]


@pytest.fixture(params=_WAYS)
def factory(request: pytest.FixtureRequest) -> Any:
    """What makes the loop; where that is asyncio's own, we are installed."""
    installed = aiospawn.install() if request.param == "installed" else contextlib.nullcontext()
    with installed:
        yield _WAYS[request.param]


@pytest.fixture
def run(factory: Any) -> Any:
    """anyio.run on one of the loops."""
    return lambda main: anyio.run(main, backend_options={"loop_factory": factory})


def _is_ours(process: Any) -> bool:
    return type(process._transport).__module__.startswith("aiospawn.")


# ---- asyncio's runners ------------------------------------------------------------------------------------------------


async def _launches_natively() -> bool:
    process = await asyncio.create_subprocess_exec("true")
    assert await process.wait() == 0
    shell = await asyncio.create_subprocess_shell("exit 3")
    assert await shell.wait() == 3
    return _is_ours(process) and _is_ours(shell)


def test_runner(factory: Any) -> None:
    """asyncio.Runner launches through us on the loop that it is given a factory for."""
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(_launches_natively())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.run() takes a loop factory from Python 3.12 on")
def test_run(factory: Any) -> None:
    """asyncio.run likewise."""
    assert asyncio.run(_launches_natively(), loop_factory=factory)


def test_class_as_factory() -> None:
    """The loop's class is a factory as well."""
    with asyncio.Runner(loop_factory=aiospawn.EventLoop) as runner:
        assert runner.run(_launches_natively())


def test_run_without_a_factory() -> None:
    """asyncio.run launches through us while we are installed, and no longer."""
    with aiospawn.install():
        assert asyncio.run(_launches_natively())
    assert not asyncio.run(_launches_natively())


# ---- anyio ------------------------------------------------------------------------------------------------------------


def test_run_process(run: Any) -> None:
    """Input goes in, output and errors come out, a failure raises CalledProcessError with both."""

    async def main() -> None:
        done = await anyio.run_process(["tr", "a-z", "A-Z"], input=b"some text")
        assert (done.returncode, done.stdout) == (0, b"SOME TEXT")
        with pytest.raises(subprocess.CalledProcessError) as caught:
            await anyio.run_process("echo out; echo err >&2; exit 3")
        assert (caught.value.returncode, caught.value.output, caught.value.stderr) == (3, b"out\n", b"err\n")

    run(main)


def test_unchecked(run: Any) -> None:
    """With check=False a failure, or a signal, is a return code."""

    async def main() -> None:
        assert (await anyio.run_process("exit 3", check=False)).returncode == 3
        assert (await anyio.run_process("kill -9 $$", check=False)).returncode == -9

    run(main)


def test_no_such_program(run: Any) -> None:
    """A program that is not there is FileNotFoundError, with its name."""

    async def main() -> None:
        with pytest.raises(FileNotFoundError) as caught:
            await anyio.run_process(["/nonexistent"])
        assert caught.value.filename == "/nonexistent"

    run(main)


def test_standard_streams(run: Any, tmp_path: Any) -> None:
    """Files and STDOUT serve as streams, and cwd and env are the child's."""
    (tmp_path / "in").write_bytes(b"text\n")

    async def main() -> None:
        done = await anyio.run_process(
            "cat; pwd; echo $WORD >&2", stdin=stdin, stderr=subprocess.STDOUT, cwd=tmp_path, env={"WORD": "said"}
        )
        assert (done.stdout, done.stderr) == (f"text\n{tmp_path}\nsaid\n".encode(), None)

    with open(tmp_path / "in", "rb") as stdin:
        run(main)


def test_open_process_streams_both_ways(run: Any) -> None:
    """A process of anyio's is ours, and streams both ways while it runs."""

    async def main() -> None:
        async with await anyio.open_process(_ECHO) as process:
            assert _is_ours(process._process)
            lines = BufferedByteReceiveStream(process.stdout)
            for word in (b"one", b"two"):
                await process.stdin.send(word + b"\n")
                assert await lines.receive_until(b"\n", 100) == word * 2
            await process.stdin.send(b"\n")
            assert await process.wait() == 0

    run(main)


def test_large_input_and_output(run: Any) -> None:
    """A megabyte each way, at the same time."""
    data = bytes(range(256)) * 4096

    async def main() -> None:
        assert (await anyio.run_process(["cat"], input=data)).stdout == data

    run(main)


def test_timeout(run: Any) -> None:
    """A run that ends by its time limit leaves no child; the house's fixture looks."""

    async def main() -> None:
        with anyio.move_on_after(0.05) as scope:
            await anyio.run_process(["sleep", "1000"])
        assert scope.cancelled_caught

    run(main)


def test_cancelled_before_it_starts(run: Any) -> None:
    """A launch in a scope that is cancelled already leaves no child."""

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.run_process(["sleep", "1000"])
        assert scope.cancelled_caught

    run(main)


def test_cancelled_while_it_streams(run: Any) -> None:
    """A process whose reader is cancelled is killed and reaped when its block is left."""

    async def main() -> None:
        with anyio.CancelScope() as scope:
            async with await anyio.open_process("echo one; exec sleep 1000") as process, anyio.create_task_group() as group:
                assert await process.stdout.receive() == b"one\n"
                group.start_soon(process.stdout.receive)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        assert process.returncode == -9

    run(main)
