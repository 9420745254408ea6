"""How many commands an agent is given ahead of those that it runs: about a second's work."""

from __future__ import annotations

__all__ = ["Pace"]

_MOST = 4000  # commands
_NEWS = 0.5  # how much the last report counts


class Pace:
    """One agent's."""

    __slots__ = ("_capacity", "_horizon", "_rate", "_since")

    def __init__(self, capacity: int, horizon: float, now: float) -> None:
        """`horizon`: for how many seconds it is to have work."""
        self._capacity = capacity
        self._horizon = horizon
        self._rate = 0.0  # commands a second
        self._since = now

    def began(self, now: float) -> None:
        """It had nothing to do, and has now."""
        self._since = now

    def ended(self, count: int, now: float) -> None:
        """So many have ended since it last said so."""
        elapsed = max(now - self._since, 1e-3)
        rate = count / elapsed
        self._rate = rate if not self._rate else self._rate + _NEWS * (rate - self._rate)
        self._since = now

    @property
    def target(self) -> int:
        """How many it is to have in hand."""
        return max(self._capacity, min(_MOST, int(self._rate * self._horizon)))
