"""The protocol behind a Process's streams, and which protocols do nothing but note what they are told."""

from __future__ import annotations

import asyncio
import asyncio.subprocess

__all__ = ["StreamProtocol", "only_notes"]


class StreamProtocol(asyncio.subprocess.SubprocessStreamProtocol):
    """asyncio's, which tells of the exit alone: up to some 3.13 its `wait` waits for a grandchild's pipe as well."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=limit, loop=loop)
        self.exit_waiters: list[asyncio.Future[None]] = []

    def process_exited(self) -> None:
        super().process_exited()
        while self.exit_waiters:
            self.exit_waiters.pop().set_result(None)


def only_notes(protocol: asyncio.BaseProtocol) -> bool:
    """Does it run nobody else's code? A subclass of these may do anything."""
    return type(protocol) in (StreamProtocol, asyncio.subprocess.SubprocessStreamProtocol)
