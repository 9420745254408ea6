"""Where a map's arguments come from: the command line, files, standard input, read as far as jobs are started."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import sys
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from ._combinations import Records

__all__ = ["SEPARATORS", "STANDARD_INPUT", "File", "Source", "opened", "split", "words"]

SEPARATORS = frozenset({":::", ":::+", "::::", "::::+"})
_CHUNK = 64 * 1024


class File(NamedTuple):
    """A file of arguments, as the command line names it: `-` is standard input."""

    option: str
    """What stands before its name: `-a` or a separator."""
    name: str


Source: TypeAlias = "File | list[str]"
"""A list has the arguments themselves."""

STANDARD_INPUT = File("", "-")
"""Where nothing else is named."""


def words(remainder: Sequence[str]) -> list[str]:
    """What stands behind the options, without the `--` that ends them."""
    return list(remainder[1:] if remainder[:1] == ["--"] else remainder)


def split(given: list[str]) -> tuple[list[str], list[list[Source]]]:
    """The command, and the sources behind it, those that a `+` links in one group.

    Raises UsageError for a separator that has nothing to name or to be linked to.
    """
    places = [place for place, word in enumerate(given) if word in SEPARATORS]
    groups: list[list[Source]] = []
    for place, end in itertools.pairwise([*places, len(given)]):
        separator, named = given[place], given[place + 1 : end]
        of_files = separator.startswith("::::")
        if of_files and not named:
            raise UsageError(f"{separator} needs the name of a file")
        sources: list[Source] = [File(separator, name) for name in named] if of_files else [named]
        if not separator.endswith("+"):
            groups += ([source] for source in sources)
        elif groups:
            groups[-1] += sources
        else:
            raise UsageError(f"{separator} links to the ::: or :::: before it, and there is none")
    return given[: places[0]] if places else given, groups


def opened(source: Source, stack: ExitStack, *, nul: bool) -> Records:
    """Its arguments, each a record of one. A file's are its lines or, with `nul`, end with NUL; `stack` closes it.

    Raises UsageError for a file that cannot be read.
    """
    if isinstance(source, list):
        return _each(source)
    separator = b"\0" if nul else b"\n"
    if source.name == "-":
        if source is STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty():
            print("aiospawn map: reading arguments from the terminal, Ctrl-D ends them", file=sys.stderr)
        return _read(0, separator)
    try:
        descriptor = os.open(source.name, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{source.option} {source.name}: {error.strerror}") from None
    stack.callback(os.close, descriptor)
    if os.path.isdir(source.name):
        raise UsageError(f"{source.option} {source.name}: {os.strerror(errno.EISDIR)}")
    return _read(descriptor, separator)


async def _each(arguments: list[str]) -> Records:
    for argument in arguments:
        yield (argument,)


async def _read(descriptor: int, separator: bytes) -> Records:
    """Each as soon as it is there; the loop goes on meanwhile."""
    rest = b""
    while chunk := await _chunk(descriptor):
        *whole, rest = (rest + chunk).split(separator)
        for argument in whole:
            yield (os.fsdecode(argument),)
    if rest:
        yield (os.fsdecode(rest),)


async def _chunk(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(descriptor, _readable, ready)
    except PermissionError:  # epoll has no regular files: they are always ready
        return os.read(descriptor, _CHUNK)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)


def _readable(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
