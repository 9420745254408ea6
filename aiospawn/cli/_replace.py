"""Replacement strings: a command with `{}` and the like, and the commands that come of it.

GNU parallel's: `{}` the argument, `{.}` without extension, `{/}` its last part, `{//}` its directory, `{/.}` its last part
without extension, `{#}` the job's number.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Template", "shown"]

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


_STRINGS: dict[str, Callable[[str, int], str]] = {
    "{}": lambda argument, _: argument,
    "{.}": lambda argument, _: _without_extension(argument),
    "{/}": lambda argument, _: _last_part(argument),
    "{//}": lambda argument, _: _directory(argument),
    "{/.}": lambda argument, _: _without_extension(_last_part(argument)),
    "{#}": lambda _, number: str(number),
}
_ANY = re.compile("(" + "|".join(map(re.escape, _STRINGS)) + ")")


class Template:
    """A command with replacement strings.

    Without one, the argument is added at the end. Without any word, the arguments are commands themselves. With `shell`, the
    words are one text for `/bin/sh`, and what is replaced is quoted, so that the shell takes it for one word. Without it,
    there is no shell, and nothing to quote: the words are the program's arguments, of which each is replaced in its place.
    """

    def __init__(self, words: Sequence[str], *, shell: bool) -> None:
        self._shell = shell
        if words and not any(map(_ANY.search, words)):
            words = [*words, "{}"]
        # Texts at even places, replacement strings at odd ones.
        self._words = [_ANY.split(word) for word in ([" ".join(words)] if words and shell else words)]

    def command(self, argument: str, number: int) -> list[str] | str:
        """Of one job, whose number begins with 1: what `aiospawn.run` takes.

        Raises ValueError for an argument that is itself a command and cannot be split into words.
        """
        if not self._words:
            return argument if self._shell else _split(argument)
        filled = ["".join(self._filled(word, argument, number)) for word in self._words]
        return filled[0] if self._shell else filled

    def _filled(self, word: list[str], argument: str, number: int) -> list[str]:
        if len(word) == 1:
            return word
        parts = word.copy()
        for place in range(1, len(parts), 2):
            value = _STRINGS[parts[place]](argument, number)
            parts[place] = shlex.quote(value) if self._shell else value
        return parts


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
