"""`supervise`: a command that is started again when it ends, by systemd's rules."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from aiospawn._options.kernel_names import signal_number
from aiospawn._options.keywords import Args
from aiospawn._options.names import of_function, renamed
from aiospawn._options.options import DEFAULTS
from aiospawn._options.values import callback, number, seconds
from aiospawn._termination.terminate import outlasted

from .command import command, refuse_terminal, repeatable
from .events import observer
from .health_check import health
from .keywords import SuperviseKeywords
from .observed_process import observed
from .restart import Backoff, Restart, Result, StartLimit, rules

if TYPE_CHECKING:
    from aiospawn._asyncio.process import Process

    from .command import CheckedCommand
    from .events import Observer
    from .health_check import Health
    from .restart import Rules

__all__ = ["StartLimitHit", "Supervised", "Supervision", "supervise", "supervision"]

_PIPE = asyncio.subprocess.PIPE
_SURROUNDINGS = frozenset({"cwd", "env", "user", "group", "extra_groups"})  # that a health check has as its command has them


@dataclass(frozen=True, slots=True)
class Supervised:
    """The result of a supervised command, which is not started again.

    Attributes:
        args: The command.
        returncode: That of its last run.
        result: Why that ended, in systemd's words (`$SERVICE_RESULT`, systemd.exec(5)).
        restarts: How many times it was started again.
    """

    args: Any
    returncode: int
    result: Result
    restarts: int


class StartLimitHit(subprocess.SubprocessError):
    """A supervised command ended too often: one more start would have been above the start limit.

    Attributes:
        cmd: The command.
        returncode: That of its last run; None where that could not be launched: then `__cause__` is the OSError.
        result: Why the last run ended, in systemd's words.
        burst: So many starts were allowed within `interval`.
        interval: In seconds.
    """

    def __init__(self, cmd: Any, returncode: int | None, result: Result, burst: int, interval: float) -> None:
        super().__init__(cmd, returncode, result, burst, interval)
        self.cmd = cmd
        self.returncode = returncode
        self.result = result
        self.burst = burst
        self.interval = interval

    def __str__(self) -> str:
        ended = "could not be launched" if self.returncode is None else f"ended with {self.returncode} ({self.result})"
        return f"Command {self.cmd!r} {ended}, and was started {self.burst} times within {self.interval:g} s already"


class _End(NamedTuple):
    """Of one run."""

    returncode: int | None
    result: Result
    error: OSError | subprocess.SubprocessError | None = None


class Supervision(NamedTuple):
    """A command and the rules by which it is kept running. Made by `supervision`, run once."""

    command: CheckedCommand
    streams: dict[str, Any]
    rules: Rules
    backoff: Backoff
    limit: StartLimit
    health: Health | None
    runtime_max: float | None
    stop_signal: int
    grace: float
    on_event: Any
    event_arguments: bool

    async def run(self) -> Supervised:
        loop = asyncio.get_running_loop()
        restarts = in_a_row = 0
        end = _End(None, "resources")
        while True:
            began = loop.time()
            if not self.limit.allows(began):
                raise self._too_often(end) from end.error
            watcher = observer(self.on_event, self.command.shown, arguments=self.event_arguments)
            end = await self._once(watcher)
            if not self.rules.restarts(end.result, end.returncode):
                if end.error is not None:
                    raise end.error
                assert end.returncode is not None
                return Supervised(self.command.shown, end.returncode, end.result, restarts)
            if loop.time() - began > max(self.limit.interval, self.backoff.longest):
                in_a_row = 0
            restarts += 1
            in_a_row += 1
            delay = self.backoff.delay(in_a_row)
            if watcher is not None:
                watcher.restarting(end.result, restarts, delay)
            await asyncio.sleep(delay)

    async def _once(self, watcher: Observer | None) -> _End:
        try:
            process, cancelled = await self._launched(watcher)
        except (OSError, subprocess.SubprocessError) as error:
            return _End(None, "resources", error)
        try:
            if cancelled is not None:
                raise cancelled
            cause = await self._cause(process, watcher)
        finally:  # what the command has left of its process group as well, as systemd's KillMode=control-group
            try:
                await process.end(self.grace, sys.exception(), signal=self.stop_signal)
            finally:
                if watcher is not None and process.returncode is not None:
                    watcher.exited(process.returncode, process.rusage)
        assert process.returncode is not None
        return _End(process.returncode, cause or self.rules.result(process.returncode))

    async def _launched(self, watcher: Observer | None) -> tuple[Process, asyncio.CancelledError | None]:
        """A cancellation would kill a program that the loop does not know to run yet: it has `grace` seconds for that.

        A second one kills it.
        """
        loop = asyncio.get_running_loop()
        launching = loop.create_task(observed(watcher, self.command, **self.streams))
        timers: list[asyncio.TimerHandle] = []

        def cancel() -> None:
            if timers:
                launching.cancel()
            timers.append(loop.call_later(self.grace, launching.cancel))

        try:
            cancelled = await outlasted([launching], cancel)
        except GeneratorExit:
            if not loop.is_closed():
                launching.cancel()
            raise
        finally:
            for timer in timers:
                timer.cancel()
        if cancelled is not None and (launching.cancelled() or launching.exception() is not None):
            raise cancelled
        return launching.result(), cancelled

    async def _cause(self, process: Process, watcher: Observer | None) -> Result | None:
        """Waits until it has ended, or is to be stopped: then why."""

        def report(failures: int, error: Exception | None) -> None:
            if watcher is not None:
                watcher.unhealthy(failures, error)

        exited = asyncio.ensure_future(process.wait())
        waiting: list[asyncio.Future[Any]] = [exited]
        if self.health is not None:
            waiting.append(asyncio.ensure_future(self.health.lost(process, report)))
        try:
            done, _ = await asyncio.wait(waiting, timeout=self.runtime_max, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        if len(waiting) > 1 and not waiting[1].done():
            await asyncio.wait(waiting[1:])  # a check that is a command is being killed
        if exited in done:
            return None
        return "watchdog" if done else "timeout"

    def _too_often(self, end: _End) -> StartLimitHit:
        return StartLimitHit(self.command.shown, end.returncode, end.result, self.limit.burst, self.limit.interval)


def supervision(
    args: Any,
    *,
    restart: Restart = "on-failure",
    restart_sec: float = 0.1,
    restart_steps: int = 0,
    restart_max_delay_sec: float | None = None,
    restart_jitter: float = 0.1,
    start_limit_interval_sec: float = 10.0,
    start_limit_burst: int = 5,
    success_exit_status: Any = (),
    restart_prevent_exit_status: Any = (),
    restart_force_exit_status: Any = (),
    runtime_max_sec: float | None = None,
    health_check: Any = None,
    health_interval: float = 30.0,
    health_timeout: float = 30.0,
    health_retries: int = 3,
    health_start_period: float = 0.0,
    stop_signal: int | str = signal.SIGTERM,
    grace: float = 5.0,
    shell: bool = False,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    on_event: Any = None,
    event_arguments: bool = False,
    **options: Any,
) -> Supervision:
    """Checks all of it. Raises TypeError and ValueError."""
    streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    for name, value in streams.items():
        if value == _PIPE:
            raise ValueError(f"{name}={value!r} (PIPE): a pipe would belong to one run of the command, and nobody reads it")
    refuse_terminal(options)
    options = repeatable(options)
    seconds("grace", grace)
    callback("on_event", on_event)
    surroundings = {name: value for name, value in options.items() if name in _SURROUNDINGS}
    try:
        checked = command(args, shell=shell, stdin=stdin, keywords=options)
    except TypeError as error:
        raise renamed(error, "supervise", (*of_function(supervision), *DEFAULTS._fields)) from None
    return Supervision(
        checked,
        streams,
        rules(restart, success_exit_status, restart_prevent_exit_status, restart_force_exit_status),
        Backoff(restart_sec, restart_steps, restart_max_delay_sec, restart_jitter),
        StartLimit(start_limit_interval_sec, start_limit_burst),
        health(health_check, health_interval, health_timeout, health_retries, health_start_period, surroundings),
        seconds("runtime_max_sec", runtime_max_sec, optional=True),
        number("stop_signal", signal_number("stop_signal", stop_signal), 1, 64),
        grace,
        on_event,
        event_arguments,
    )


async def supervise(args: Args, *, shell: bool = False, **keywords: Unpack[SuperviseKeywords]) -> Supervised:
    """Keeps a command running: runs it, and again when it has ended, as systemd does with a service.

    The words and their defaults are systemd's (systemd.service(5), systemd.unit(5)), and Docker's for health checks; times
    are in seconds. Cancel it to stop the command: `stop_signal` to its process group, SIGKILL after `grace`.

    Args:
        args: What `run` takes: a list of arguments, or a str with `shell=True`.
        shell: The command is for `/bin/sh -c`.
        **keywords: The following, and the options of a launch (docs/options.md) but `pty`.

    Keywords:
        restart: "no", "on-success", "on-failure" (the default), "on-abnormal", "on-watchdog", "on-abort" or "always". Clean
            ends are status 0, SIGHUP, SIGINT, SIGTERM and SIGPIPE. A launch that fails is a failure.
        restart_sec: Seconds before each restart: 0.1.
        restart_steps: In so many restarts the delay grows geometrically from `restart_sec` to `restart_max_delay_sec`; 0: it
        does
            not grow. It begins anew after a run that was longer than that and than `start_limit_interval_sec`.
        restart_max_delay_sec: See `restart_steps`.
        restart_jitter: Up to this share of the delay is added at random: 0.1.
        start_limit_interval_sec: At most `start_limit_burst` starts within so many seconds: 10; 0: no limit.
        start_limit_burst: See there: 5.
        success_exit_status: Further return codes that are successes; -9, "KILL" or "SIGKILL" is a signal's.
        restart_prevent_exit_status: Return codes after which it is never restarted.
        restart_force_exit_status: Return codes after which it is always restarted.
        runtime_max_sec: Seconds after which a run is stopped, with the result "timeout". None: no limit.
        health_check: A command (a list of arguments; 0 is healthy), or a function, which may be a coroutine function, that
            is called with the Process; healthy unless it returns False or raises. When it has failed `health_retries` times
            in a row, the run is stopped with the result "watchdog". None: there is none.
        health_interval: Seconds between two checks: 30.
        health_timeout: Seconds for each check: 30.
        health_retries: See `health_check`: 3.
        health_start_period: Seconds after the start within which failures do not count: 0.
        stop_signal: By number or by name ("INT", "SIGINT"): SIGTERM.
        grace: Seconds after `stop_signal` until SIGKILL to what is left of the process group: 5.
        stdin: As that of `run`, but PIPE; the same for each run. So `stdout` and `stderr`.
        on_event: As that of `run`, for each run, and with `Restarting` and `Unhealthy`.
        event_arguments: As that of `run`.

    Returns:
        A `Supervised`, when the command is not to be restarted.

    Raises:
        StartLimitHit: It would have to be started too often.
        OSError: It could not be launched, and is not to be tried again.
        TypeError: A bad argument, before anything is created.
        ValueError: Likewise.
    """
    return await supervision(args, shell=shell, **keywords).run()
