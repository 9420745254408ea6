"""A child that has ended, with outputs that are paused and that nobody reads, is held by whoever can read them alone."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from recorder import Recorder
from until import until

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = [
    pytest.mark.loops("kinds"),
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),  # as of asyncio's
]

_PART = 30_000  # bytes: more than the streams here keep, and less than a pipe holds

WAYS: dict[str, Callable[[], Awaitable[Any]]] = {}


def way(function: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    WAYS[function.__name__] = function
    return function


def _is_paused(process: Any, stream: int = 1) -> bool:
    pipe = process._transport.get_pipe_transport(stream)
    return pipe is not None and not pipe.is_reading()


@way
async def killed() -> Any:
    process = await aiospawn.create_subprocess_exec("yes", stdout=PIPE)
    await until(lambda: process._transport.unread is None)
    process.kill()
    await process.wait()
    return process


@way
async def paused_behind_the_exit() -> Any:
    """With a pipe that holds more; the other one is at its end."""
    reader, writer = os.pipe()
    part = f"head -c {_PART} /dev/zero"
    process: Any = await aiospawn.create_subprocess_shell(
        f"{part}; read _; {part}", stdin=reader, stdout=PIPE, stderr=PIPE, limit=10
    )
    os.close(reader)
    await until(lambda: process._transport.unread is None)
    os.close(writer)
    await process.wait()
    await until(lambda: process._transport._open_pipes == 2)
    return process


@way
async def stopped() -> Any:
    process = await aiospawn.create_subprocess_shell("yes & yes >&2", stdout=PIPE, stderr=PIPE, start_new_session=True)
    await until(lambda: process._transport.unread is None and _is_paused(process, 1) and _is_paused(process, 2))
    await process.stop()
    return process


@way
async def with_input() -> Any:
    process = await asyncio.create_subprocess_exec("yes", stdin=PIPE, stdout=PIPE)
    await until(lambda: _is_paused(process))
    process.kill()
    await until(lambda: process.returncode is not None)  # asyncio's `wait` waits for the pipe as well
    return process


@way
async def of_a_loops_method() -> Any:
    """A protocol of its own, whose calls are callbacks of the loop."""

    class Pausing(Recorder):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            pipe: Any = self.transport.get_pipe_transport(fd)  # type: ignore[attr-defined]
            pipe.pause_reading()

    create = asyncio.get_running_loop().subprocess_exec(Pausing, "yes", stdin=None, stderr=None)
    transport, protocol = await create
    await until(lambda: not transport.get_pipe_transport(1).is_reading())  # type: ignore[union-attr, attr-defined]
    transport.kill()
    await protocol.exited
    return transport


@pytest.mark.parametrize("launch", WAYS.values(), ids=WAYS)
async def test_closed_where_nobody_can_read_them(launch: Callable[[], Awaitable[Any]]) -> None:
    """As asyncio's pipes, by the garbage collector."""
    before = fresh.descriptors()
    held = await launch()
    assert fresh.descriptors() != before
    del held
    await asyncio.sleep(0)
    gc.collect()
    await until(lambda: fresh.descriptors().keys() <= before.keys())


async def test_freed_by_another_thread() -> None:
    await (await aiospawn.create_subprocess_exec("true")).wait()
    before = fresh.descriptors()
    held = await killed()
    gc.disable()
    try:
        del held
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
        await until(lambda: fresh.descriptors().keys() <= before.keys())
    finally:
        gc.enable()


@pytest.mark.parametrize("holds_process", [True, False])
async def test_read_when_it_has_ended(*, holds_process: bool) -> None:
    """Nothing is lost for one who holds the process, or its stream alone."""
    process: Any = await paused_behind_the_exit()
    stdout = process.stdout
    if not holds_process:
        del process
    gc.collect()
    await asyncio.sleep(0)
    assert await stdout.readexactly(1000) == bytes(1000)
    gc.collect()
    assert await stdout.read() == bytes(2 * _PART - 1000)
    if holds_process:
        assert process.returncode == 0
        assert process._transport.get_returncode() == 0


async def test_paused_and_resumed_behind_the_exit() -> None:
    process = await aiospawn.create_subprocess_exec("head", "-c", "20000", "/dev/zero", stdout=PIPE)
    stdout: Any = process.stdout
    pipe: Any = process._transport.get_pipe_transport(1)
    pipe.pause_reading()
    await process.wait()
    for _ in range(3):
        pipe.resume_reading()
        pipe.pause_reading()
    gc.collect()
    pipe.resume_reading()
    assert await stdout.read() == bytes(20000)
    await until(lambda: process._transport._protocol is None)  # all calls were made


async def test_closed_while_it_rests() -> None:
    before = fresh.descriptors()
    process: Any = await killed()
    process._transport.close()
    await until(lambda: process._transport._protocol is None)
    await until(lambda: fresh.descriptors().keys() <= before.keys())


@pytest.mark.loops("one")
def test_on_a_loop_that_is_not_ours() -> None:
    """There the reactor goes with its last child, resting or not."""
    program = """
import asyncio, gc, warnings
import aiospawn, fresh
warnings.simplefilter("ignore", ResourceWarning)

async def main():
    await (await aiospawn.create_subprocess_exec("true")).wait()
    before = fresh.descriptors()
    for _ in range(5):
        process = await aiospawn.create_subprocess_exec("yes", stdout=-1)
        while process._transport.unread is not None:
            await asyncio.sleep(0.001)
        process.kill()
        await process.wait()
    stdout = process.stdout
    del process
    gc.collect()
    await (await aiospawn.create_subprocess_exec("true")).wait()
    assert len(await stdout.read()) > 100_000
    del stdout
    gc.collect()
    while fresh.descriptors() != before:
        await asyncio.sleep(0.001)

loop = asyncio.SelectorEventLoop()
loop.run_until_complete(main())
loop.close()
"""
    assert fresh.run(program) == ""


@pytest.mark.parametrize("closes", [True, False])
def test_freed_behind_its_loop(variant: str, *, closes: bool) -> None:
    """Closed, or gone as well."""
    program = f"""
import asyncio, gc, warnings
import aiospawn, fresh
warnings.simplefilter("ignore", ResourceWarning)
loop = fresh.new_event_loop()

async def main():
    process = await aiospawn.create_subprocess_exec("yes", stdout=-1)
    while process._transport.unread is not None:
        await asyncio.sleep(0.001)
    process.kill()
    await process.wait()
    return process

process = loop.run_until_complete(main())
if {closes}:
    loop.close()
del loop
del process
gc.collect()
"""
    assert fresh.run(program, variant) == ""
