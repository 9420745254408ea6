"""The stop of a child whose output is collected, while that has not come to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiospawn._termination.terminate import ended

if TYPE_CHECKING:
    from aiospawn._termination.tree import Tree

__all__ = ["Stopping"]


class Stopping:
    """What a stop waits for, as its child reports it."""

    __slots__ = ("_emptied", "_exited", "refusal")

    def __init__(self, loop: asyncio.AbstractEventLoop, *, has_exited: bool) -> None:
        self._exited: asyncio.Future[None] = loop.create_future()
        if has_exited:
            self._exited.set_result(None)
        self._emptied: asyncio.Future[None] | None = None
        self.refusal: PermissionError | None = None
        """Why the child is still running: it may not be signalled."""

    def report_exit(self) -> None:
        """The child is reaped."""
        if not self._exited.done():
            self._exited.set_result(None)

    def report_emptied(self) -> None:
        """No pipe of the child's is open."""
        if self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    async def end(self, tree: Tree, grace: float) -> None:
        """Ends the tree. A program that may not be signalled is the `refusal`."""
        try:
            await ended(tree, self._exited, grace)
        except PermissionError as refusal:
            self.refusal = refusal

    async def wait_until_emptied(self, timeout: float) -> None:
        """Waits until all that the pipes hold is read, so many seconds at most."""
        self._emptied = self._exited.get_loop().create_future()
        await asyncio.wait([self._emptied], timeout=timeout)
