"""Several sources of arguments: how the command line names them, and the records that come of them."""

from __future__ import annotations

import asyncio
import itertools
import re
import weakref
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiospawn.cli._combinations import Record, Records, columns, combined, joined, recycled
from aiospawn.cli._errors import UsageError
from aiospawn.cli._selection import trimmed
from aiospawn.cli._sources import File, opened, split

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SEPARATORS = {":::", ":::+", "::::", "::::+"}
arguments = st.text(st.sampled_from("ab :"), max_size=4).filter(lambda word: word not in SEPARATORS)
sources = st.lists(arguments, max_size=4)
groups = st.lists(st.lists(sources, min_size=1, max_size=3), min_size=1, max_size=4)


async def each(records: Iterable[Record]) -> Records:
    for record in records:
        yield record


def singles(source: Iterable[str]) -> Records:
    return each((argument,) for argument in source)


def collected(records: Records) -> list[Record]:
    async def collect() -> list[Record]:
        found = [record async for record in records]
        assert len(asyncio.all_tasks()) == 1  # no generator was dropped that was not at its end
        return found

    return asyncio.run(collect())


# ---- the command line -------------------------------------------------------------------------------------------------


@given(st.lists(arguments), groups)
def test_split(command: list[str], named: list[list[list[str]]]) -> None:
    """Each `:::` begins a source, each `:::+` one that is linked."""
    words = [*command]
    for group in named:
        for source, separator in zip(group, itertools.chain([":::"], itertools.repeat(":::+")), strict=False):
            words += [separator, *source]
    assert split(words) == (command, named)


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        ("", []), (":::", [[[]]]), (":::: f g", [["f"], ["g"]]), ("::: a ::::+ f g", [[["a"], "f", "g"]]),
        (":::: f g :::+ a ::: b", [["f"], ["g", ["a"]], [["b"]]]), (":::: - ::: ::::: ::+", [["-"], [[":::::", "::+"]]]),
    ],
)  # fmt: skip
def test_files(words: str, groups: list[list[list[str] | str]]) -> None:
    """Behind `::::` each word is a file, and a source."""
    command, found = split(["echo", "x", *words.split()])
    assert command == ["echo", "x"]
    assert [[each.name if isinstance(each, File) else each for each in group] for group in found] == groups


@pytest.mark.parametrize("words", [":::: ::: a", "::: a ::::", "::: a ::::+", ":::+ a", "::::+ a", ":::+ a ::: b"])
def test_separator_without_sense(words: str) -> None:
    """Nothing to read, nothing to link to."""
    with pytest.raises(UsageError, match=re.escape(max(SEPARATORS & {*words.split()}, key=len))):
        split(words.split())


def test_opened(tmp_path: Path) -> None:
    """A file is open until the stack is closed, however far it was read."""
    (tmp_path / "f").write_bytes(b"a b\n\nc\0d\ne")
    for nul, expected in ((False, ["a b", "", "c\0d", "e"]), (True, ["a b\n\nc", "d\ne"])):
        with ExitStack() as stack:
            assert collected(opened(File("-a", str(tmp_path / "f")), stack, delimiter=b"\n\0"[nul : nul + 1])) == [
                (each,) for each in expected
            ]
    with ExitStack() as stack:
        opened(File("-a", str(tmp_path / "f")), stack, delimiter=b"\n")
        with pytest.raises(UsageError, match=f":::: {tmp_path}: Is a directory"):
            opened(File("::::", str(tmp_path)), stack, delimiter=b"\n")
        with pytest.raises(UsageError, match=f"-a {tmp_path}/x: No such file or directory"):
            opened(File("-a", f"{tmp_path}/x"), stack, delimiter=b"\n")


# ---- records ----------------------------------------------------------------------------------------------------------


def flat(records: Iterable[Record]) -> Record:
    return tuple(itertools.chain.from_iterable(records))


@given(groups)
def test_combined(named: list[list[list[str]]]) -> None:
    """The groups' product, of each the sources side by side."""
    expected = [flat(record) for record in itertools.product(*(zip(*group, strict=False) for group in named))]
    assert collected(combined([[singles(source) for source in group] for group in named])) == expected


@given(st.lists(sources, min_size=1, max_size=4))
def test_recycled(named: list[list[str]]) -> None:
    """As many as the longest has; of a source that is empty nothing can be recycled."""
    count = max(map(len, named)) if all(named) else 0
    expected = [tuple(source[number % len(source)] for source in named) for number in range(count)]
    assert collected(recycled([singles(source) for source in named])) == expected


@given(st.lists(st.lists(arguments, min_size=1, max_size=3).map(tuple), max_size=9), st.integers(1, 4))
def test_joined(records: list[Record], count: int) -> None:
    """So many at a time, fewer at the end."""
    expected = [flat(records[start : start + count]) for start in range(0, len(records), count)]
    assert collected(joined(each(records), count)) == expected
    assert collected(joined(each(records), 0)) == [()] * len(records)


@given(st.lists(st.lists(st.text(st.sampled_from("ab"), max_size=3), min_size=1, max_size=3), max_size=9))
def test_columns(rows: list[list[str]]) -> None:
    """What was joined is split again, without space around it."""
    lines = [" , ".join(row) for row in rows]
    assert collected(trimmed(columns(singles(lines), re.compile(",")), "lr")) == [tuple(row) for row in rows]


def test_column_that_did_not_match() -> None:
    """A part of the separator that matched nothing is an empty column, as in GNU parallel."""
    assert collected(columns(singles(["a,b;c"]), re.compile(",|(;)"))) == [("a", "", "b", ";", "c")]


# ---- as far as is asked for -------------------------------------------------------------------------------------------


class Argument(str):
    """One that can be counted."""

    __slots__ = ("__weakref__",)


class Endless:
    """Arguments without end, how many were read of them, and which are still in memory."""

    def __init__(self) -> None:
        self.read = 0
        self.alive: weakref.WeakSet[Argument] = weakref.WeakSet()

    async def records(self) -> Records:
        while True:
            self.read += 1
            argument = Argument(self.read)
            self.alive.add(argument)
            yield (argument,)
            del argument


def after(count: int, records: Records, source: Endless) -> tuple[int, int]:
    """What was read of the source, and how much of it is in memory, when there were so many records."""

    async def look() -> tuple[int, int]:
        async with aclosing(records):
            for _ in range(count):
                await anext(records)
            return source.read, len(source.alive)

    return asyncio.run(look())


def test_a_source_is_read_as_it_is_needed() -> None:
    """Nothing ahead, and what was used is forgotten."""
    source = Endless()
    assert after(500, combined([[source.records()]]), source) == (500, 1)
    source = Endless()
    assert after(500, joined(source.records(), 3), source)[0] == 1500
    source = Endless()
    assert after(500, columns(source.records(), re.compile(",")), source)[0] == 500


def test_first_of_several_is_not_kept() -> None:
    """Only those are whose arguments come again; side by side, none is."""
    source = Endless()
    assert after(500, combined([[source.records()], [singles("ab")], [singles("cde")]]), source) == (84, 1)
    for place in (0, 1):
        both = Endless(), Endless()
        assert after(500, combined([[source.records() for source in both]]), both[place]) == (500, 1)


def test_last_of_several_is_read_as_it_comes() -> None:
    """The first round of it needs no end."""
    source = Endless()
    assert after(500, combined([[singles("ab")], [source.records()]]), source)[0] == 500


def test_recycled_keeps_the_shorter_ones() -> None:
    """The last one that has not ended is not kept."""
    source = Endless()
    records = recycled([source.records(), singles("ab"), singles("abc")])
    assert after(500, records, source) == (500, 5)  # this one, and four that were read before the others had ended


def test_nothing_to_combine_with() -> None:
    """An endless source beside an empty one is at its end."""
    source = Endless()
    assert collected(combined([[source.records()], [singles("")]])) == []
    assert collected(combined([[source.records(), singles("")]])) == []
    assert collected(recycled([source.records(), singles("")])) == []
