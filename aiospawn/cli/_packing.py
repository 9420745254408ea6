"""Many arguments for one command, as far as its length goes: GNU parallel's -m, -X, --xargs and -s.

When the arguments are at their end, those that are left are spread evenly over the jobs that run at a time, unless `spread`
is not wanted (`--xargs`).
"""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from ._errors import UsageError
from ._replace import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._combinations import Records
    from ._replace import Template

__all__ = ["LONGEST", "Packing", "packed"]

LONGEST = 128 * 1024
"""Bytes of a command: what Linux takes as a single argument (MAX_ARG_STRLEN), as which a shell gets it."""


class Packing(NamedTuple):
    """How arguments are put together."""

    longest: int
    """Bytes of a command as it is shown, with its end."""
    most: int | None
    """Arguments of a command."""
    jobs: int
    """Over how many those at the end are spread."""
    exact: bool = False
    """So many arguments as may be must fit."""


async def packed(records: Records, template: Callable[[], Template], packing: Packing) -> Records:
    """Raises UsageError for an argument with which a command would be too long."""
    measure: _Measure | None = None
    arguments: list[str] = []
    length = 0
    async with aclosing(records):
        async for record in records:
            measure = measure or _Measure(template())
            more = sum(map(measure.of, record))
            is_full = packing.most is not None and len(arguments) + len(record) > packing.most
            too_long = measure.none + length + more >= packing.longest
            if arguments and too_long and packing.exact and packing.most is not None and not is_full:
                raise UsageError(f"-x: a command of {packing.most} arguments would have more than {packing.longest} bytes")
            if arguments and (is_full or too_long):
                yield tuple(arguments)
                arguments, length = [], 0
            if measure.none + more >= packing.longest:
                raise UsageError(f"a command of more than {packing.longest} bytes with the argument {record[0][:100]!r}")
            arguments += record
            length += more
    each = -(-len(arguments) // packing.jobs)
    for start in range(0, len(arguments), each or 1):
        yield tuple(arguments[start : start + each])


class _Measure:
    """How much longer a command is by each argument, as a linear function of it."""

    def __init__(self, template: Template) -> None:
        lengths = [self._length(template, arguments) for arguments in (("x",), ("x", "x"), ("xx",))]
        self._times = max(1, lengths[2] - lengths[0])
        self._each = lengths[1] - lengths[0] - self._times
        self.none = lengths[0] - self._each - self._times
        """Bytes without any."""

    @staticmethod
    def _length(template: Template, arguments: tuple[str, ...]) -> int:
        command = template.command(arguments, 1)
        return len(os.fsencode(command if isinstance(command, str) else " ".join(command)))

    def of(self, argument: str) -> int:
        return self._each + self._times * len(os.fsencode(shown([argument])))
