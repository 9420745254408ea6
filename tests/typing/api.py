"""Typical uses of the public names, for the type checker: `mypy` reads this file, nobody runs it."""

import asyncio
import contextlib
import resource
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

import aiospawn
from aiospawn import DEVNULL, PIPE, STDOUT


async def main() -> None:
    """Processes, in their ways of being launched."""
    process = await aiospawn.create_subprocess_exec("cat", Path("file"), b"file", stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    assert_type(process, aiospawn.Process)
    assert_type(process.pid, int)
    assert_type(process.returncode, int | None)
    assert_type(process.pidfd, int | None)
    assert_type(process.rusage, resource.struct_rusage | Any)
    assert_type(process.stdin, asyncio.StreamWriter | None)
    assert_type(process.stdout, asyncio.StreamReader | None)
    assert_type(await process.communicate(b"input"), tuple[bytes, bytes])
    assert_type(await process.wait(), int)
    assert_type(await process.stop(grace=1.5), int)
    process.send_signal(signal.SIGINT)
    process.terminate()
    process.kill()
    stock: asyncio.subprocess.Process = process
    await stock.wait()

    shell = await aiospawn.create_subprocess_shell("echo $HOME", stdout=DEVNULL, cwd="/", env={"HOME": "/"}, limit=1024)
    async with shell as entered:
        assert_type(entered, aiospawn.Process)

    async with await aiospawn.create_subprocess_exec("true", start_new_session=True) as leader:
        leader.send_signal(signal.SIGTERM, group=True)


async def awaited() -> None:
    """Commands that are run to their end, one by one, joined, or watched."""
    result = await aiospawn.run(["cat", Path("file")], input=b"x", capture_output=True, check=True, timeout=1.5)
    assert_type(result, aiospawn.CompletedProcess[bytes])
    assert_type(await aiospawn.run("true", shell=True, text=True, capture_output=True), aiospawn.CompletedProcess[str])
    assert_type(
        await aiospawn.run([b"true"], encoding="utf-8", nice=5, cwd="/", stdout=PIPE), aiospawn.CompletedProcess[str]
    )
    assert_type(await aiospawn.run(("true",), capture_output="file", max_output=10), aiospawn.CompletedProcess[bytes])
    try:
        result.check_returncode()
    except subprocess.CalledProcessError as exc:
        assert_type(exc.returncode, int)
    assert_type(result.returncode, int)
    assert_type(result.pid, int)
    assert_type(result.elapsed, float)
    assert_type(result.complete, bool)
    assert_type(result.rusage, resource.struct_rusage | Any)
    try:
        await aiospawn.run(["yes"], max_output=10, stdout=PIPE, on_event=observe)
    except aiospawn.OutputLimitExceeded as exc:
        assert_type(exc.stdout, bytes | None)
        assert_type(exc.limit, int)

    piped = await aiospawn.pipeline(["ls"], ["sort", "-u"], stdout=PIPE, stderr=DEVNULL, text=True)
    assert_type(piped, aiospawn.CompletedPipeline[str])
    assert_type(piped.stdout, str)
    assert_type(piped.stages[0].returncode, int)
    assert_type(piped.failed, aiospawn.CompletedProcess[str] | None)

    async for line in aiospawn.lines(["ls"], text=True, max_line=1000):
        assert_type(line, str)
    async with contextlib.aclosing(aiospawn.lines(["ls"])) as lines:
        async for data in lines:
            assert_type(data, bytes)

    assert_type(await aiospawn.system("true"), int)
    async with await aiospawn.popen("ls") as pipe:
        assert_type(await pipe.read(), str)
        assert_type([line async for line in pipe], list[str])
        assert_type(await pipe.close(), int | None)

    async with aiospawn.ProcessGroup(grace=1, nice=5) as group:
        assert_type(group, aiospawn.ProcessGroup)
        assert_type(await group.spawn("true", stdout=PIPE), aiospawn.Process)
        assert_type([process.pid for process in group], list[int])


def observe(event: aiospawn.ProcessEvent) -> None:
    """What happened to a child."""
    match event:
        case aiospawn.Spawned():
            assert_type(event.pid, int)
        case aiospawn.Executed():
            assert_type(event.time, float)
        case aiospawn.Exited():
            assert_type(event.returncode, int)
        case aiospawn.LaunchFailed():
            assert_type(event.error, OSError | subprocess.SubprocessError)
        case aiospawn.Unhealthy():
            assert_type(event.launch, int)
        case aiospawn.Restarting():
            assert_type(event.delay, float)


def support() -> None:
    """What the machine offers."""
    support = aiospawn.supported()
    assert_type(support, aiospawn.Support)
    assert_type(support.reasons, tuple[str, ...])
    assert_type(support.features, Mapping[str, bool])
    assert_type(support.missing, Mapping[str, str])
    assert_type(support.variant, str)
    assert_type(bool(support), bool)
    assert_type(aiospawn.__version__, str)


def loops() -> None:
    """Event loops, as factories and by patching."""
    assert_type(aiospawn.new_event_loop(), asyncio.AbstractEventLoop)
    assert_type(aiospawn.new_uvloop_event_loop(), asyncio.AbstractEventLoop)
    for factory in (aiospawn.EventLoop, aiospawn.new_event_loop, aiospawn.new_uvloop_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())
    stock: asyncio.SelectorEventLoop = aiospawn.EventLoop()
    stock.close()
    with aiospawn.install():
        asyncio.run(main())
    aiospawn.install()
    aiospawn.uninstall()
