"""A poll read one pipe to its end and reported that before another pipe's data, which had been written earlier.

A program that forwards both to one connection, and closes that at the first end, lost the other's output.
"""

import asyncio
import fcntl
import os
import select
import struct
import termios
from collections.abc import Iterable
from typing import Any

import pytest
from recorder import Recorder

_BATCH = 128  # entries that one wake-up handles
PIPE = asyncio.subprocess.PIPE


def wait_without_the_loop(pid: int) -> None:
    """Until the process has exited; it stays a zombie. No callback runs meanwhile, so all its events come at once."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def wait_for(protocol: Recorder, stream: int, event: int) -> None:
    """Until the parent's end is in this state (poll(2)), likewise."""
    transport: Any = protocol.transport
    poller = select.poll()
    poller.register(transport.native.stream(transport.token, stream), event)
    while not any(state & event for _, state in poller.poll()):
        pass


async def launched(program: str, factory: type[Recorder] = Recorder, **keywords: Any) -> Recorder:
    return (await asyncio.get_running_loop().subprocess_exec(factory, "/bin/sh", "-c", program, **keywords))[1]


def assert_ends_behind_data(calls: list[Any], streams: Iterable[int] = (1, 2)) -> None:
    """Every pipe's end, stdin's loss among them, comes behind the first data of each of these pipes."""
    first_end = min(at for at, call in enumerate(calls) if call[0] == "pipe lost")
    for stream in streams:
        assert calls.index(("data", stream)) < first_end, calls


@pytest.mark.parametrize(("first", "second"), [("1", "2"), ("2", "1")])
async def test_protocol(first: str, second: str) -> None:
    """With all of it there at once, whichever pipe has its end first."""
    protocol = await launched(f"read line; echo text >&{first}; exec {first}>&-; echo text >&{second}")
    transport = protocol.transport
    transport.get_pipe_transport(0).write(b"\n")
    wait_without_the_loop(transport.get_pid())
    await protocol.lost
    assert_ends_behind_data(protocol.calls)
    transport.close()


@pytest.mark.parametrize("debug", [False, True])
async def test_tasks_that_read_streams(debug: bool) -> None:
    """A task that reads one stream sees its end only when another has seen the other stream's data."""
    asyncio.get_running_loop().set_debug(debug)  # where the streams' protocol is called by callbacks
    seen: list[tuple[str, bytes]] = []

    async def forward(name: str, stream: Any) -> None:
        while data := await stream.read(100):
            seen.append((name, data))
        seen.append((name, b""))

    process = await asyncio.create_subprocess_shell(
        "read line; echo text; echo text >&2", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    reading = asyncio.gather(forward("stdout", process.stdout), forward("stderr", process.stderr))
    await asyncio.sleep(0)  # both wait
    assert process.stdin is not None
    process.stdin.write(b"\n")
    wait_without_the_loop(process.pid)
    await reading
    await process.wait()
    assert sorted(seen[:2]) == [("stderr", b"text\n"), ("stdout", b"text\n")]
    assert sorted(seen[2:]) == [("stderr", b""), ("stdout", b"")]


async def test_beyond_a_full_batch() -> None:
    """The ends are of one batch, the other pipes' data of the next: more entries are ready than one wake-up handles."""
    program = "read line; echo text; exec >&-; read line; echo text >&2; read line"
    protocols = [await launched(program) for _ in range(_BATCH + 2)]
    for stream, state in ((1, select.POLLHUP), (2, select.POLLIN)):
        for protocol in protocols:
            protocol.transport.get_pipe_transport(0).write(b"\n")
        for protocol in protocols:
            wait_for(protocol, stream, state)
    for protocol in protocols:
        protocol.transport.get_pipe_transport(0).close()
    for protocol in protocols:
        await protocol.lost
        ends = [call for call in protocol.calls if call[0] == "pipe lost" and call[1]]
        assert_ends_behind_data([call for call in protocol.calls if call[0] == "data" or call in ends])
        protocol.transport.close()


async def test_more_than_one_wake_up_reads() -> None:
    """All that the other pipe holds comes first, also where several wake-ups have to read it."""
    held = 512 * 1024  # five times what a wake-up reads from one pipe
    program = f"read line; head -c {held} /dev/zero >&2; exec >&-; read line"
    received: list[int] = []

    class Measured(Recorder):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            received.append(len(data))

        def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
            super().pipe_connection_lost(fd, exc)
            if fd == 1:
                assert sum(received) == held

    protocol = await launched(program, Measured, pipesize=held)
    protocol.transport.get_pipe_transport(0).write(b"\n")
    wait_for(protocol, 1, select.POLLHUP)
    while ("pipe lost", 1) not in protocol.calls:  # noqa: ASYNC110 - a list of calls is no event
        await asyncio.sleep(0)
    assert sum(received) == held
    protocol.transport.get_pipe_transport(0).close()
    await protocol.lost
    protocol.transport.close()


async def test_the_loss_of_standard_input() -> None:
    """It is an end like the others."""
    protocol = await launched("read line; echo text; echo text >&2; exec sleep 0")
    protocol.transport.get_pipe_transport(0).write(b"\n")
    wait_without_the_loop(protocol.transport.get_pid())
    await protocol.lost
    assert_ends_behind_data(protocol.calls)
    protocol.transport.close()


async def test_an_endless_writer_holds_up_no_end() -> None:
    """Only what was there when the end came is waited for."""
    protocol = await launched("exec >&-; exec yes >&2")
    async with asyncio.timeout(20):
        while ("pipe lost", 1) not in protocol.calls:  # noqa: ASYNC110
            await asyncio.sleep(0)
    protocol.transport.kill()
    await protocol.lost
    protocol.transport.close()


async def test_a_paused_pipe_holds_up_no_end() -> None:
    """Whoever paused it may be waiting for that end."""

    class Paused(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.get_pipe_transport(2).pause_reading()

    protocol = await launched("read line; echo text >&2; echo text; exec >&-; read line", Paused)
    protocol.transport.get_pipe_transport(0).write(b"\n")
    wait_for(protocol, 1, select.POLLHUP)
    async with asyncio.timeout(20):
        while ("pipe lost", 1) not in protocol.calls:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert ("data", 2) not in protocol.calls
    protocol.transport.get_pipe_transport(2).resume_reading()
    protocol.transport.get_pipe_transport(0).close()
    await protocol.lost
    assert protocol.output == {1: b"text\n", 2: b"text\n"}
    protocol.transport.close()


async def test_paused_while_an_end_waits_for_it() -> None:
    """Nor does one that is paused later, when part of it was read."""
    held = 512 * 1024

    class PausedAtOnce(Recorder):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            super().pipe_data_received(fd, data)
            if fd == 2:
                self.transport.get_pipe_transport(2).pause_reading()

    program = f"read line; head -c {held} /dev/zero >&2; exec >&-; read line"
    protocol = await launched(program, PausedAtOnce, pipesize=held)
    protocol.transport.get_pipe_transport(0).write(b"\n")
    wait_for(protocol, 1, select.POLLHUP)
    async with asyncio.timeout(20):
        while ("pipe lost", 1) not in protocol.calls:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert 0 < len(protocol.output[2]) < held
    protocol.transport.get_pipe_transport(0).close()
    protocol.transport.get_pipe_transport(2).close()
    await protocol.lost
    protocol.transport.close()


async def test_read_by_somebody_else_while_an_end_waits_for_it() -> None:
    """Nor one whose data somebody took who had asked for the pipe itself."""
    held = 512 * 1024

    class TakenAtOnce(Recorder):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            super().pipe_data_received(fd, data)
            pipe = self.transport.get_pipe_transport(2).get_extra_info("pipe")
            while struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]:
                self.output[3] += os.read(pipe.fileno(), held)

    program = f"read line; head -c {held} /dev/zero >&2; exec >&-; read line"
    protocol = await launched(program, TakenAtOnce, pipesize=held)
    protocol.transport.get_pipe_transport(0).write(b"\n")
    wait_for(protocol, 1, select.POLLHUP)
    async with asyncio.timeout(20):
        while ("pipe lost", 1) not in protocol.calls:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert len(protocol.output[2]) + len(protocol.output[3]) == held
    protocol.transport.get_pipe_transport(0).close()
    await protocol.lost
    protocol.transport.close()


async def test_terminal() -> None:
    """The loss of a terminal's writing side comes behind what its reading side holds."""
    protocol = await launched("read line; echo text", stdin=None, stdout=None, stderr=None, pty=True)
    protocol.transport.get_pipe_transport(0).write(b"\n")
    wait_without_the_loop(protocol.transport.get_pid())
    await protocol.lost
    assert_ends_behind_data(protocol.calls, [1])
    assert protocol.output[1].endswith(b"text\r\n")
    protocol.transport.close()
