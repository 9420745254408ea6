"""Replacement strings: a command with `{}` and the like, and the commands that come of it.

GNU parallel's: `{}` the argument, `{.}` without extension, `{/}` its last part, `{//}` its directory, `{/.}` its last part
without extension, `{#}` the job's number, `{%}` its slot. A job with several arguments has all of them in `{}`, and the
second in `{2}`, `{2.}`, `{2/}`, `{2//}`, `{2/.}`; `{-1}` is the last.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Template", "shown"]

_Field: TypeAlias = Callable[[tuple[str, ...], int, int], list[str]]
"""From a job's arguments, number and slot: what a replacement string is replaced by."""

_EXTENSION = re.compile(r"\.[^/.]*\Z")


def _without_extension(argument: str) -> str:
    return _EXTENSION.sub("", argument)


def _last_part(argument: str) -> str:
    return argument.rpartition("/")[2]


def _directory(argument: str) -> str:
    """As `dirname` has it: `.` where there is none, and slashes at the end do not count."""
    directory, slash, _ = argument.rstrip("/").rpartition("/")
    if not slash:
        return "/" if argument.startswith("/") else "."
    return directory.rstrip("/") or "/"


_CHANGES: dict[str, Callable[[str], str]] = {
    "": lambda argument: argument,
    ".": _without_extension,
    "/": _last_part,
    "//": _directory,
    "/.": lambda argument: _without_extension(_last_part(argument)),
}
_STRING = re.compile(r"\{(?:(-?[1-9][0-9]{,8})?(|\.|/|//|/\.)|([#%]))\}")


class Template:
    """A command with replacement strings.

    Without one, the arguments are added at the end. Without any word, the arguments are commands themselves. With `shell`,
    the words are one text for `/bin/sh`, and what is replaced is quoted, so that the shell takes each argument for one word.
    Without it, there is no shell, and nothing to quote: the words are the program's arguments, of which each is replaced in
    its place. There a word that is `{}` becomes a word for each argument; in a longer one, spaces are between them. Of an
    argument that a job has not, nothing is left.
    """

    def __init__(self, words: Sequence[str], *, shell: bool, width: int | None = 1, adds: bool = True) -> None:
        """`width`: how many arguments a job has at most, where that is known. `adds`: those that are nowhere in it.

        Raises UsageError for the place of an argument that no job has.
        """
        found = [match for word in words for match in _STRING.finditer(word)]
        for match in found:
            if match[1] and width is not None and abs(int(match[1])) > width:
                raise UsageError(f"{match[0]}: a job has {width or 'no'} argument{'' if width == 1 else 's'}")
        if adds and words and not found and width != 0:
            words = [*words, "{}"]
        self.has_slot = any(match[3] == "%" for match in found)
        """Whether a command depends on the slot it is run in."""
        self._shell = shell
        self._words = [_parts(word) for word in ([" ".join(words)] if words and shell else words)]

    def command(self, arguments: tuple[str, ...], number: int, slot: int = 1) -> list[str] | str:
        """Of one job, whose number begins with 1: what `aiospawn.run` takes.

        Raises ValueError for arguments that are themselves a command and cannot be split into words.
        """
        if not self._words:
            line = " ".join(arguments)
            return line if self._shell else _split(line)
        job = arguments, number, slot
        if self._shell:
            return self._text(self._words[0], job)
        words: list[str] = []
        for parts in self._words:
            if len(parts) == 1 and not isinstance(parts[0], str):
                words += parts[0](*job)
            else:
                words.append(self._text(parts, job))
        return words

    def _text(self, parts: list[str | _Field], job: tuple[tuple[str, ...], int, int]) -> str:
        texts = []
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
            else:
                values = part(*job)
                texts.append(" ".join(map(shlex.quote, values) if self._shell else values))
        return "".join(texts)


def _parts(word: str) -> list[str | _Field]:
    """Texts and what stands between them."""
    parts: list[str | _Field] = []
    end = 0
    for match in _STRING.finditer(word):
        if match.start() > end:
            parts.append(word[end : match.start()])
        parts.append(_field(match))
        end = match.end()
    if end < len(word):
        parts.append(word[end:])
    return parts


def _field(string: re.Match[str]) -> _Field:
    place, kind, counter = string.groups()
    if counter == "#":
        return lambda _arguments, number, _slot: [str(number)]
    if counter == "%":
        return lambda _arguments, _number, slot: [str(slot)]
    change = _CHANGES[kind]
    if place is None:
        return lambda arguments, _number, _slot: [change(argument) for argument in arguments]
    index = int(place) - (not place.startswith("-"))
    return lambda arguments, _number, _slot: [change(arguments[index])] if -len(arguments) <= index < len(arguments) else []


def _split(line: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValueError(f"{error} in the command {line!r}") from None
    if not words:
        raise ValueError(f"an empty command: {line!r}")
    return words


def shown(command: list[str] | str) -> str:
    """The command as one would type it."""
    return command if isinstance(command, str) else shlex.join(command)
