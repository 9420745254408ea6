"""A pipe that every process of a tree holds: its end is the end of the last of them."""

from __future__ import annotations

import asyncio
import os
import select

__all__ = ["PATIENCE", "Marker", "stands"]

PATIENCE = 20.0  # seconds, which nothing here takes


class Marker:
    """A pipe that every process of a tree holds: its end is the end of the last of them."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def close_writer(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def stands(self, count: int) -> None:
        """Waits until so many processes have said that they stand."""
        while count:
            assert self._ready(), f"{count} processes are missing"
            said = os.read(self.reader, count)
            assert said, "all have ended"
            count -= len(said)

    def ends(self) -> None:
        """Waits until nobody holds it."""
        self.close_writer()
        while True:
            assert self._ready(), "somebody survives"
            if not os.read(self.reader, 4096):
                return

    def has_ended(self) -> bool:
        """Does nobody hold it now?"""
        self.close_writer()
        while select.select([self.reader], [], [], 0)[0]:
            if not os.read(self.reader, 4096):
                return True
        return False

    def _ready(self) -> bool:
        return bool(select.select([self.reader], [], [], PATIENCE)[0])


async def stands(marker: Marker, count: int) -> None:
    await asyncio.get_running_loop().run_in_executor(None, marker.stands, count)
