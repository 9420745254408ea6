"""Which command is where: an attempt is with one agent, or with nobody.

A command comes back here only from an agent that says so, or from one that is lost, whose lease is over. So there are never
two attempts of one command at a time.

A command that was with a lost worker may be why. It goes on among few others first, and alone when that has happened twice:
so the one that loses the third worker is the one that does it.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from .messages import Order

if TYPE_CHECKING:
    from collections.abc import Collection

    from .job import Job

__all__ = ["Ledger"]

_ALONE = 2  # so many workers lost


class Ledger:
    """All commands that were taken from the source and have no result."""

    def __init__(self, most_lost: int) -> None:
        """`most_lost`: with how many lost workers a command is given up."""
        self._most_lost = most_lost
        self._fresh: collections.deque[Job] = collections.deque()
        self._suspects: collections.deque[Job] = collections.deque()
        self._lonely: collections.deque[Job] = collections.deque()
        self._out: dict[int, Job] = {}
        self._attempts = 0

    def add(self, job: Job) -> None:
        """A command, from the source."""
        self._fresh.append(job)

    @property
    def waiting(self) -> int:
        """How many are with nobody."""
        return len(self._fresh) + len(self._suspects) + len(self._lonely)

    @property
    def is_empty(self) -> bool:
        return not self._out and not self.waiting

    @property
    def lonely(self) -> int:
        """How many of them have to be alone with an agent."""
        return len(self._lonely)

    # ---- out ----------------------------------------------------------------------------------------------------------

    def orders(self, room: int, suspects: int, worker: str, workers: Collection[str]) -> list[Order]:
        """At most `room` commands for a worker, at most so many of them suspects.

        A suspect goes to a worker that was not lost with it, if there is one among `workers`.
        """
        given: list[Order] = []
        for _ in range(max(0, min(suspects, room, len(self._suspects)))):
            job = self._suspects.popleft()
            if _belongs_elsewhere(job, worker, workers):
                self._suspects.append(job)
            else:
                given.append(self._order(job))
        while len(given) < room and self._fresh:
            given.append(self._order(self._fresh.popleft()))
        return given

    def lonely_order(self, worker: str, workers: Collection[str]) -> list[Order]:
        """A command that has to be alone, if there is one for this worker."""
        for _ in range(len(self._lonely)):
            job = self._lonely.popleft()
            if not _belongs_elsewhere(job, worker, workers):
                return [self._order(job)]
            self._lonely.append(job)
        return []

    def _order(self, job: Job) -> Order:
        self._attempts += 1
        job.attempt = self._attempts
        self._out[job.attempt] = job
        return Order(job.attempt, job.number, job.args, job.options)

    # ---- in -----------------------------------------------------------------------------------------------------------

    def job(self, attempt: int) -> Job | None:
        """Whose attempt it is; None of one that is over."""
        return self._out.get(attempt)

    def ended(self, attempt: int) -> Job | None:
        """The command, which has its result; None of an attempt that is over."""
        return self._out.pop(attempt, None)

    def unstarted(self, attempt: int) -> None:
        """An agent has given it back."""
        job = self._out.pop(attempt, None)
        if job is not None:
            self._wait(job, first=True)

    def lost(self, attempts: list[int], worker: str) -> list[Job]:
        """A worker is lost, with these. Returns the commands that are given up."""
        given_up = []
        for attempt in attempts:
            job = self._out.pop(attempt, None)
            if job is None:
                continue
            job.lost = (*job.lost, worker)
            if len(job.lost) >= self._most_lost:
                given_up.append(job)
            else:
                self._wait(job, first=False)
        return given_up

    def _wait(self, job: Job, *, first: bool) -> None:
        """Among those with nobody."""
        queue = self._fresh if not job.lost else self._suspects if len(job.lost) < _ALONE else self._lonely
        if first:
            queue.appendleft(job)
        else:
            queue.append(job)

    def drop(self, *, out: bool) -> list[Job]:
        """Those with nobody are to have no result; `out`: nor are those that agents have."""
        dropped = [*self._fresh, *self._suspects, *self._lonely]
        if out:
            dropped += self._out.values()
            self._out.clear()
        for queue in (self._fresh, self._suspects, self._lonely):
            queue.clear()
        return dropped

    def is_suspect(self, attempt: int) -> bool:
        job = self._out.get(attempt)
        return job is not None and bool(job.lost)


def _belongs_elsewhere(job: Job, worker: str, workers: Collection[str]) -> bool:
    return worker in job.lost and any(other not in job.lost for other in workers)
