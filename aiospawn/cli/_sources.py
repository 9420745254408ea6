"""Where a map's arguments come from: the command line, a file, or standard input, read as far as jobs are started."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["SEPARATOR", "Source", "opened", "split", "words"]

SEPARATOR = ":::"
_CHUNK = 64 * 1024


def words(remainder: Sequence[str]) -> list[str]:
    """What stands behind the options, without the `--` that ends them."""
    return list(remainder[1:] if remainder[:1] == ["--"] else remainder)


def split(given: list[str]) -> tuple[list[str], list[str] | None]:
    """The command, and the arguments behind `:::`; None where there is no `:::`."""
    if SEPARATOR not in given:
        return given, None
    place = given.index(SEPARATOR)
    arguments = given[place + 1 :]
    if SEPARATOR in arguments:
        raise UsageError(f"{SEPARATOR} twice: a map has one source of arguments")
    return given[:place], arguments


class Source(NamedTuple):
    """An open file that arguments are read from, one in a line, or ended by NUL."""

    descriptor: int
    separator: bytes

    async def arguments(self) -> AsyncIterator[str]:
        """Each as soon as it is there; the loop goes on meanwhile. Closes the file at the end."""
        try:
            rest = b""
            while chunk := await _read(self.descriptor):
                *whole, rest = (rest + chunk).split(self.separator)
                for argument in whole:
                    yield os.fsdecode(argument)
            if rest:
                yield os.fsdecode(rest)
        finally:
            if self.descriptor:
                os.close(self.descriptor)


def opened(file: str | None, *, nul: bool) -> Source:
    """The file, or standard input for None and `-`. Raises UsageError for one that cannot be read."""
    separator = b"\0" if nul else b"\n"
    if file is None or file == "-":
        if file is None and sys.stdin is not None and sys.stdin.isatty():
            print("aiospawn map: reading arguments from the terminal, Ctrl-D ends them", file=sys.stderr)
        return Source(0, separator)
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"-a: {error}") from None
    if os.path.isdir(file):
        os.close(descriptor)
        raise UsageError(f"-a: {file!r} is a directory")
    return Source(descriptor, separator)


async def _read(descriptor: int) -> bytes:
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
