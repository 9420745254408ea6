"""Pipelines in a block: their ends are streams."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import fresh
import pytest

import aiospawn


async def test_conversation() -> None:
    """What is written to the first is read from the last, as it comes."""
    events: list[Any] = []
    async with aiospawn.pipeline(["cat"], ["cat"], ["cat"], check=True, on_event=events.append) as running:
        for number in range(3):
            running.stdin.write(b"%d\n" % number)
            assert await running.stdout.readline() == b"%d\n" % number
        assert running.returncode is None
        running.stdin.close()
        assert await running.stdout.read() == b""
    assert [process.returncode for process in running.processes] == [0, 0, 0]
    assert running.returncode == 0
    assert sorted(type(event).__name__ for event in events) == ["Executed"] * 3 + ["Exited"] * 3 + ["Spawned"] * 3


@pytest.mark.loops("one")
async def test_more_than_pipes_hold() -> None:
    """With backpressure on both ends."""

    async def write(stdin: asyncio.StreamWriter) -> None:
        for _ in range(1000):
            stdin.write(b"x" * 4999 + b"\n")
            await stdin.drain()
        stdin.close()

    async with aiospawn.pipeline(["cat"], ["tr", "x", "y"]) as running:
        writing = asyncio.create_task(write(running.stdin))
        assert len([line async for line in running.stdout]) == 1000
        await writing


@pytest.mark.loops("one")
async def test_check() -> None:
    """A stage that failed raises when all has been read; one that SIGPIPE ended did not fail."""
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        async with aiospawn.pipeline(["sh", "-c", "echo x; exit 3"], ["cat"], check=True) as running:
            assert await running.stdout.read() == b"x\n"
    assert running.returncode == 3
    async with aiospawn.pipeline(["yes"], ["head", "-n", "1"], check=True) as running:
        assert await running.stdout.read() == b"y\n"
    assert await running.wait() == 0


@pytest.mark.loops("one")
async def test_left_early() -> None:
    """All are stopped: without an exception, by one, by a cancellation."""
    async with aiospawn.pipeline(["yes"], ["cat"], check=True) as running:
        assert await running.stdout.readline() == b"y\n"
    assert None not in [process.returncode for process in running.processes]
    with pytest.raises(KeyError):
        async with aiospawn.pipeline(["sleep", "1000"], ["sleep", "1000"]) as running:
            raise KeyError
    assert [process.returncode for process in running.processes] == [-15, -15]

    async def cancelled() -> None:
        nonlocal running
        async with aiospawn.pipeline(["sleep", "1000"], ["cat"]) as running:
            entered.set()
            await running.stdout.read()

    entered = asyncio.Event()
    task = asyncio.create_task(cancelled())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert None not in [process.returncode for process in running.processes]


@pytest.mark.loops("one")
async def test_no_program() -> None:
    """Those before it are stopped."""
    events: list[Any] = []
    with pytest.raises(FileNotFoundError):
        async with aiospawn.pipeline(["sleep", "1000"], ["/nonexistent"], on_event=events.append):
            raise AssertionError("the block is not entered")
    assert {type(event) for event in events} == {aiospawn.Spawned, aiospawn.Executed, aiospawn.Exited, aiospawn.LaunchFailed}


@pytest.mark.loops("one")
async def test_other_ends() -> None:
    """An end that is given is no stream; each process has its own standard error."""
    script = "import sys; print(sys.stdin.read(), file=sys.stderr)"
    async with aiospawn.pipeline(
        ["echo", "a"], fresh.command(script), stdin=aiospawn.DEVNULL, stdout=aiospawn.DEVNULL, stderr=aiospawn.PIPE
    ) as running:
        for name in ("stdin", "stdout"):
            with pytest.raises(ValueError, match=f"{name} is no pipe of this program"):
                getattr(running, name)
        errors = running.processes[-1].stderr
        assert errors is not None
        assert (await errors.read()).strip() == b"a"
    assert running.returncode == 0


@pytest.mark.loops("one")
@pytest.mark.parametrize(
    ("name", "value"),
    [("input", b"x"), ("capture_output", True), ("text", True), ("timeout", 5), ("max_output", 5), ("pipe_grace", 1.0)],
)
async def test_refused_in_a_block(name: str, value: Any) -> None:
    """What is for a pipeline that runs to its end."""
    keywords: Any = {name: value}
    with pytest.raises(ValueError, match=rf"async with pipeline\({name}=\.\.\.\)"):
        async with aiospawn.pipeline(["true"], **keywords):
            pass


@pytest.mark.loops("one")
async def test_used_once() -> None:
    """As a coroutine: a task takes it, and a second use is refused. Bad arguments are refused at once."""
    made = aiospawn.pipeline(["true"])
    assert (await asyncio.create_task(made)).returncode == 0  # type: ignore[arg-type,var-annotated]
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await made
    with pytest.raises(RuntimeError, match="used already"):
        await made.__aenter__()
    made = aiospawn.pipeline(["cat"])
    async with made as running:
        with pytest.raises(RuntimeError, match="the pipeline's block was entered"):
            await made
        running.stdin.close()
        await running.stdout.read()
    aiospawn.pipeline(["true"]).close()
    assert repr(made) == "<Pipeline [['cat']]>"
