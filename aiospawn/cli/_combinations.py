"""What comes of a map's sources: records, each with the arguments of a job.

Records are tuples; those of a source have one argument, or its columns. A combination's is those of its parts, joined.
Everything is read as far as records are asked for. Kept in memory is what will be needed again: of a combination all sources
but the first, of recycled ones all but the longest.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, TypeAlias

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Record", "Records", "column_separator", "columns", "combined", "joined", "recycled"]

_MOST_GROUPS = 100  # a generator in a generator each; with two arguments in each source, nobody sees the end of 2**100 jobs

Record: TypeAlias = tuple[str, ...]
Records: TypeAlias = AsyncGenerator[Record, None]


def column_separator(text: str) -> re.Pattern[str]:
    """A regular expression that matches no empty text, between whose matches columns would be single characters."""
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"must be a regular expression, not {text!r}: {error}") from None
    if pattern.match(""):
        raise argparse.ArgumentTypeError(f"must be a regular expression that does not match an empty text, not {text!r}")
    return pattern


async def columns(records: Records, separator: re.Pattern[str]) -> Records:
    """Of each argument its columns. What is in parentheses in the separator is one too."""
    async with aclosing(records):
        async for record in records:
            yield tuple(column or "" for argument in record for column in separator.split(argument))


def combined(groups: Sequence[Sequence[Records]]) -> Records:
    """Every combination of a record of each group, the last one's changing first; a group's sources are read side by side.

    There is none where a group is without records. Raises UsageError for more than a hundred groups.
    """
    if len(groups) > _MOST_GROUPS:
        raise UsageError(f"{len(groups)} sources, of which each combination is to be run: a hundred is the most")
    first, *others = (_paired(group) if len(group) > 1 else group[0] for group in groups)
    for other in others:
        first = _crossed(first, other)
    return first


async def _paired(sources: Sequence[Records]) -> Records:
    """The first record of each, the second of each: as many as the shortest has."""
    async with _closing(sources):
        while True:
            record: Record = ()
            for source in sources:
                try:
                    record += await anext(source)
                except StopAsyncIteration:
                    return
            yield record


async def _crossed(records: Records, others: Records) -> Records:
    kept: list[Record] = []
    async with _closing([records, others]):
        async for record in records:
            for other in kept:
                yield record + other
            async for other in others:  # the first time; then it is at its end
                kept.append(other)
                yield record + other
            if not kept:
                return


async def recycled(sources: Sequence[Records]) -> Records:
    """The first record of each, the second of each: as many as the longest has, the others begin again.

    There is none where a source is empty.
    """
    rings = [_Ring(source) for source in sources]
    async with _closing(sources):
        while True:
            several = sum(not ring.has_ended for ring in rings) > 1
            turn = [await ring.turn(keep=several) for ring in rings]
            records = [record for record in turn if record is not None]
            if len(records) < len(rings) or all(ring.has_ended for ring in rings):
                return
            yield tuple(itertools.chain.from_iterable(records))


class _Ring:
    """A source that begins again at its end."""

    def __init__(self, source: Records) -> None:
        self.has_ended = False
        self._source = source
        self._read: list[Record] = []
        self._again: Iterator[Record] = iter(())

    async def turn(self, *, keep: bool) -> Record | None:
        """The next record, None where there is none at all. `keep`: it may be needed again."""
        if not self.has_ended:
            record = await anext(self._source, None)
            if record is not None:
                if keep:
                    self._read.append(record)
                return record
            self.has_ended = True
            self._again = itertools.cycle(self._read)
        return next(self._again, None)


async def joined(records: Records, count: int) -> Records:
    """So many at a time as one; of what is left at the end, fewer. With 0, for each an empty one."""
    arguments: list[str] = []
    number = 0
    async with aclosing(records):
        async for record in records:
            arguments += record if count else ()
            number += 1
            if number >= count:
                yield tuple(arguments)
                arguments, number = [], 0
    if number:
        yield tuple(arguments)


def _closing(sources: Sequence[Records]) -> AsyncExitStack:
    """Closes them all: of a generator that is dropped, asyncio would do that in a task of its own."""
    stack = AsyncExitStack()
    for source in sources:
        stack.push_async_callback(source.aclose)
    return stack
