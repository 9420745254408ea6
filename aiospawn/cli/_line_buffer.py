"""`--line-buffer`: lines of jobs that still run, whole ones, and with `-k` those of one job after the other."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiospawn

    from ._output import Printer

__all__ = ["LineBuffer"]

_LAST_ERRORS = 10  # lines, as many as exceptions show
_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class LineBuffer:
    """Jobs have the numbers that the map counts with."""

    def __init__(self, printer: Printer, *, ordered: bool) -> None:
        """`ordered`: what later jobs write is kept in memory until the earlier ones have ended."""
        self._printer = printer
        self._ordered = ordered
        self._due = 0  # the job that writes as it goes
        self._held: dict[int, list[tuple[int, bytes, bytes]]] = {}
        self._received: dict[int, int] = {}
        self._errors: dict[int, collections.deque[bytes]] = {}

    def take(self, line: aiospawn.MapLine, tag: bytes) -> None:
        """Raises OSError, BrokenPipeError where the reader has gone."""
        descriptor = _DESCRIPTORS[line.stream]
        if descriptor == 2:
            self._errors.setdefault(line.number, collections.deque(maxlen=_LAST_ERRORS)).append(line.line)
        self.write(line.number, descriptor, tag, line.line)

    def write(self, number: int, descriptor: int, tag: bytes, line: bytes) -> None:
        """A line as if the job had written it. Raises as `take`."""
        if descriptor == 1:
            self._received[number] = self._received.get(number, 0) + len(line)
        if self._ordered and number > self._due:
            self._held.setdefault(number, []).append((descriptor, tag, line))
        else:
            self._printer.write(descriptor, tag, line)

    def ended(self, number: int) -> tuple[int, bytes]:
        """A job, those before which have ended where jobs are ordered. Raises as `take`.

        How many bytes of output it had, and its last lines of standard error.
        """
        for earlier in sorted(each for each in self._held if each <= number):
            self._release(earlier)
        self._due = number + 1
        self._release(self._due)
        return self._received.pop(number, 0), b"".join(self._errors.pop(number, ()))

    def _release(self, number: int) -> None:
        for descriptor, tag, line in self._held.pop(number, ()):
            self._printer.write(descriptor, tag, line)
