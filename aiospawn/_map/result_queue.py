"""Results on their way to the caller of a map, in the order of the commands where that is wanted."""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .map_result import MapResult

__all__ = ["ResultQueue"]


class Counted(Protocol):
    """A source of commands, as far as their results are its business."""

    stopped: bool
    handed: int
    """The results that the caller has got, and those that will never be."""

    @property
    def held_up(self) -> object:
        """Whether commands wait until there are more of these."""

    def go_on(self) -> None:
        """There is one more."""


class ResultQueue:
    """The results of the commands of a `Source`, which counts those that the caller has got, or that have none."""

    __slots__ = ("_caller", "_due", "_early", "_ended", "_fault", "_ordered", "_source", "is_awaited", "ready")

    def __init__(self, source: Counted, *, ordered: bool) -> None:
        self._source = source
        self._ordered = ordered
        self.ready: collections.deque[MapResult[Any]] = collections.deque()
        """What `pop` can be called for."""
        self._early: dict[int, MapResult[Any] | None] = {}  # ended before its turn; None: there will be no result
        self._due = 0  # the number whose turn it is
        self._caller: asyncio.Future[None] | None = None
        self._fault: BaseException | None = None
        self._ended = False
        self.is_awaited = False
        """Whether somebody waits for the next result."""

    async def take(self) -> MapResult[Any] | None:
        """The next result; None at the end. Raises what the map has failed with, once the results before that are taken."""
        while not self.ready:
            if self._fault is not None:
                raise self._fault
            if self._ended:
                return None
            self._caller = asyncio.get_running_loop().create_future()
            self.is_awaited = True
            try:
                await self._caller
            finally:
                self._caller = None
                self.is_awaited = False
        return self.pop()

    def pop(self) -> MapResult[Any]:
        """The next result, which is here."""
        # As `_count_handed`, without the call.
        source = self._source
        source.handed += 1
        if source.held_up:
            source.go_on()
        return self.ready.popleft()

    def put(self, number: int, result: MapResult[Any] | None) -> None:
        """The command of this number has come to its end, with a result or without."""
        if self._ordered and number != self._due:
            self._early[number] = result
            return
        early = self._early
        while True:
            if result is None:
                self._count_handed()
            else:
                self.ready.append(result)
            self._due += 1
            if self._due not in early:
                break
            result = early.pop(self._due)
        if self.ready and self._caller is not None:
            self._wake_caller()

    def put_all(self, results: list[MapResult[Any]]) -> None:
        """As `put` of each, by its number."""
        if not self._ordered:
            self.ready.extend(results)
        else:
            early = self._early
            for result in results:
                early[result[0]] = result
            while self._due in early:
                due = early.pop(self._due)
                if due is None:
                    self._count_handed()
                else:
                    self.ready.append(due)
                self._due += 1
        if self.ready and self._caller is not None:
            self._wake_caller()

    def _count_handed(self) -> None:
        source = self._source
        source.handed += 1
        if source.held_up:
            source.go_on()

    def fail(self, error: BaseException) -> None:
        """The first of these is raised to the caller, and no command is taken any more."""
        self._source.stopped = True
        if self._fault is None and not self._ended:
            self._fault = error
        self._wake_caller()

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._wake_caller()

    def drop(self) -> None:
        """Nothing is to be taken any more, results that are here included. `end` wakes the task that waits."""
        self.ready.clear()
        self._early.clear()
        self._fault = None
        self._ended = True

    def _wake_caller(self) -> None:
        caller = self._caller
        if caller is not None and not caller.done():
            caller.set_result(None)
        self._caller = None  # it is woken once
