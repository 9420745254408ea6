"""What a map's results came to, wherever its commands run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .map_result import MapProgress

if TYPE_CHECKING:
    from .halt import Halt
    from .map_result import MapResult

__all__ = ["Tally"]


class _Source(Protocol):
    taken: int
    stopped: bool


class Tally:
    """The numbers of commands that succeeded and that failed."""

    __slots__ = ("_failed", "_halt", "_source", "_succeeded", "_total")

    def __init__(self, source: _Source, total: int | None, halt: Halt | None) -> None:
        self._source = source
        self._total = total
        self._halt = halt
        self._succeeded = 0
        self._failed = 0

    @property
    def progress(self) -> MapProgress:
        return MapProgress(self._source.taken, self._succeeded + self._failed, self._failed, self._total)

    def count(self, succeeded: int, failed: int) -> None:
        """Of a map without a rule for when to halt."""
        self._succeeded += succeeded
        self._failed += failed

    def halts_at(self, result: MapResult[Any]) -> bool:
        """Counts it. Is the map halted by it, which was not stopped before?"""
        completed = result.completed
        if completed is not None and completed.returncode == 0:
            self._succeeded += 1
        else:
            self._failed += 1
        halt = self._halt
        return halt is not None and not self._source.stopped and halt.is_reached(self._succeeded, self._failed, self._total)
