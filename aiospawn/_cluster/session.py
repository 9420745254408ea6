"""What an agent has been asked for, and has to report: without a process, a loop or a clock of its own."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from .messages import DONE, LINE, UNSTARTED, Report

if TYPE_CHECKING:
    from .messages import Entry, Message, Order

__all__ = ["Session"]


class Session:
    """An agent's side of one map."""

    def __init__(self, lease: float, now: float) -> None:
        self._lease = lease
        self._until = now + lease
        self._turn = 0
        self._queue: collections.deque[Order] = collections.deque()
        self._log: collections.deque[tuple[Entry, int]] = collections.deque()
        self._first = 0  # which entry the log's first one is
        self._is_leaving = False
        self.running = 0
        """How many commands were started, and have not ended."""
        self.fault: BaseException | None = None
        """Why no command can be run any more, other than the lease."""
        self.held = 0
        """Bytes of output in the log."""
        self.is_over = False
        """No command is started, and none reported, any more."""

    # ---- the map's side -----------------------------------------------------------------------------------------------

    def take(self, message: Message, now: float) -> None:
        """What a message changes. One that comes too late changes nothing."""
        if not self.is_live(now):
            return
        self._until = max(self._until, message.echo + self._lease)
        while self._first < message.received:
            self.held -= self._log.popleft()[1]
            self._first += 1
        if message.turn > self._turn:
            self._turn = message.turn
            self._queue.extend(message.orders)
            self._give_back(len(self._queue) if self._is_leaving else message.withdrawn)

    def _give_back(self, count: int) -> None:
        for _ in range(min(count, len(self._queue))):
            self.note(self._queue.pop().attempt, UNSTARTED)

    def report(self, now: float, *, with_entries: bool) -> Report:
        """What is to be answered now."""
        entries = tuple(entry for entry, _ in self._log) if with_entries and not self.is_over else ()
        return Report(now, self._first, entries, self.is_over, self._is_leaving, self.fault)

    def leave(self) -> None:
        """No command is started any more: all go back, those that come as well."""
        self._is_leaving = True
        self._give_back(len(self._queue))

    # ---- the agent's side ---------------------------------------------------------------------------------------------

    @property
    def until(self) -> float:
        """When the lease is over, unless the map is heard of."""
        return self._until

    def is_live(self, now: float) -> bool:
        """Whether commands may be started and run."""
        if now >= self._until:
            self.is_over = True
        return not self.is_over

    def next(self, now: float) -> Order | None:
        """The next command, to be started at once; None where there is none now."""
        if not self._queue or not self.is_live(now):
            return None
        self.running += 1
        return self._queue.popleft()

    def ended(self, attempt: int, outcome: object, size: int) -> None:
        """A command that `next` gave has come to its end."""
        self.running -= 1
        self.note(attempt, DONE, outcome, size)

    def line(self, attempt: int, line: object, size: int) -> None:
        """A line of its output."""
        self.note(attempt, LINE, line, size)

    def note(self, attempt: int, kind: str, value: object = None, size: int = 0) -> None:
        """Adds to what is reported."""
        self._log.append(((attempt, kind, value), size))
        self.held += size

    @property
    def has_news(self) -> bool:
        """Whether there is something to report."""
        return bool(self._log)

    @property
    def queued(self) -> int:
        """How many commands wait to be started."""
        return len(self._queue)
