"""A subprocess protocol that writes down its calls."""

import asyncio
import collections

__all__ = ["Recorder"]


class Recorder(asyncio.SubprocessProtocol):
    """`calls` in their order, the output by stream, a future for each of the two ends."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.output: dict[int, bytes] = collections.defaultdict(bytes)
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(self, *call: object) -> None:
        """Runs at each call."""
        self.calls.append(call)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.told("made")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.output[fd] += data
        self.told("data", fd)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self.told("pipe lost", fd)

    def process_exited(self) -> None:
        self.told("exited")
        self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.told("lost")
        self.lost.set_result(None)
