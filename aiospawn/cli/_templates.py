"""The templates of a map: of its commands and of its tags.

With `--header` they depend on the sources' first records, so they are made when the first job is.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ._replace import Strings, Template
from ._selection import Header

if TYPE_CHECKING:
    import argparse

__all__ = ["Templates"]


class Templates:
    """Raises UsageError for the place of an argument that no job has, at once or, with a header, when it is used."""

    def __init__(self, options: argparse.Namespace, words: list[str], width: int | None) -> None:
        self.header = Header()
        self._options = options
        self._words = words
        self._width = width
        if not options.header:
            _ = self.command, self.tag

    def strings(self) -> Strings:
        return Strings(self.header.names, self._options.instead)

    @functools.cached_property
    def command(self) -> Template:
        options = self._options
        return Template(
            self._words, shell=options.shell, width=self._width, repeats=options.repeats, quotes=options.quote,
            strings=self.strings(),
        )  # fmt: skip

    @functools.cached_property
    def tag(self) -> Template | None:
        """What each line of a job begins with."""
        if self._options.tagstring is not None:
            text = [self._options.tagstring]
            return Template(text, shell=False, width=self._width, adds=False, strings=self.strings())
        return Template(["{}"], shell=False, width=self._width) if self._options.tag else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of a job, where they have some."""
        return self.header.columns
