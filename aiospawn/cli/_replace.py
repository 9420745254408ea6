"""Replacement strings: a command with `{}` and the like, and the commands that come of it.

GNU parallel's: `{}` the argument, `{.}` without extension, `{/}` its last part, `{//}` its directory, `{/.}` its last part
without extension, `{#}` the job's number, `{%}` its slot. A job with several arguments has all of them in `{}`, and the
second in `{2}`, `{2.}`, `{2/}`, `{2//}`, `{2/.}`; `{-1}` is the last.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Strings", "Template", "shown"]

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
_STANDARD = r"\{(?:(-?[1-9][0-9]{,8})?(|\.|/|//|/\.)|([#%]))\}"
_NAMED = r"\{([^{}\s]*?)(|\.|/|//|/\.)\}"


class Strings(NamedTuple):
    """Which strings are replaced, and by what."""

    names: Mapping[str, int] = {}
    """The places of columns that have names, from 0."""
    instead: Mapping[str, str] = {}
    """Strings that take the place of the standard ones, as with `-I`: `{",,": "{}"}`. `{1}` and the like go with `{}`."""

    def parts(self, word: str) -> list[str | Field]:
        """Texts and what stands between them."""
        parts: list[str | Field] = []
        end = 0
        for match in self._pattern().finditer(word):
            field = self._field(match[0])
            if field is None:
                continue
            if match.start() > end:
                parts.append(word[end : match.start()])
            parts.append(field)
            end = match.end()
        if end < len(word):
            parts.append(word[end:])
        return parts

    def _pattern(self) -> re.Pattern[str]:
        own = sorted(self.instead, key=len, reverse=True)
        patterns = [*map(re.escape, own), *(_placed(text) for text in own if _is_in_braces(text))]
        return re.compile("|".join([*patterns, re.sub(r"\((?!\?)", "(?:", f"{_STANDARD}|{_NAMED}")]))

    def _field(self, text: str) -> Field | None:
        standard = self._standard(text)
        match = re.fullmatch(_STANDARD, standard)
        if match is not None:
            place, kind, counter = match.groups()
            if standard == text and f"{{{kind or counter or ''}}}" in self.instead.values():
                return None
            index = None if place is None else int(place) - (not place.startswith("-"))
            return Field(text, kind or "", index, counter or "")
        named = re.fullmatch(_NAMED, text)
        if named is None or named[1] not in self.names:
            return None
        return Field(text, named[2], self.names[named[1]], "")

    def _standard(self, text: str) -> str:
        """What this one stands for, which may be itself: as `,,` for `{}`, and `{2x}` for `{2.}` where `{x}` is `{.}`."""
        for own, standard in self.instead.items():
            if text == own:
                return standard
            if _is_in_braces(own) and re.fullmatch(_placed(own), text):
                return text.removesuffix(own[1:]) + standard[1:]
        return text


def _is_in_braces(text: str) -> bool:
    return text.startswith("{") and text.endswith("}")


def _placed(text: str) -> str:
    """A pattern: it, with the place of an argument."""
    return rf"\{{-?[1-9][0-9]{{,8}}{re.escape(text[1:])}"


class Field(NamedTuple):
    """A replacement string."""

    text: str
    kind: str
    place: int | None
    """Of the argument, from 0 or negative; None for all of them."""
    counter: str
    """`#` or `%`, for the job's number or its slot."""
    is_quoted: bool = True
    """Whether the shell takes what it is replaced by for one word."""

    @property
    def takes_all(self) -> bool:
        return self.place is None and not self.counter

    def values(self, job: Job) -> list[str]:
        """What it is replaced by, in the job; nothing for an argument that there is not."""
        if self.counter:
            return [str(job.number if self.counter == "#" else job.slot)]
        if self.place is None:
            return [_CHANGES[self.kind](argument) for argument in job.arguments]
        there = -len(job.arguments) <= self.place < len(job.arguments)
        return [_CHANGES[self.kind](job.arguments[self.place])] if there else []


class Job(NamedTuple):
    """What a command is made for."""

    arguments: tuple[str, ...]
    number: int
    slot: int


class Template:
    """A command with replacement strings.

    Without one, the arguments are added at the end. Without any word, the arguments are commands themselves. With `shell`,
    the words are one text for a shell, and what is replaced is quoted, so that the shell takes each argument for one word;
    but for a string that the text begins with, where a command is to stand.
    Without it, there is no shell, and nothing to quote: the words are the program's arguments, of which each is replaced in
    its place. There a word that is `{}` becomes a word for each argument; in a longer one, spaces are between them, or
    with `repeats` the word is repeated for each. Of an argument that a job has not, nothing is left.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        shell: bool,
        width: int | None = 1,
        adds: bool = True,
        repeats: bool = False,
        quotes: bool = False,
        strings: Strings = Strings(),  # noqa: B008 - it is immutable
    ) -> None:
        """`width`: how many arguments a job has at most, where that is known. `adds`: those that are nowhere in it.

        `quotes`: the words too are quoted for the shell. Raises UsageError for the place of an argument that no job has.
        """
        split = [strings.parts(word) for word in words]
        fields = [part for parts in split for part in parts if isinstance(part, Field)]
        for field in fields:
            if field.place is not None and width is not None and not -width <= field.place < width:
                raise UsageError(f"{field.text}: a job has {width or 'no'} argument{'' if width == 1 else 's'}")
        if adds and words and not fields and width != 0:
            split.append([Field("{}", "", None, "")])
        self.has_slot = any(field.counter == "%" for field in fields)
        """Whether a command depends on the slot it is run in."""
        self._shell = shell
        self._repeats = repeats
        self._words = [_texts(parts, shlex.quote) for parts in split] if quotes and shell else split
        if shell and not quotes:  # a shell's words are not those of the command line
            self._words = _shell_words(split)
            if self._words and self._words[0] and isinstance(first := self._words[0][0], Field):
                self._words[0][0] = first._replace(is_quoted=False)
        self._around = None if shell else _around_all(self._words)

    def command(self, arguments: tuple[str, ...], number: int, slot: int = 1) -> list[str] | str:
        """Of one job, whose number begins with 1: what `aiospawn.run` takes.

        Raises ValueError for arguments that are themselves a command and cannot be split into words.
        """
        if self._around is not None:
            before, after = self._around
            return [*before, *arguments, *after]
        if not self._words:
            line = " ".join(arguments)
            return line if self._shell else _split(line)
        job = Job(arguments, number, slot)
        words = [word for parts in self._words for word in self._replaced(parts, job)]
        return " ".join(words) if self._shell else words

    def _replaced(self, parts: list[str | Field], job: Job) -> list[str]:
        if len(parts) == 1 and isinstance(parts[0], Field):
            words = parts[0].values(job)
            if not self._shell:
                return words
            return [self._joined(parts[0], words)]
        if self._repeats and any(isinstance(part, Field) and part.takes_all for part in parts):
            each = (job._replace(arguments=(argument,)) for argument in job.arguments)
            return [self._text(parts, one, job) for one in each]
        return [self._text(parts, job, job)]

    def _text(self, parts: list[str | Field], one: Job, job: Job) -> str:
        """`one`: the job as those strings have it that take all arguments."""
        texts = []
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
            else:
                texts.append(self._joined(part, part.values(one if part.takes_all else job)))
        return "".join(texts)

    def _joined(self, field: Field, values: list[str]) -> str:
        return " ".join(map(shlex.quote, values) if self._shell and field.is_quoted else values)


def _around_all(words: Sequence[Sequence[str | Field]]) -> tuple[list[str], list[str]] | None:
    """The words before and behind all arguments as they are; None of another template."""
    texts: list[str] = []
    place = None
    for parts in words:
        if all(isinstance(part, str) for part in parts):
            texts.append("".join(map(str, parts)))
        elif (
            place is None and len(parts) == 1 and isinstance(field := parts[0], Field) and field.takes_all and not field.kind
        ):
            place = len(texts)
        else:
            return None
    return None if place is None else (texts[:place], texts[place:])


def _texts(parts: list[str | Field], change: Callable[[str], str]) -> list[str | Field]:
    return [change(part) if isinstance(part, str) else part for part in parts]


def _shell_words(split: list[list[str | Field]]) -> list[list[str | Field]]:
    """What stands between single spaces of a shell's command: words, or pieces of a quoted one."""
    words: list[list[str | Field]] = []
    for parts in split:
        words.append([])
        for part in parts:
            if isinstance(part, str):
                first, *others = part.split(" ")
                words[-1] += [first] if first else []
                words += [[other] if other else [] for other in others]
            else:
                words[-1].append(part)
    return words


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
