"""`communicate` of our Process: asyncio's results and exceptions, without a task, and nothing lost when it is cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

import pytest
from until import until

import aiospawn

if TYPE_CHECKING:
    from gate import Gate

pytestmark = pytest.mark.loops("kinds")

_BOTH = ["sh", "-c", "printf out; printf err >&2; read _; printf more; printf more >&2"]
_BIG = 3 << 20


async def _launched(*command: str, **options: Any) -> aiospawn.Process:
    return await aiospawn.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, **options)


async def test_no_task_is_made() -> None:
    """One future is all that it waits for: no task for each stream."""
    process = await _launched(*_BOTH, stdin=PIPE)
    assert process.stdin is not None
    communicating = asyncio.create_task(process.communicate(b"\n"))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task(), communicating}
    assert await communicating == (b"outmore", b"errmore")
    assert process.returncode == 0


async def test_cancelled(gate: Gate) -> None:
    """What was read before stays in the streams, and what comes afterwards follows it."""
    process = await _launched(*_BOTH, stdin=gate.child)
    assert process.stdout is not None
    assert process.stderr is not None
    communicating = asyncio.create_task(process.communicate())
    stdout: Any = process.stdout
    stderr: Any = process.stderr
    await until(lambda: (stdout._buffer, stderr._buffer) == (b"out", b"err"))
    communicating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await communicating
    assert await process.stdout.read(3) == b"out"
    gate.open()
    assert await process.communicate() == (b"more", b"errmore")
    assert await process.communicate() == (b"", b"")


async def test_cancelled_with_much_output() -> None:
    """Behind a cancelled one the streams have their limit again: a child that goes on is not read without end."""
    process = await _launched("yes", limit=1024)
    assert process.stdout is not None
    communicating = asyncio.create_task(process.communicate())
    stdout: Any = process.stdout
    await until(lambda: len(stdout._buffer) >= _BIG)
    communicating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await communicating
    held = len(process.stdout._buffer)  # type: ignore[attr-defined]
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert len(process.stdout._buffer) == held  # type: ignore[attr-defined]
    assert await process.stdout.readexactly(_BIG) == b"y\n" * (_BIG // 2)
    await process.stop()
    assert (await process.stdout.read()).startswith(b"y\n")


@pytest.mark.parametrize("size", [0, 1000, _BIG])
async def test_through_a_small_limit(size: int) -> None:
    """More than the streams' limit, in both directions, also where reading was paused before."""
    process = await aiospawn.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, limit=16)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"x" * 1000)
    stdout: Any = process.stdout
    await until(lambda: stdout._paused)
    assert await process.communicate(b"y" * size) == (b"x" * 1000 + b"y" * size, None)


async def test_input_that_nobody_reads() -> None:
    """A child that ends before it has read all is no error."""
    process = await aiospawn.create_subprocess_exec("true", stdin=PIPE)
    assert await process.communicate(b"x" * _BIG) == (None, None)
    assert process.returncode == 0


async def test_two_readers(gate: Gate) -> None:
    """Two coroutines that wait for the data of one stream: the second is refused, as by asyncio."""
    process = await _launched("sh", "-c", "read _", stdin=gate.child)
    assert process.stdout is not None
    communicating = asyncio.create_task(process.communicate())
    await asyncio.sleep(0)
    for second in (process.stdout.read(), process.stdout.readline(), process.communicate()):
        with pytest.raises(RuntimeError, match="already waiting for incoming data"):
            await second
    gate.open()
    assert await communicating == (b"", b"")


async def test_a_reader_before() -> None:
    """Where somebody waits for data already, it is this one that is refused."""
    process = await _launched("sh", "-c", "read _", stdin=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    reading = asyncio.create_task(process.stdout.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already waiting for incoming data"):
        await process.communicate(b"")
    process.stdin.close()
    assert await reading == b""
    await process.wait()


async def test_two_at_once_without_output() -> None:
    """Where there is nothing to read, both come to their end."""
    process = await aiospawn.create_subprocess_exec("cat", stdin=PIPE, stdout=DEVNULL)
    both = asyncio.gather(process.communicate(b"a"), process.communicate(b"b"), return_exceptions=True)
    assert await both == [(None, None), (None, None)]


async def test_a_pipe_that_somebody_holds() -> None:
    """The output's end is waited for, not the end of an input that a descendant still holds."""
    holding = ["sh", "-c", "exec 3<&0; sleep 1000 <&3 >/dev/null 2>&1 & echo $!"]
    process = await _launched(*holding, stdin=PIPE)
    output, _ = await process.communicate(b"x")
    assert process.returncode == 0
    os.kill(int(output), signal.SIGKILL)
