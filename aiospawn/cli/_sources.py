"""Where a map's arguments come from: the command line, files, standard input, read as far as jobs are started."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import select
import sys
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from ._combinations import Records

__all__ = ["STANDARD_INPUT", "File", "Source", "chunk", "descriptor", "opened", "split", "words"]

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


def split(given: list[str], of_arguments: str = ":::", of_files: str = "::::") -> tuple[list[str], list[list[Source]]]:
    """The command, and the sources behind it, those that a `+` links in one group. The separators may be other ones.

    Raises UsageError for a separator that has nothing to name or to be linked to.
    """
    separators = {of_arguments: False, f"{of_arguments}+": False, of_files: True, f"{of_files}+": True}
    places = [place for place, word in enumerate(given) if word in separators]
    groups: list[list[Source]] = []
    for place, end in itertools.pairwise([*places, len(given)]):
        separator, named = given[place], given[place + 1 : end]
        if separators[separator] and not named:
            raise UsageError(f"{separator} needs the name of a file")
        sources: list[Source] = [File(separator, name) for name in named] if separators[separator] else [named]
        if separator in (of_arguments, of_files):
            groups += ([source] for source in sources)
        elif groups:
            groups[-1] += sources
        else:
            raise UsageError(f"{separator} links to the {of_arguments} or {of_files} before it, and there is none")
    return given[: places[0]] if places else given, groups


def opened(source: Source, stack: ExitStack, *, delimiter: bytes) -> Records:
    """Its arguments, each a record of one. A file's end with the delimiter; `stack` closes it. Those of a list may, too.

    Raises UsageError for a file that cannot be read.
    """
    if isinstance(source, list):
        return _each(source, os.fsdecode(delimiter))
    return _read(descriptor(source, stack), delimiter)


def descriptor(source: File, stack: ExitStack) -> int:
    """Opens it; `stack` closes it. Raises UsageError for a file that cannot be read."""
    if source.name == "-":
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        if source is STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty():
            print("aiospawn map: reading arguments from the terminal, Ctrl-D ends them", file=sys.stderr)
        return 0
    try:
        opened = os.open(source.name, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{source.option} {source.name}: {error.strerror}") from None
    stack.callback(os.close, opened)
    if os.path.isdir(source.name):
        raise UsageError(f"{source.option} {source.name}: {os.strerror(errno.EISDIR)}")
    return opened


async def _each(arguments: list[str], delimiter: str) -> Records:
    for argument in arguments:
        if delimiter in ("\n", "\0"):  # which a word of the command line may have within
            yield (argument,)
        else:
            for part in argument.split(delimiter):
                yield (part,)


async def _read(descriptor: int, separator: bytes) -> Records:
    """Each as soon as it is there; the loop runs meanwhile."""
    rest = b""
    while more := await chunk(descriptor):
        *whole, rest = (rest + more).split(separator)
        for argument in _decoded(whole, separator):
            yield (argument,)
    if rest:
        yield (os.fsdecode(rest),)


def _decoded(arguments: list[bytes], separator: bytes) -> list[str]:
    if arguments and separator in (b"\n", b"\0"):  # which no character of any encoding has within
        return os.fsdecode(separator.join(arguments)).split(os.fsdecode(separator))
    return [os.fsdecode(argument) for argument in arguments]


async def chunk(descriptor: int, size: int = _CHUNK) -> bytes:
    """What is there, as soon as something is; empty at the end."""
    if select.select([descriptor], [], [], 0)[0]:
        return os.read(descriptor, size)
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _readable, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, size)


def _readable(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
