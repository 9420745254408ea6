"""Until when an agent may go on, as the map knows it.

An agent's lease counts from one of its own times, which the map has been sent and sends back. So no delay of a message can
make it longer than the map thinks: that time was before the map received it, and the map knows which times it has sent back.
What this takes for granted is that both clocks run equally fast (CLOCK_MONOTONIC, which nobody sets), but for `_MARGIN`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Lease", "Terms"]

_MARGIN = 0.1  # of the whole: clocks that drift, a loop that is late, the time that killing takes


class Terms(NamedTuple):
    """What becomes of the seconds within which everything must have ended."""

    whole: float

    @property
    def of_agent(self) -> float:
        """How long an agent goes on without the map."""
        return self.whole * (1 - _MARGIN) / 2

    @property
    def of_init(self) -> float:
        """How long commands go on without their agent: when it stops, its own lease may just have been renewed."""
        return self.whole * (1 - _MARGIN) / 2


class Lease:
    """One agent's."""

    __slots__ = ("_heard", "_until", "_whole", "stamp")

    def __init__(self, whole: float, stamp: float, now: float) -> None:
        self._whole = whole
        self._heard = now
        self._until = now + whole
        self.stamp = stamp
        """The agent's last time that was received: what is sent back."""

    def heard(self, stamp: float, now: float) -> None:
        """A report has come."""
        if stamp > self.stamp:
            self.stamp, self._heard = stamp, now

    def granted(self) -> float:
        """The time is being sent back. Returns it."""
        self._until = max(self._until, self._heard + self._whole)
        return self.stamp

    def is_over(self, now: float) -> bool:
        """Whether the agent has stopped by itself, and all that it ran has ended."""
        return now >= self._until

    @property
    def until(self) -> float:
        return self._until
