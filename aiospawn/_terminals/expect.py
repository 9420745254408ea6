"""What is waited for in the output of a terminal, and where it is: pexpect's rules.

Of several patterns the one counts whose match begins first; of those that begin at the same place the first in the list. A
match is sought each time that output has come, so that a pattern may match less than it would with more of the output.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, Generic, TypeAlias

__all__ = ["EndOfOutput", "ExpectTimeout", "Expected", "Search"]


class ExpectTimeout(TimeoutError):  # noqa: N818 - what pexpect's TIMEOUT is
    """What was expected of a terminal has not come in time. As a pattern, this class stands for the time-out."""


class EndOfOutput(EOFError):  # noqa: N818 - as EOFError
    """The output of a terminal has ended without what was expected. As a pattern, this class stands for the end."""


Expected: TypeAlias = AnyStr | re.Pattern[AnyStr] | type[EndOfOutput | ExpectTimeout]
_TOLD = 200  # characters of the output in the text of an exception


class Search(Generic[AnyStr]):
    """For the first of some patterns."""

    def __init__(self, patterns: Any, empty: AnyStr, *, exact: bool, ignore_case: bool = False) -> None:
        """`empty` is of the type of the output. Raises TypeError for what is no pattern of it, re.error for a bad one."""
        given = [*patterns] if isinstance(patterns, (list, tuple)) else [patterns]
        if not given:
            raise ValueError("expect() needs a pattern, got an empty list")
        self._kind: type[AnyStr] = type(empty)
        flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
        self.shown = given
        self._patterns: list[re.Pattern[AnyStr] | None] = [self._compiled(pattern, flags, exact=exact) for pattern in given]
        self._longest = max((len(pattern) for pattern in given if isinstance(pattern, (str, bytes))), default=0)
        self._exact = exact and all(isinstance(pattern, re.Pattern | None) for pattern in self._patterns)

    def _compiled(self, pattern: Any, flags: int, *, exact: bool) -> re.Pattern[AnyStr] | None:
        if isinstance(pattern, type) and issubclass(pattern, (EndOfOutput, ExpectTimeout)):
            return None
        if isinstance(pattern, re.Pattern) and not exact and isinstance(pattern.pattern, self._kind):
            return pattern
        if not isinstance(pattern, self._kind):
            wanted = f"a {self._kind.__name__}" + ("" if exact else " or a compiled pattern of it")
            raise TypeError(f"expect() needs {wanted}, EndOfOutput or ExpectTimeout, got {pattern!r}")
        return re.compile(re.escape(pattern) if exact else pattern, flags)

    def index_of(self, kind: type[EndOfOutput | ExpectTimeout]) -> int | None:
        """The place in the list of what stands for the end or the time-out."""
        return next((index for index, given in enumerate(self.shown) if given is kind), None)

    def find(self, output: AnyStr, new: int, window: int | None) -> tuple[int, re.Match[AnyStr]] | None:
        """The place of the pattern in the list, and its match.

        `new`: how many characters have come since the last look, of which no text that is looked for was a part as a whole.
        `window`: look at no more than so many at the end.
        """
        begin = 0 if window is None else max(0, len(output) - window)
        if self._exact:
            begin = max(begin, len(output) - new - self._longest)
        first: tuple[int, re.Match[AnyStr]] | None = None
        for index, pattern in enumerate(self._patterns):
            match = pattern and pattern.search(output, begin)
            if match and (first is None or match.start() < first[1].start()):
                first = index, match
        return first

    def failure(self, output: AnyStr, why: str) -> str:
        """For the text of an exception: what was looked for, and how the output ends."""
        wanted = ", ".join(
            pattern.__name__ if isinstance(pattern, type) else repr(getattr(pattern, "pattern", pattern))
            for pattern in self.shown
        )
        return f"{why}; expected {wanted}, the output ends with {output[-_TOLD:]!r}"


def first_line_end(output: AnyStr) -> int:
    """The place behind the first carriage return and newline, as a terminal ends lines; 0 where there is none."""
    end: Any = "\r\n" if isinstance(output, str) else b"\r\n"
    return output.find(end) + len(end) if end in output else 0
