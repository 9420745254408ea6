"""subprocess's exceptions, whose text shows the end of the child's standard error where that was captured."""

from __future__ import annotations

import subprocess
from typing import Any

__all__ = ["CalledProcessError", "TimeoutExpired", "last_lines"]

_MOST_LINES, _MOST_CHARACTERS = 10, 2000


def last_lines(stderr: bytes | str | None) -> str:
    """For the end of a text: a sentence, and the last lines, ten and 2,000 characters at most; empty if there are none.

    Control characters are escaped: what a child writes must not reach the terminal through an exception.
    """
    if not stderr:
        return ""
    end = stderr[-4 * _MOST_CHARACTERS :]  # bytes of a character
    text = end if isinstance(end, str) else end.decode("utf-8", "backslashreplace")
    lines = text.rstrip().split("\n")[-_MOST_LINES:]
    shown = "\n".join(_escaped(line.rstrip("\r")) for line in lines)[-_MOST_CHARACTERS:]
    return "\nIts standard error ended with:\n" + "\n".join(f"  {line}" for line in shown.split("\n")) if shown else ""


def _escaped(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() or each == "\t" else each.encode("unicode_escape").decode() for each in line)


class CalledProcessError(subprocess.CalledProcessError):
    """subprocess.CalledProcessError, with the last lines of `stderr` in its text.

    Attributes:
        limit: The name of the limit of its `Sandbox` that ended it, as in `Limits`; otherwise None.
    """

    def __init__(
        self, returncode: int, cmd: Any, output: Any = None, stderr: Any = None, *, limit: str | None = None
    ) -> None:
        super().__init__(returncode, cmd, output, stderr)
        self.limit = limit

    def __str__(self) -> str:
        ended = "" if self.limit is None else f"\nIt was ended by the limit {self.limit} of its sandbox."
        return super().__str__() + ended + last_lines(self.stderr)


class TimeoutExpired(subprocess.TimeoutExpired):
    """subprocess.TimeoutExpired, with the last lines of `stderr` in its text."""

    def __str__(self) -> str:
        return super().__str__() + last_lines(self.stderr)
