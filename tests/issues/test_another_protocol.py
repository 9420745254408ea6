"""A program may set another protocol, on a transport or on a pipe, in the middle of a child's life."""

import asyncio
import collections
from asyncio.subprocess import PIPE
from typing import Any

import pytest

import aiospawn


async def test_stop_behind_it() -> None:
    """`stop` waited for a call of the protocol that was there before, and never came back."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000")
    process._transport.set_protocol(asyncio.SubprocessProtocol())
    assert await process.stop() == -15
    process._transport.close()


class _Process(asyncio.SubprocessProtocol):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def process_exited(self) -> None:
        self.calls.append("process_exited")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")
        self.over.set_result(exc)


class _Pipe(asyncio.Protocol):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def data_received(self, data: bytes) -> None:
        self.calls.append(data.decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("connection_lost")


@pytest.mark.loops("one")
@pytest.mark.parametrize("is_private", [False, True])
async def test_of_a_pipe(is_private: bool) -> None:
    """It is called, whichever way it was set, and the process's own for the rest."""
    loop: Any = asyncio.get_running_loop()
    with aiospawn.install():
        transport, process = await loop.subprocess_exec(_Process, "sh", "-c", "read x; echo a", stderr=None)
    pipe, protocol = transport.get_pipe_transport(1), _Pipe()
    if is_private:
        pipe._protocol = protocol
    else:
        pipe.set_protocol(protocol)
    transport.get_pipe_transport(0).write(b"\n")
    await process.over
    transport.close()
    assert protocol.calls == ["a\n", "connection_lost"]
    assert process.calls == ["process_exited", "connection_lost"]


@pytest.mark.loops("one")
async def test_of_a_pipe_of_asyncios_streams() -> None:
    """What the pipe brings is not the reader's any more."""
    process = await aiospawn.create_subprocess_exec("sh", "-c", "read x; echo a", stdin=PIPE, stdout=PIPE)
    protocol = _Pipe()
    process._transport.get_pipe_transport(1)._protocol = protocol
    assert process.stdin is not None
    process.stdin.write(b"\n")
    assert await process.wait() == 0
    while "connection_lost" not in protocol.calls:  # noqa: ASYNC110 - nothing else reports it
        await asyncio.sleep(0.001)
    assert protocol.calls == ["a\n", "connection_lost"]
    process._transport.close()


async def test_waiters_that_a_program_has_exchanged() -> None:
    """asyncio's transport has a list of them by this name, and takes anything that can be iterated over."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000")
    waiting = asyncio.ensure_future(process.wait())
    await asyncio.sleep(0)
    process._transport._exit_waiters = collections.deque(process._transport._exit_waiters)
    process.kill()
    assert await waiting == -9
