"""When a command that has ended is started again: systemd's rules, without any process.

They are those of systemd.service(5) and systemd.unit(5). A result says why a run ended ($SERVICE_RESULT in systemd.exec(5)),
a policy which results are followed by another run:

    Restart=      success  exit-code  signal, core-dump  timeout  watchdog
    no
    on-success       x
    on-failure                 x              x              x        x
    on-abnormal                               x              x        x
    on-watchdog                                                       x
    on-abort                                  x
    always           x         x              x              x        x

"resources" is a launch that failed; it counts as "exit-code", as in systemd, where the child has exited with 203.
"""

from __future__ import annotations

import math
import random
import signal
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from aiospawn._options.kernel_names import signal_number
from aiospawn._options.values import number, seconds, whole

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Backoff", "Restart", "Result", "Rules", "StartLimit", "rules"]

Restart: TypeAlias = Literal["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"]
Result: TypeAlias = Literal["success", "exit-code", "signal", "core-dump", "timeout", "watchdog", "resources"]

_FOLLOWED: dict[str, frozenset[str]] = {
    "no": frozenset(),
    "on-success": frozenset({"success"}),
    "on-failure": frozenset({"exit-code", "resources", "signal", "core-dump", "timeout", "watchdog"}),
    "on-abnormal": frozenset({"signal", "core-dump", "timeout", "watchdog"}),
    "on-watchdog": frozenset({"watchdog"}),
    "on-abort": frozenset({"signal", "core-dump"}),
    "always": frozenset(get_args(Result)),
}
_CLEAN_SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE})
_CORE_SIGNALS = frozenset(
    {signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV}
    | {signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS}
)


class Rules(NamedTuple):
    """Which ends of a command are followed by another run."""

    restart: str
    success: frozenset[int]
    """Return codes that are successes beside 0 and the clean signals; of a signal the negative number."""
    prevent: frozenset[int]
    force: frozenset[int]

    def result(self, returncode: int) -> Result:
        """Of a command that has ended by itself."""
        if returncode in self.success or returncode == 0 or -returncode in _CLEAN_SIGNALS:
            return "success"
        if returncode > 0:
            return "exit-code"
        return "core-dump" if -returncode in _CORE_SIGNALS else "signal"

    def restarts(self, result: Result, returncode: int | None) -> bool:
        if returncode in self.prevent:
            return False
        return returncode in self.force or result in _FOLLOWED[self.restart]


def rules(restart: Any, success: Any, prevent: Any, force: Any) -> Rules:
    """Raises TypeError and ValueError by the names of `supervise`'s arguments."""
    if restart not in _FOLLOWED:
        raise ValueError(f"restart must be one of {', '.join(map(repr, _FOLLOWED))}, got {restart!r}")
    return Rules(
        restart,
        _returncodes("success_exit_status", success),
        _returncodes("restart_prevent_exit_status", prevent),
        _returncodes("restart_force_exit_status", force),
    )


def _returncodes(name: str, value: Collection[int | str]) -> frozenset[int]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a collection of return codes, got {value!r}")
    return frozenset(-signal_number(name, code) if isinstance(code, str) else number(name, code, -64, 255) for code in value)


class Backoff:
    """How long to wait before the next run."""

    def __init__(self, first: Any, steps: Any, longest: Any, jitter: Any) -> None:
        """`first` and `longest` in seconds; the delay grows from the one to the other in so many steps.

        Raises TypeError and ValueError by the names of `supervise`'s arguments.
        """
        self._first = _finite("restart_sec", first)
        self._steps = whole("restart_steps", steps)
        if self._steps < 0:
            raise ValueError(f"restart_steps must be 0 or more, got {steps!r}")
        self._longest = self._first if longest is None else _finite("restart_max_delay_sec", longest)
        if (longest is not None) != (self._steps > 0):
            raise ValueError(f"restart_steps={steps!r} and restart_max_delay_sec={longest!r}: each needs the other")
        if self._longest < self._first:
            raise ValueError(f"restart_max_delay_sec={longest!r} is below restart_sec={first!r}")
        if not isinstance(jitter, (int, float)) or isinstance(jitter, bool):
            raise TypeError(f"restart_jitter must be a number, got {jitter!r}")
        if not 0 <= jitter <= 1:
            raise ValueError(f"restart_jitter must be between 0 and 1, got {jitter!r}")
        self._jitter = float(jitter)

    @property
    def longest(self) -> float:
        return self._longest * (1 + self._jitter)

    def delay(self, restarts: int) -> float:
        """Before this restart, counted from 1: a geometric series, as RestartSteps= has it, and a random share on top."""
        delay = self._first
        if self._steps:
            done = min(restarts - 1, self._steps) / self._steps
            # A geometric series that begins with 0 would stay there.
            delay = self._first * (self._longest / self._first) ** done if self._first else self._longest * done
        return delay * (1 + random.uniform(0, self._jitter))  # noqa: S311 - so that many do not come back at once


class StartLimit:
    """At most so many starts within an interval of seconds; an interval or a number of 0 is no limit."""

    def __init__(self, interval: Any, burst: Any) -> None:
        """Raises TypeError and ValueError by the names of `supervise`'s arguments."""
        self.interval = seconds("start_limit_interval_sec", interval) or 0.0
        self.burst = number("start_limit_burst", burst, 0, 2**31 - 1)
        self._starts: deque[float] = deque(maxlen=self.burst or 1)

    def allows(self, now: float) -> bool:
        """Notes a start at this time, if it is one more than may be it is False."""
        if self.interval and self.burst and len(self._starts) == self.burst and now - self._starts[0] < self.interval:
            return False
        self._starts.append(now)
        return True


def _finite(name: str, value: Any) -> float:
    given = seconds(name, value)
    assert given is not None
    if math.isinf(given):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return given
