"""Output on its way to one reader, in the order in which it arrived."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any, Protocol

from aiospawn._binding.indivisible import in_one, mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

__all__ = ["STREAMS", "OutputQueue", "Piece"]

STREAMS = ("stdin", "stdout", "stderr")
_MOST_WAITING = 256 * 1024  # bytes that wait for the reader, until the pipes do

Piece: TypeAlias = "tuple[int, bytes]"
"""A stream, and what came from it."""


class Child(Protocol):
    """Whose output it is."""

    chunks: tuple[list[bytes], list[bytes], list[bytes]]

    def pause_output(self) -> None: ...
    def resume_output(self) -> None: ...


class OutputQueue:
    """What a child wrote and nobody has read: while that is much, its pipes are not read, and so the child waits.

    What comes from the streams that are `kept` is collected as well.
    """

    __slots__ = (
        *("_dropping", "_kept", "_most", "_paused", "_paused_at", "_paused_before"),
        *("_pieces", "_size", "_source", "_waiter"),
    )

    def __init__(self, kept: frozenset[int] = frozenset()) -> None:
        self._kept = kept
        self._paused: Child | None = None  # not for longer: it has this queue
        self._paused_at = 0.0  # by the monotonic clock
        self._paused_before = 0.0  # in seconds
        self._source: asyncio.Future[Any] | None = None
        self._pieces: list[Piece] = []
        self._size = 0  # bytes of them
        self._most = _MOST_WAITING
        self._waiter: asyncio.Future[None] | None = None
        self._dropping = False

    @property
    def paused(self) -> float:
        """For how many seconds in all the pipes were not read."""
        now = 0.0 if self._paused is None else time.monotonic() - self._paused_at
        return self._paused_before + now

    def put(self, child: Child, stream: int, data: bytes, taken: Iterable[Callable[[], object]] = ()) -> None:
        """`taken` is called with it, in one, and marks that it is here: interrupted behind that, `came` is to be called."""
        if self._dropping:
            return
        piece: list[Callable[[], object]] = [
            functools.partial(self._pieces.append, (stream, data)),
            mark(self, "_size", self._size + len(data)),
        ]
        if stream in self._kept:
            piece.append(functools.partial(child.chunks[stream].append, data))
        in_one(*taken, *piece)
        self.came(child)

    def came(self, child: Child) -> None:
        """Wakes the reader, and pauses the child where much waits."""
        if self._size > self._most and self._paused is None:
            self._paused_at = time.monotonic()
            self._paused = child
            child.pause_output()
        self._wake()

    def follow(self, source: asyncio.Future[Any]) -> None:
        """Nothing more comes when this is done."""
        self._source = source
        for _ in range(2):  # a signal's handler may raise where one begins
            source.add_done_callback(self._wake)

    def _wake(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> list[Piece]:
        """All that has arrived; waits for some. Empty when nothing more comes."""
        while not self._pieces and self._source is not None and not self._source.done():
            self._waiter = self._source.get_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        # anyio cancels no task whose future is done, and where output always comes, it is whenever anyio looks.
        await asyncio.sleep(0)
        pieces, self._pieces, self._size = self._pieces, [], 0
        self._resume()
        return pieces

    def _resume(self) -> None:
        self._paused_before = self.paused
        child, self._paused = self._paused, None
        if child is not None:
            child.resume_output()

    def drop(self) -> None:
        """Nobody reads any more: what comes is dropped, for a child that waits in a write may not end."""
        self._dropping = True
        self._pieces.clear()
        self._resume()

    def let_in(self, size: int) -> None:
        """So many bytes more may wait: what pipes still hold whose child has ended."""
        self._most = self._size + size
        self._resume()
