"""Typical uses of the public names, for the type checker: `mypy` reads this file, nobody runs it."""

import asyncio
import resource
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

import aiospawn
from aiospawn import DEVNULL, PIPE, STDOUT


async def main() -> None:
    """Processes, in their ways of being launched."""
    process = await aiospawn.create_subprocess_exec("cat", Path("file"), b"file", stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    assert_type(process, aiospawn.Process)
    assert_type(process.pid, int)
    assert_type(process.returncode, int | None)
    assert_type(process.pidfd, int | None)
    assert_type(process.rusage, resource.struct_rusage | None)
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
