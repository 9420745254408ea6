"""What is done to a source's arguments before they are combined, and to the records before they are jobs."""

from __future__ import annotations

import ast
import random
import re
from contextlib import aclosing
from typing import TYPE_CHECKING

from ._errors import UsageError
from ._replace import Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._combinations import Records
    from ._replace import Strings

__all__ = ["Header", "continued", "filtered", "not_empty", "shuffled", "trimmed", "until"]


class Header:
    """The names of the columns of all sources, of which each begins with a record of its own."""

    def __init__(self) -> None:
        self._names: list[tuple[str, ...]] = []

    def taken(self, records: Records) -> Records:
        """The source without it."""
        place = len(self._names)
        self._names.append(())
        return self._without(records, place)

    async def _without(self, records: Records, place: int) -> Records:
        async with aclosing(records):
            self._names[place] = await anext(records, ())
            async for record in records:
                yield record

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for names in self._names for name in names)

    @property
    def names(self) -> dict[str, int]:
        """The place of each; known when each source has given a record. Of two with one name the first counts."""
        places: dict[str, int] = {}
        for place, name in enumerate(self.columns):
            places.setdefault(name, place)
        return places


_SPACE = " \t\n\r\f\v"
"""ASCII's white space: to bytes that are no ASCII a space of another script means nothing."""


async def until(records: Records, end: str) -> Records:
    """Those before an argument that is this text."""
    async with aclosing(records):
        async for record in records:
            if record == (end,):
                return
            yield record


async def trimmed(records: Records, where: str) -> Records:
    """Without white space at the left, the right or both ends of each argument: `l`, `r`, `lr`."""
    strip = {"l": str.lstrip, "r": str.rstrip}.get(where, str.strip)
    async with aclosing(records):
        async for record in records:
            yield tuple(strip(argument, _SPACE) for argument in record)


async def continued(records: Records) -> Records:
    """Those that end with a blank go on in the next."""
    begun = ""
    async with aclosing(records):
        async for (argument,) in records:
            begun += argument
            if not argument.endswith((" ", "\t")):
                yield (begun,)
                begun = ""
    if begun:
        yield (begun,)


async def not_empty(records: Records) -> Records:
    """Without those that are only white space."""
    async with aclosing(records):
        async for record in records:
            if any(argument.strip(_SPACE) for argument in record):
                yield record


async def shuffled(records: Records) -> Records:
    """In another order each time; all are read first."""
    async with aclosing(records):
        every = [record async for record in records]
    random.shuffle(every)
    for record in every:
        yield record


async def filtered(records: Records, expression: str, strings: Callable[[], Strings]) -> Records:
    """Those of which a Python expression is true. What is replaced in it is a number where it can be one, else a str."""
    condition, number = None, 0
    async with aclosing(records):
        async for record in records:
            number += 1
            condition = condition or _Condition(expression, strings())
            if condition.holds(record, number):
                yield record


class _Condition:
    _BUILTINS = (
        "abs",
        "all",
        "any",
        "bool",
        "divmod",
        "float",
        "int",
        "len",
        "max",
        "min",
        "pow",
        "range",
        "round",
        "sorted",
    )

    def __init__(self, expression: str, strings: Strings) -> None:
        self._expression = expression
        self._template = Template([expression], shell=False, width=None, adds=False, strings=strings)

    def holds(self, record: tuple[str, ...], number: int) -> bool:
        """Raises UsageError for what is no expression, or raises."""
        text = "".join(self._template.command(tuple(map(_literal, record)), number))
        try:
            return bool(eval(compile(text, "--filter", "eval"), {"re": re}))  # noqa: S307 - the user's own
        except Exception as error:  # noqa: BLE001 - whatever it raises
            raise UsageError(f"--filter {self._expression!r}, for {' '.join(record)!r}: {error}") from None


def _literal(argument: str) -> str:
    """As Python has it: a number, or a string."""
    try:
        value = ast.literal_eval(argument.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    return argument.strip() if isinstance(value, (int, float)) else repr(argument)
