"""When a map ends before its commands do: GNU parallel's halt rules (https://www.gnu.org/software/parallel/man.html)."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Halt"]

_RULE = re.compile(r"(now|soon),(fail|success|done)=([0-9]+)(%?)", re.ASCII)
_SHORT = {"0": "never", "1": "soon,fail=1", "2": "now,fail=1", "-1": "soon,success=1", "-2": "now,success=1"}


class Halt(NamedTuple):
    """A rule by which a map ends early: when so many jobs have failed, succeeded or are done, none is started any more.

    Attributes:
        when: "now": what is running is stopped. "soon": it may finish.
        why: "fail", "success" or "done": which jobs are counted.
        amount: How many; 1 or more.
        percent: Whether `amount` is a percentage of all jobs.
    """

    when: str
    """`"now"`: what runs is stopped. `"soon"`: it may finish."""
    why: str
    """`"fail"`, `"success"` or `"done"`: which jobs are counted."""
    amount: int
    percent: bool = False

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.when},{self.why}={self.amount}{'%' if self.percent else ''}"

    @classmethod
    def parse(cls, text: str) -> Halt | None:
        """Reads a rule as GNU parallel writes it: `now,fail=1`, `soon,done=10%`.

        Args:
            text: The rule, `never`, or a short form: 0 is `never`, 1 `soon,fail=1`, 2 `now,fail=1`, -1 and -2 the same with
                `success`, and `N%` is `soon,fail=N%`. Source: `--halt` in
                https://www.gnu.org/software/parallel/parallel.html

        Returns:
            The rule; None for `never`.

        Raises:
            ValueError: Anything else.
        """
        rule = _SHORT.get(text, text)
        if rule == "never":
            return None
        if re.fullmatch(r"[0-9]+%", rule, re.ASCII):
            rule = f"soon,fail={rule}"
        match = _RULE.fullmatch(rule)
        if match is None or not int(match[3]) or (match[4] and int(match[3]) > 100):
            raise ValueError(
                "halt must be never, or now or soon, a comma, and fail, success or done with =N (1 or more) or =N% "
                f"(1 to 100), as in now,fail=1; got {text!r}"
            )
        return cls(match[1], match[2], int(match[3]), bool(match[4]))

    def is_reached(self, succeeded: int, failed: int, total: int | None) -> bool:
        """Whether enough jobs have ended.

        Args:
            succeeded: How many have ended with return code 0.
            failed: How many have ended otherwise, or could not be launched.
            total: How many there are in all; needed for a percentage, None where it is not known.

        Returns:
            Whether the map is to launch no more.
        """
        counted = {"fail": failed, "success": succeeded, "done": succeeded + failed}[self.why]
        if not self.percent:
            return counted >= self.amount
        assert total is not None
        return counted * 100 >= self.amount * total
