"""`aiospawn run --restart`: a command that is kept running, in systemd's words."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import aiospawn

from . import _child, _status, _values
from ._errors import UsageError

if TYPE_CHECKING:
    import resource
    from types import TracebackType
    from typing import Self

__all__ = ["Kept", "add_options", "kept_running", "refuse_strays"]

_STOPPING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
_RULES = ("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always")


def add_options(group: argparse._ArgumentGroup) -> None:
    """What decides when the command is started again."""
    add = group.add_argument
    add("--restart", choices=_RULES, metavar="WHEN", help=f"run it again when it has ended: {', '.join(_RULES)}")
    duration, number = _values.duration, _values.whole
    of_restart: list[tuple[str, Any, str, str]] = [
        ("--restart-sec", duration, "TIME", "before each restart (default: 0.1)"),
        ("--restart-steps", number, "N", "the delay grows in so many restarts ..."),
        ("--restart-max-delay-sec", duration, "TIME", "... to this"),
        ("--restart-jitter", _share, "SHARE", "so much of the delay, 0 to 1, is added at random at most (default: 0.1)"),
        ("--start-limit-interval-sec", duration, "TIME", "no more than ... (default: 10)"),
        ("--start-limit-burst", number, "N", "... so many starts within that, 0 for no limit (default: 5)"),
        ("--runtime-max-sec", duration, "TIME", "stop a run that takes longer, and restart it as the rule says"),
        ("--health-cmd", str, "COMMAND", "a shell's command that is run again and again; when it fails, restart"),
        ("--health-interval", duration, "TIME", "between two checks (default: 30)"),
        ("--health-timeout", duration, "TIME", "for each (default: 30)"),
        ("--health-retries", _values.above_zero, "N", "so many in a row have to fail (default: 3)"),
        ("--health-start-period", duration, "TIME", "failures at the start that do not count (default: 0)"),
        ("--stop-signal", _signal, "SIGNAL", "what asks the command to end (default: SIGTERM)"),
    ]
    for name, kind, metavar, text in of_restart:
        add(name, type=kind, metavar=metavar, help=text)


_NAMES = (
    *("restart_sec", "restart_steps", "restart_max_delay_sec", "restart_jitter", "start_limit_interval_sec"),
    *("start_limit_burst", "runtime_max_sec", "health_cmd", "health_interval", "health_timeout", "health_retries"),
    *("health_start_period", "stop_signal"),
)


def refuse_strays(options: argparse.Namespace) -> None:
    """Raises UsageError for an option of a restart without `--restart`."""
    for name in _NAMES:
        if options.restart is None and getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} needs --restart")
    for name in ("timeout", "pty"):
        if options.restart is not None and getattr(options, name):
            instead = "; --runtime-max-sec is for each run" if name == "timeout" else ""
            raise UsageError(f"--{name} and --restart do not go together{instead}")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return share


def _signal(text: str) -> int:
    """A number, or a name with or without SIG."""
    if text.isascii() and text.isdigit() and 0 < int(text) <= 64:
        return int(text)
    name = text.upper()
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except KeyError:
        raise argparse.ArgumentTypeError(f"must be a signal's name or number, as SIGINT, INT or 2, not {text!r}") from None


# ---- the command ------------------------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """The last result of the command."""

    started: float
    """Seconds since the epoch."""
    elapsed: float
    """Seconds, all runs and delays together."""
    restarts: int
    result: str
    pid: int | None = None
    """Of the last run, as are the following."""
    returncode: int | None = None
    rusage: resource.struct_rusage | None = None
    error: Exception | None = None
    """Why there is no other run, where that is not for the policy's sake."""

    @property
    def status(self) -> int:
        if self.returncode is not None:
            return _status.of_returncode(self.returncode)
        error = self.error.__cause__ if isinstance(self.error, aiospawn.StartLimitHit) else self.error
        return _status.of_error(error) if isinstance(error, Exception) else 128 + signal.SIGTERM


class _Watch:
    """Reports on standard error what happens, and keeps what the report needs."""

    def __init__(self, command: list[str]) -> None:
        self._shown = shlex.join(command)
        self.restarts = 0
        self.result = "success"
        self.last: aiospawn.Exited | None = None

    def __call__(self, event: aiospawn.ProcessEvent) -> None:
        match event:
            case aiospawn.Exited():
                self.last = event
            case aiospawn.LaunchFailed():
                self.last = None
                self._say(f"{event.error}")
            case aiospawn.Unhealthy():
                reason = "" if event.error is None else f": {event.error}"
                self._say(f"health check failed, {event.failures} in a row{reason}")
            case aiospawn.Restarting():
                self.restarts, self.result = event.restarts, event.result
                self._say(f"{self._ended(event)}; restart {event.restarts} in {event.delay:.3g} s")

    def _ended(self, event: aiospawn.Restarting) -> str:
        if self.last is None:
            return "not launched"
        code = self.last.returncode
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code} ({event.result})"

    def _say(self, text: str) -> None:
        print(f"aiospawn run: {self._shown}: {text}", file=sys.stderr)


async def kept_running(command: list[str], options: argparse.Namespace) -> Kept:
    """Runs it until it is not to be restarted, or a signal ends all. Raises UsageError."""
    watch = _Watch(command)
    given = {name: value for name in _NAMES if (value := getattr(options, name)) is not None}
    if "health_cmd" in given:
        given["health_check"] = ["/bin/sh", "-c", given.pop("health_cmd")]
    keywords = _child.of_run(options) | given
    started, clock = time.time(), time.perf_counter()
    error: Exception | None = None
    result = "success"
    with _Stopping():
        try:
            done = await aiospawn.supervise(
                command, restart=options.restart, grace=options.grace, on_event=watch, **keywords
            )
            result = done.result
        except (aiospawn.StartLimitHit, OSError) as exc:
            error, result = exc, "start-limit-hit" if isinstance(exc, aiospawn.StartLimitHit) else "resources"
        except asyncio.CancelledError:
            pass
        except (LookupError, NotImplementedError, TypeError, ValueError, subprocess.SubprocessError) as exc:
            raise UsageError(str(exc.args[0])) from None
    last = watch.last
    kept = Kept(started, time.perf_counter() - clock, watch.restarts, result, error=error)
    return kept if last is None else kept._replace(pid=last.pid, returncode=last.returncode, rusage=last.rusage)


class _Stopping:
    """A signal that ends programs ends the command, as `systemctl stop` does; a second one kills it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._handled = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]

    def __enter__(self) -> Self:
        assert self._task is not None
        for number in self._handled:
            self._loop.add_signal_handler(number, self._task.cancel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in self._handled:
            self._loop.remove_signal_handler(number)
