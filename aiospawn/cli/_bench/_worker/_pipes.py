"""What goes through a pipe."""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import PIPE
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ._spec import Spec

__all__ = ["read", "write"]

_BLOCK = 256 << 10


async def read(spec: Spec) -> dict[str, Any]:
    """`total` bytes from a child."""
    program = [*spec.program, "write", str(spec.total)]
    cpu, started = time.thread_time(), perf_counter()
    if spec.through == "transport":
        protocol = await _through_transport(program, stdin=None, stdout=PIPE)
        await protocol.ended
        moved = protocol.received
    else:
        process = await asyncio.create_subprocess_exec(*program, stdout=PIPE)
        assert process.stdout is not None
        moved = 0
        while block := await process.stdout.read(_BLOCK):
            moved += len(block)
        await process.wait()
    return _moved(moved, spec.total, perf_counter() - started, time.thread_time() - cpu)


async def write(spec: Spec) -> dict[str, Any]:
    """`total` bytes to a child."""
    program = [*spec.program, "read"]
    block = memoryview(bytes(_BLOCK))
    cpu, started = time.thread_time(), perf_counter()
    if spec.through == "transport":
        protocol = await _through_transport(program, stdin=PIPE, stdout=None)
        pipe = cast("asyncio.WriteTransport", protocol.transport.get_pipe_transport(0))
        for position in range(0, spec.total, _BLOCK):
            pipe.write(block[: spec.total - position])
            await protocol.writable.wait()
        pipe.close()
        await protocol.ended
    else:
        process = await asyncio.create_subprocess_exec(*program, stdin=PIPE)
        assert process.stdin is not None
        for position in range(0, spec.total, _BLOCK):
            process.stdin.write(block[: spec.total - position])
            await process.stdin.drain()
        process.stdin.close()
        await process.wait()
    return _moved(spec.total, spec.total, perf_counter() - started, time.thread_time() - cpu)


class _Counting(asyncio.SubprocessProtocol):
    transport: asyncio.SubprocessTransport

    def __init__(self) -> None:
        self.received = 0
        self.writable = asyncio.Event()
        self.writable.set()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        self.received += len(data)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as above
        self.ended.set_result(None)


async def _through_transport(program: list[str], stdin: int | None, stdout: int | None) -> _Counting:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(_Counting, *program, stdin=stdin, stdout=stdout, stderr=None)
    protocol.transport = transport
    return protocol


def _moved(moved: int, expected: int, seconds: float, cpu: float) -> dict[str, Any]:
    if moved != expected:
        raise RuntimeError(f"{moved} bytes came, not {expected}")
    mib = moved / (1 << 20)
    return {"bytes": moved, "seconds": seconds, "mib_per_s": mib / seconds, "loop_cpu_us": cpu / mib * 1e6}
