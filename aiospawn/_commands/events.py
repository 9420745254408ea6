"""What is reported of a child to an observer: small events, for logs, metrics and traces."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import subprocess  # noqa: TC003 - typing.get_type_hints(LaunchFailed) looks for it here
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from aiospawn._binding.indivisible import in_one, mark
from aiospawn._options.values import callback

if TYPE_CHECKING:
    from collections.abc import Callable

with contextlib.suppress(ImportError):  # not on Windows
    import resource  # noqa: TC003 - typing.get_type_hints(Exited) looks for it here

__all__ = [
    "Executed",
    "Exited",
    "LaunchFailed",
    "Observer",
    "ProcessEvent",
    "Restarting",
    "Spawned",
    "Unhealthy",
    "observer",
]

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Spawned:
    """A child was made, by clone3(2) or as far as the kernel has it clone(2).

    Attributes:
        launch: The number of the launch in this process: process ids are used again, this is not. All events of the launch
            have it.
        pid: The child's process id.
        time: When the event loop took notice of it, in seconds as of `time.monotonic()`.
        args: The command, where `event_arguments` asked for it, which may contain secrets; otherwise None.
    """

    launch: int
    pid: int
    time: float
    args: Any = None


@dataclass(frozen=True, slots=True)
class Executed:
    """The child's program is running: its `execve` has succeeded.

    Attributes:
        launch: As that of Spawned.
        pid: As that of Spawned.
        time: As that of Spawned, in seconds.
    """

    launch: int
    pid: int
    time: float


@dataclass(frozen=True, slots=True)
class Exited:
    """The child has ended and is reaped.

    Attributes:
        launch: As that of Spawned.
        pid: As that of Spawned.
        time: As that of Spawned, in seconds.
        returncode: As `subprocess.Popen.returncode`: negative for a signal.
        rusage: The resource use as of getrusage(2); None as that of `CompletedProcess`.
    """

    launch: int
    pid: int
    time: float
    returncode: int
    rusage: resource.struct_rusage | None


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """The child's program could not be run.

    Attributes:
        launch: As that of Spawned.
        pid: The child's process id; 0 where no child was made.
        time: As that of Spawned, in seconds.
        error: What is raised to the caller; a SubprocessError where `preexec_fn` raised.
    """

    launch: int
    pid: int
    time: float
    error: OSError | subprocess.SubprocessError


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """A health check of a supervised command has failed.

    Attributes:
        launch: As that of Spawned.
        pid: As that of Spawned.
        time: As that of Spawned, in seconds.
        failures: How many times in a row, counted after the start period.
        error: What the check raised; None where it returned False or its command failed.
    """

    launch: int
    pid: int
    time: float
    failures: int
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Restarting:
    """A supervised command has ended and is to be started again.

    Attributes:
        launch: As that of Spawned, of the run that has ended.
        pid: As that of Spawned, of the run that has ended.
        time: As that of Spawned, in seconds.
        result: Why it ended, in systemd's words: success, exit-code, signal, core-dump, timeout, watchdog, resources.
        restarts: How many restarts there were, this one counted.
        delay: Seconds until it is started.
    """

    launch: int
    pid: int
    time: float
    result: str
    restarts: int
    delay: float


ProcessEvent: TypeAlias = Spawned | Executed | Exited | LaunchFailed | Unhealthy | Restarting


class Observer:
    """One launch, reported to a callback. What the callback raises is for the event loop's exception handler."""

    __slots__ = ("_args", "_callback", "_launch", "_pid", "is_over")

    def __init__(self, callback: Callable[[ProcessEvent], object], args: Any) -> None:
        self._callback = callback
        self._args = args
        self._launch = next(_numbers)
        self._pid = 0
        self.is_over = False
        """Was the end reported, as an exit or as a failure? It is reported once, however often it is called."""

    def spawned(self, pid: int) -> None:
        self._pid = pid
        self._report(Spawned(self._launch, pid, time.monotonic(), self._args))

    def executed(self, reported: Callable[[], object] = bool) -> None:
        """`reported` is called with the callback, in one: for a caller that is called again after an interruption."""
        self._report(Executed(self._launch, self._pid, time.monotonic()), reported)

    def exited(self, returncode: int, rusage: resource.struct_rusage | None) -> None:
        self._report_end(Exited(self._launch, self._pid, time.monotonic(), returncode, rusage))

    def failed(self, error: Any) -> None:
        self._report_end(LaunchFailed(self._launch, self._pid, time.monotonic(), error))

    def _report_end(self, event: ProcessEvent) -> None:
        if not self.is_over:
            self._report(event, mark(self, "is_over", value=True))

    def unhealthy(self, failures: int, error: Exception | None) -> None:
        self._report(Unhealthy(self._launch, self._pid, time.monotonic(), failures, error))

    def restarting(self, result: str, restarts: int, delay: float) -> None:
        self._report(Restarting(self._launch, self._pid, time.monotonic(), result, restarts, delay))

    def _report(self, event: ProcessEvent, reported: Callable[[], object] = bool) -> None:
        try:
            in_one(reported, functools.partial(self._callback, event))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - CancelledError too: an observer does not affect the launch
            asyncio.get_running_loop().call_exception_handler({"message": f"on_event failed at {event!r}", "exception": exc})


def observer(on_event: Callable[[ProcessEvent], object] | None, args: Any, *, arguments: bool) -> Observer | None:
    """For one launch of these arguments; None where nobody observes. Raises TypeError for what would not be called."""
    if on_event is None:
        return None
    return Observer(callback("on_event", on_event), args if arguments else None)
