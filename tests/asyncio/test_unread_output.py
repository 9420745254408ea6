"""Outputs that nobody has asked for: kept until somebody does, with nothing lost, doubled or read without end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import types
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

import pytest
from until import until

import aiospawn
from aiospawn._asyncio import unread_output
from aiospawn._asyncio.unread_output import make_streams

if TYPE_CHECKING:
    from gate import Gate

pytestmark = pytest.mark.loops("kinds")

_BIG = 3 << 20
_BOTH = ["sh", "-c", "printf out; printf err >&2; exit 3"]


def _kept(process: Any) -> list[bytes | None]:
    _, *buffers = process._transport.unread
    return [None if each is None else bytes(each) for each in buffers]


def _was_asked_for(process: Any) -> bool:
    return process._transport.unread is None


async def _piped(*command: str, **options: Any) -> aiospawn.Process:
    return await aiospawn.create_subprocess_exec(*command, **{"stdout": PIPE, "stderr": PIPE, **options})


@pytest.mark.parametrize("options", [{}, {"cwd": "/"}, {"start_new_session": True}, {"stdin": DEVNULL}, {"limit": 5}])
async def test_communicate_makes_no_stream(options: dict[str, Any]) -> None:
    process = await _piped(*_BOTH, **options)
    assert await process.communicate() == (b"out", b"err")
    assert not _was_asked_for(process)
    assert process.returncode == 3
    assert await process.communicate() == (b"", b"")
    assert process.stdout is not None
    assert await process.stdout.read() == b""
    assert process.stdout.at_eof()


async def test_asked_for_when_all_is_over() -> None:
    process = await _piped(*_BOTH)
    assert await process.wait() == 3
    await until(lambda: _kept(process) == [b"out", b"err"])
    assert process.stderr is not None
    assert process.stdout is not None
    assert await process.stderr.read() == b"err"
    assert await process.stdout.read() == b"out"
    assert process.stdout is process.stdout
    assert process._transport.get_pipe_transport(1) is process.stdout._transport  # type: ignore[attr-defined]
    assert process._transport.get_pipe_transport(1).is_closing()


async def test_asked_for_in_between(gate: Gate) -> None:
    """One output has ended, of the other some was read, and more is to come."""
    process = await _piped("sh", "-c", "exec 2>&-; echo first; read _; echo second", stdin=gate.child)
    await until(lambda: _kept(process) == [b"first\n", b""] and process._transport._open_pipes == 2)
    assert process.stdout is not None
    assert process.stderr is not None
    assert await process.stderr.read() == b""
    assert await process.stdout.readline() == b"first\n"
    gate.open()
    assert await process.stdout.read() == b"second\n"
    assert await process.wait() == 0


@pytest.mark.parametrize("limit", [1 << 16, 16])
async def test_not_read_without_end(limit: int) -> None:
    """More than is kept: the pipe is paused, as asyncio's; nothing is lost."""
    process = await _piped("sh", "-c", f"head -c {_BIG} /dev/zero; echo end", limit=limit)
    await until(lambda: _was_asked_for(process))
    stdout: Any = process.stdout
    assert stdout._paused
    kept = len(stdout._buffer)
    assert 2 * limit < kept < 2 * limit + 2 * 96 * 1024
    await asyncio.sleep(0.02)
    assert len(stdout._buffer) == kept
    assert await stdout.read() == bytes(_BIG) + b"end\n"


async def test_communicate_has_no_limit() -> None:
    process = await _piped("head", "-c", str(_BIG), "/dev/zero", limit=16)
    assert await process.communicate() == (bytes(_BIG), b"")
    assert process.returncode == 0


@pytest.mark.parametrize("size", [5, _BIG])
async def test_communicate_is_cancelled(size: int, gate: Gate) -> None:
    """What was read stays, with the limit that it had; more than that is a paused stream's."""
    process = await _piped("sh", "-c", f"read _; head -c {size} /dev/zero; read _; echo end", stdin=gate.child, limit=1024)
    communicating = asyncio.create_task(process.communicate())
    await asyncio.sleep(0)
    gate.open()
    await until(lambda: len(_kept(process)[0] or b"") == size)
    communicating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await communicating
    assert _was_asked_for(process) == (size == _BIG)
    gate.open()
    assert process.stdout is not None
    assert await process.stdout.readexactly(size) == bytes(size)
    assert await process.communicate() == (b"end\n", b"")


async def test_asked_for_while_communicate_waits(gate: Gate) -> None:
    """A second reader is refused, as by asyncio, and the first gets all."""
    process = await _piped("sh", "-c", "echo first; read _; echo second", stdin=gate.child, limit=16)
    communicating = asyncio.create_task(process.communicate())
    await asyncio.sleep(0)
    await until(lambda: _kept(process) == [b"first\n", b""])
    assert process.stdout is not None
    stdout = process.stdout
    for second in (
        *(stdout.readexactly(2), stdout.readexactly(100), stdout.read(2), stdout.read(), stdout.readline()),
        *(stdout.readuntil(b"f"), process.communicate()),
    ):
        with pytest.raises(RuntimeError, match="already waiting for incoming data"):
            await second
    gate.open()
    assert await communicating == (b"first\nsecond\n", b"")
    assert process.stdout._limit == 16  # type: ignore[attr-defined]
    assert await process.stdout.read() == b""


@pytest.mark.parametrize("ask", [True, False])
async def test_a_second_communicate_behind_the_ends(gate: Gate, *, ask: bool) -> None:
    """Where both outputs have ended there is nothing more to read: it waits for the exit, as asyncio's."""
    process = await _piped("sh", "-c", "echo text; exec >&- 2>&-; read _", stdin=gate.child)
    if ask:
        assert process.stdout is not None
    first = asyncio.create_task(process.communicate())
    await until(lambda: not process._transport._open_pipes)
    second = asyncio.create_task(process.communicate())
    await asyncio.sleep(0)
    gate.open()
    assert await first == (b"text\n", b"")
    assert await second == (b"", b"")


async def test_read_behind_the_end_while_communicate_waits(gate: Gate) -> None:
    """What came is the first reader's; there is no more, as asyncio's streams have it."""
    process = await _piped("sh", "-c", "echo text; exec >&- 2>&-; read _", stdin=gate.child)
    stdout = process.stdout
    assert stdout is not None
    communicating = asyncio.create_task(process.communicate())
    await until(lambda: not process._transport._open_pipes)
    assert [await stdout.read(), await stdout.read(1), await stdout.readline()] == [b"", b"", b""]
    with pytest.raises(asyncio.IncompleteReadError):
        await stdout.readexactly(1)
    gate.open()
    assert await communicating == (b"text\n", b"")


@pytest.mark.parametrize("is_interrupted", [True, False])
async def test_communicate_leaves_while_streams_are_made(monkeypatch: pytest.MonkeyPatch, *, is_interrupted: bool) -> None:
    """By a thread that asks for them; or interrupted, so that they are asked for again."""
    process = await _piped("sh", "-c", f"echo text; exec head -c {_BIG} /dev/zero")
    communicating = asyncio.create_task(process.communicate())
    await asyncio.sleep(0)
    made, left, of_the_loop = threading.Event(), threading.Event(), threading.get_ident()
    make: Any = unread_output._reader

    def reader(*arguments: Any) -> Any:
        made_now = make(*arguments)
        if is_interrupted and made.is_set() and not left.is_set():
            left.set()
            raise KeyboardInterrupt
        made.set()
        if threading.get_ident() != of_the_loop:
            left.wait()
        return made_now

    monkeypatch.setattr(unread_output, "_reader", reader)
    if is_interrupted:
        with pytest.raises(KeyboardInterrupt):
            process.stdout  # noqa: B018
    else:
        asking = asyncio.create_task(asyncio.to_thread(lambda: process.stdout))
        await asyncio.to_thread(made.wait)
    communicating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await communicating
    await until(lambda: _was_asked_for(process))  # more came than is kept: the loop's thread has made them
    monkeypatch.undo()
    left.set()
    if not is_interrupted:
        await asking
    stdout: Any = process.stdout
    assert stdout._limit == 1 << 16
    await until(lambda: stdout._paused)
    assert await stdout.readline() == b"text\n"
    assert await process.communicate() == (bytes(_BIG), b"")


async def test_read_by_a_thread() -> None:
    """asyncio's streams may be named in another thread, for run_coroutine_threadsafe, while their data comes."""
    loop = asyncio.get_running_loop()
    for _ in range(20):
        process = await _piped("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo $i; done; echo end >&2")
        found: list[bytes] = []

        def read(process: Any = process, found: list[bytes] = found) -> None:
            readers = process.stdout, process.stderr
            found.extend(asyncio.run_coroutine_threadsafe(reader.read(), loop).result() for reader in readers)

        thread = threading.Thread(target=read)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert found == [b"1\n2\n3\n4\n5\n6\n7\n8\n", b"end\n"]
        await process.wait()


async def test_an_output_that_a_descendant_holds() -> None:
    """The exit comes first: then the streams are made, and read on."""
    process = await _piped("sh", "-c", 'sleep 1000 2>&- & echo $!; trap "" TERM')
    assert await process.wait() == 0
    assert process.stdout is not None
    held = int(await process.stdout.readline())
    assert not process.stdout.at_eof()
    os.kill(held, signal.SIGKILL)
    assert await process.stdout.read() == b""


async def test_closed_unread() -> None:
    """The pipes are closed with the transport, so that the child cannot write any more."""
    process = await _piped("sh", "-c", "trap '' PIPE; while echo x; do sleep 0.001; done 2>&-; exit 5")
    process.close_output()
    assert await process.wait() == 5
    process = await _piped("sleep", "1000")
    process._transport.close()
    assert await process.wait() == -signal.SIGKILL
    assert process.stdout is not None
    assert await process.stdout.read() == b""


async def test_another_protocol(gate: Gate) -> None:
    """It gets what comes from then on; the streams have what came before."""

    class Recorder(asyncio.SubprocessProtocol):
        def __init__(self) -> None:
            self.data = b""

        def pipe_data_received(self, fd: int, data: bytes) -> None:
            assert fd == 1
            self.data += data

    process = await _piped("sh", "-c", "echo first; read _; echo second", stdin=gate.child)
    await until(lambda: _kept(process) == [b"first\n", b""])
    recorder = Recorder()
    process._transport.set_protocol(recorder)
    gate.open()
    assert await process.wait() == 0
    await until(lambda: recorder.data == b"second\n")
    stdout: Any = process.stdout
    assert stdout._buffer == b"first\n"
    process._transport.close()


async def test_shown() -> None:
    process = await _piped(*_BOTH, stdout=DEVNULL)
    assert "stderr=unread" in repr(process._transport)
    assert "stdout" not in repr(process._transport)
    assert not _was_asked_for(process)
    assert process.stdout is None
    assert "stderr=<ReadPipe" in repr(process._transport)
    assert await process.communicate() == (None, b"err")


async def test_set_by_a_program() -> None:
    """They are attributes, as asyncio's."""
    process = await _piped("true")
    mine: Any = object()
    process.stdout = mine
    assert process.stdout is mine
    process.stdout = None
    await process.wait()


async def test_communicate_of_streams_that_a_program_has_set() -> None:
    process = await _piped(*_BOTH)
    process.stdout = None
    assert await process.communicate() == (None, b"err")


def test_pipes_are_asked_for_again_after_an_interruption() -> None:
    """Half made they must not be taken for all of them."""
    child: Any = types.SimpleNamespace(
        unread=(
            types.SimpleNamespace(_limit=16, _loop=asyncio.new_event_loop()),
            bytearray(),
            bytearray(),
        ),
        unread_most=32,
        _open_pipes=6,
    )
    loop, child.unread[0]._loop = child.unread[0]._loop, None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "StreamReader", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make_streams(child)
    assert "_pipes" not in vars(child)
    child.unread[0]._loop = loop
    make_streams(child)
    assert sorted(child._pipes) == [1, 2]
    assert child.unread is None
    loop.close()


async def test_freed() -> None:
    """Asked for or not, nothing is left to the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        for ask in (False, True):
            process = await _piped(*_BOTH)
            await process.wait()
            if ask:
                assert process.stdout is not None
                await process.stdout.read()
            del process
            await asyncio.sleep(0)
            assert gc.collect() == 0
    finally:
        gc.enable()
