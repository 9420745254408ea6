"""`aiospawn run`: one command, set up as asked, its exit status handed through."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import aiospawn

from . import _child, _pty, _restart, _sandbox_options, _sources, _status, _values
from ._errors import UsageError
from ._replace import shown
from ._suspension import SuspendableLoop, Suspension

if TYPE_CHECKING:
    import resource
    from types import TracebackType
    from typing import Self

__all__ = ["EXAMPLES", "add_options", "run"]

EXAMPLES = """\
  $ aiospawn run --timeout 10s -- sleep 0.1
  $ aiospawn run --rlimit cpu=10 --nice 5 --json usage.json -- gzip -k big.log
  $ aiospawn run --pty -- sh -c 'test -t 1 && stty size'
  $ aiospawn run --cwd / --clear-env --env LANG=C -- ls
  $ aiospawn run --sandbox --sandbox-write . -- gzip -k big.log
  $ aiospawn run --dry-run --sandbox-hide --sandbox-read big.log -- wc -l big.log
  $ aiospawn run --restart on-failure --restart-sec 1s -- test -e big.log
"""
_FORWARDED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
_OF_TERMINAL = (signal.SIGINT, signal.SIGQUIT)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `aiospawn run` takes."""
    parser.usage = "%(prog)s [OPTION ...] [--] COMMAND [ARGUMENT ...]"
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND [ARGUMENT ...]", help="what to run")
    add = parser.add_argument
    add("--timeout", type=_values.duration, metavar="TIME",
        help="stop it after so many seconds, or with s, m, h, d; the exit status is 124")  # fmt: skip
    add("--grace", type=_values.duration, default=5.0, metavar="TIME",
        help="from SIGTERM to SIGKILL when it is stopped (default: %(default)s)")  # fmt: skip
    add("--pty", action="store_true", help="it has a terminal of its own, and you are in front of it")
    add("--json", metavar="FILE", help="write status, times and resource use to FILE, - is standard error")
    add("--dry-run", action="store_true", help="print the command, and what its sandbox allows, instead of running it")
    _restart.add_options(parser.add_argument_group("keeping it running, in the words of systemd.service(5)"))
    _child.add_options(parser)


def run(options: argparse.Namespace) -> int:
    """The command's exit status, as a shell has it; 124 where it was stopped, 125 to 127 where it never ran."""
    command = _sources.words(options.command)
    if not command:
        raise UsageError("COMMAND is missing")
    _restart.refuse_strays(options)
    if options.dry_run:
        if options.json is not None:
            raise UsageError("--json reports on a command that has run: not with --dry-run")
        print(*_sandbox_options.explained(options), shown(command), sep="\n")
        return 0
    with ExitStack() as stack:
        report = _opened(options.json, stack) if options.json is not None else None
        with asyncio.Runner(loop_factory=SuspendableLoop) as runner, Suspension(runner.get_loop()):
            outcome: Outcome | _restart.Kept
            if options.pty:
                outcome = runner.run(_on_terminal(command, options))
            elif options.restart is None:
                outcome = runner.run(_outcome(command, options))
            else:
                outcome = runner.run(_restart.kept_running(command, options))
        if outcome.error is not None:
            print(f"aiospawn run: {outcome.error}", file=sys.stderr)
        if report is not None:
            json.dump(_as_json(command, outcome), report, indent=2)
            report.write("\n")
    return outcome.status


def _opened(path: str, stack: ExitStack) -> IO[str]:
    if path == "-":
        return sys.stderr
    try:
        return stack.enter_context(open(path, "w", encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--json: {error}") from None


# ---- the command ------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """The result of the command."""

    started: float
    """Seconds since the epoch."""
    elapsed: float
    """Seconds."""
    process: aiospawn.Process | None = None
    error: OSError | None = None
    """Why it could not be launched."""
    timed_out: bool = False

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    @property
    def returncode(self) -> int | None:
        return None if self.process is None else self.process.returncode

    @property
    def rusage(self) -> resource.struct_rusage | None:
        return None if self.process is None else self.process.rusage

    @property
    def status(self) -> int:
        if self.process is None:
            assert self.error is not None
            return _status.of_error(self.error)
        assert self.returncode is not None
        return _status.TIMED_OUT if self.timed_out else _status.of_returncode(self.returncode)


async def _on_terminal(command: list[str], options: argparse.Namespace) -> Outcome:
    """With `--pty`. Its terminal is not ours, whose signals it gets as characters."""
    started, clock = time.time(), time.perf_counter()
    with _Forwarding(in_our_group=False, group=True) as forwarding:
        try:
            async with _pty.session(command, options, _child.of_run(options)) as session:
                forwarding.begin(session.process)
                timed_out = not await _pty.conversed(session, options.timeout)
        except OSError as error:
            return Outcome(started, time.perf_counter() - clock, error=error)
        except (LookupError, NotImplementedError, ValueError) as error:
            raise UsageError(str(error.args[0])) from None
    return Outcome(started, time.perf_counter() - clock, session.process, timed_out=timed_out)


async def _outcome(command: list[str], options: argparse.Namespace) -> Outcome:
    keywords = _child.of_run(options)
    in_our_group = os.isatty(0)  # only the foreground group may read from the terminal
    if not in_our_group and not options.new_session:
        keywords["process_group"] = 0
    started, clock = time.time(), time.perf_counter()
    timed_out = False
    with _Forwarding(in_our_group=in_our_group, group=not in_our_group or options.new_session) as forwarding:
        try:
            process = await aiospawn.create_subprocess_exec(*command, **keywords)
        except OSError as error:
            return Outcome(started, time.perf_counter() - clock, error=error)
        except (LookupError, NotImplementedError, ValueError) as error:  # an unknown user, an option not to be had here
            raise UsageError(str(error.args[0])) from None
        forwarding.begin(process)
        try:
            await asyncio.wait_for(process.wait(), options.timeout)
        except TimeoutError:
            timed_out = process.returncode is None
            await process.stop(options.grace)
    return Outcome(started, time.perf_counter() - clock, process, timed_out=timed_out)


class _Forwarding:
    """Signals that end a process are the command's while it runs; it decides what comes of them.

    What the terminal sends (SIGINT, SIGQUIT) a command in our own process group has got already.
    """

    def __init__(self, *, in_our_group: bool, group: bool) -> None:
        self._in_our_group = in_our_group
        self._group = group
        self._process: aiospawn.Process | None = None
        self._early: list[int] = []
        self._loop = asyncio.get_running_loop()
        self._handled = [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]

    def __enter__(self) -> Self:
        for number in self._handled:
            self._loop.add_signal_handler(number, self._forward, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in self._handled:
            self._loop.remove_signal_handler(number)

    def begin(self, process: aiospawn.Process) -> None:
        """The command runs."""
        self._process = process
        for number in self._early:
            self._forward(number)

    def _forward(self, number: int) -> None:
        if self._process is None:
            self._early.append(number)
        elif not (self._in_our_group and number in _OF_TERMINAL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                self._process.send_signal(number, group=self._group)


# ---- the report -------------------------------------------------------------------------------------------------------


def _as_json(command: list[str], outcome: Outcome | _restart.Kept) -> dict[str, Any]:
    report = {
        "command": command,
        "pid": outcome.pid,
        "status": outcome.status,
        "returncode": outcome.returncode,
        "signal": _name(outcome.returncode),
        "error": None if outcome.error is None else str(outcome.error),
        "started": outcome.started,
        "elapsed_s": outcome.elapsed,
        "rusage": None if outcome.rusage is None else _usage(outcome.rusage),
    }
    if isinstance(outcome, Outcome):
        limit = None if outcome.process is None else outcome.process.limit
        return report | {"timed_out": outcome.timed_out, "limit": limit}
    return report | {"restarts": outcome.restarts, "result": outcome.result}


def _name(returncode: int | None) -> str | None:
    return signal.Signals(-returncode).name if returncode is not None and returncode < 0 else None


def _usage(usage: resource.struct_rusage) -> dict[str, float]:
    """By the names of getrusage(2), `ru_maxrss` in KiB."""
    return {name: getattr(usage, name) for name in dir(usage) if name.startswith("ru_")}
