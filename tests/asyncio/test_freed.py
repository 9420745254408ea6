"""What has ended is freed at once, by its reference counts: no launch is left to the garbage collector."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import signal
import subprocess
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

import pytest
from recorder import Recorder

import aiospawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

WAYS: dict[str, Callable[[], Awaitable[Any]]] = {}


def way(function: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    WAYS[function.__name__] = function
    return function


@way
async def wait() -> None:
    await (await asyncio.create_subprocess_exec("true")).wait()


@way
async def communicate() -> None:
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert await process.communicate(b"x" * 200_000) == (b"x" * 200_000, b"")


@way
async def read() -> None:
    process = await asyncio.create_subprocess_shell("echo x", stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.read() == b"x\n"
    await process.wait()


@way
async def ours() -> None:
    async with await aiospawn.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE) as process:
        await process.communicate(b"x")


@way
async def pipe_asked_for() -> None:
    process = await asyncio.create_subprocess_exec("echo", stdout=PIPE)
    process._transport.get_pipe_transport(1).get_extra_info("pipe")  # type: ignore[attr-defined]
    await process.communicate()


@way
async def terminal() -> None:
    process = await aiospawn.create_subprocess_exec("echo", pty=True)
    await process.communicate()


@way
async def own_protocol() -> None:
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(Recorder, "true", stdin=DEVNULL)
    await protocol.lost
    transport.close()


@way
async def killed() -> None:
    process = await aiospawn.create_subprocess_exec("sleep", "1000", stdin=PIPE, start_new_session=True)
    await process.stop(grace=0)


@way
async def fails() -> None:
    with contextlib.suppress(FileNotFoundError):
        await asyncio.create_subprocess_exec("/nonexistent", stdout=PIPE)


@way
async def run_fails() -> None:
    with contextlib.suppress(FileNotFoundError):
        await aiospawn.run(["/nonexistent"], capture_output=True)


@way
async def run_is_checked() -> None:
    with contextlib.suppress(subprocess.CalledProcessError):
        await aiospawn.run(["false"], capture_output=True, check=True)


@way
async def pipeline_fails() -> None:
    with contextlib.suppress(FileNotFoundError):
        await aiospawn.pipeline(["echo", "x"], ["/nonexistent"], capture_output=True)


@way
async def pipeline_with_a_held_pipe() -> None:
    """The first command is stopped where one that left its process group still has its standard error."""
    with tempfile.NamedTemporaryFile() as file:
        holder = f"echo $$ >{file.name}; echo ready; exec sleep 1000"
        with pytest.raises(aiospawn.OutputLimitExceeded):
            await aiospawn.pipeline(
                ["sh", "-c", f"setsid sh -c '{holder}' & wait"], ["cat"], capture_output=True, max_output=1
            )
        os.kill(int(file.read()), signal.SIGKILL)


@way
async def lines_of_both_streams() -> None:
    async def numbers() -> AsyncIterator[bytes]:
        for number in range(50_000):
            yield b"%d\n" % number

    async for _ in aiospawn.lines(["tee", "/dev/stderr"], both=True, input=numbers()):
        await asyncio.sleep(0)


@way
async def pipeline_block() -> None:
    async with aiospawn.pipeline(["echo", "x"], ["cat"], on_event=lambda _: None) as running:
        await running.stdout.read()


@way
async def told() -> None:
    await aiospawn.run(["echo", "x"], on_line=lambda *_: None, timeout=1000)


@way
async def lines_fail() -> None:
    with contextlib.suppress(FileNotFoundError):
        async for _ in aiospawn.lines(["/nonexistent"]):
            pass


@way
async def mapped() -> None:
    async with aiospawn.map([["true"], ["false"]], concurrency=2, capture_output=True) as results:
        assert len([each async for each in results]) == 2


@way
async def mapped_as_they_come() -> None:
    async def commands() -> AsyncIterator[list[str]]:
        yield ["true"]
        yield ["false"]

    async with aiospawn.map(commands(), concurrency=2) as results:
        assert len([each async for each in results]) == 2


@way
async def mapped_with_errors() -> None:
    for commands, options in (
        ([["sleep", "9"]], {"timeout": 0.01}),
        ([["yes"]], {"capture_output": True, "max_output": 10}),
        ([["nosuch"], ["false"]], {"retries": 1, "backoff": 0.001}),
        ([["nosuch"]], {"on_line": lambda _: None}),
        ([["nosuch"]], {"input": b"x"}),
        ([["nosuch"], ["sleep", "9"]], {"input": b"x", "timeout": 0.01}),
    ):
        async with aiospawn.map(commands, **options) as results:
            assert len([each async for each in results]) == len(commands)


@way
async def is_cancelled() -> None:
    task = asyncio.create_task(aiospawn.run(["sleep", "1000"], capture_output=True, grace=0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


@way
async def takes_too_long() -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        await aiospawn.run(["sleep", "1000"], capture_output=True, timeout=0.01)


@way
async def run() -> None:
    await aiospawn.run(["cat"], input=b"x", capture_output=True, timeout=50)


@way
async def pipeline() -> None:
    await aiospawn.pipeline(["echo", "x"], ["cat"], capture_output=True)


@way
async def lines() -> None:
    assert [line async for line in aiospawn.lines(["echo", "x"])] == [b"x\n"]


@way
async def group() -> None:
    async with aiospawn.ProcessGroup() as members:
        await members.spawn("true", stdout=PIPE)


@pytest.fixture
def _collector_off() -> Iterator[None]:
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


async def settled() -> None:
    """What is reported in the iterations of the loop that follow."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("_collector_off")
@pytest.mark.parametrize("launch", WAYS.values(), ids=WAYS)
async def test_nothing_is_left_to_the_collector(launch: Callable[[], Awaitable[Any]]) -> None:
    """No object of a launch is part of a cycle when the launch has ended."""
    for _ in range(2):  # caches
        await launch()
    await settled()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    await launch()
    await settled()
    gc.collect()
    if not any(isinstance(each, asyncio.StreamWriter) for each in gc.garbage):
        assert gc.garbage == []
    # asyncio's StreamWriter of a stdin refers to the protocol, which refers to it: both stay, with the pipes.
    assert [each for each in gc.garbage if isinstance(each, (contextvars.Context, asyncio.SubprocessTransport))] == []
