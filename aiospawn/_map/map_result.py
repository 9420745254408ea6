"""What a map yields, and what it calls functions of the caller's with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from aiospawn._commands.keywords import StreamName
from aiospawn._commands.results import CompletedProcess, signal_of

# str, bytes, or None where nothing is captured; without a word about it, Any (PEP 696, from CPython 3.13 on)
if TYPE_CHECKING:
    import signal

    from typing_extensions import TypeVar

    Output = TypeVar("Output", default=Any)
else:
    from typing import TypeVar

    Output = TypeVar("Output")

__all__ = ["MapLine", "MapProgress", "MapResult", "Output"]


class MapResult(NamedTuple, Generic[Output]):
    """The result of one command.

    Attributes:
        number: The command's, from 0.
        command: As the source gave it.
        completed: What `run` returned; None where it raised.
        error: What `run` raised: OSError where the command could not be launched, `subprocess.TimeoutExpired`, ...; else
        None.
        attempts: How many times it was run: more than 1 with `retries`.
        started: When the last attempt began, in seconds since the epoch.
        elapsed: How long it took, in seconds.
        host: The machine that ran it, with `cluster`; None: this one.
        worker: The address of its worker, with `cluster`.
    """

    number: int
    command: Any
    completed: CompletedProcess[Output] | None
    error: Exception | None
    attempts: int
    started: float
    elapsed: float
    host: str | None = None
    worker: str | None = None

    @property
    def tag(self) -> Any:
        """The tag of its `Command`; None of other commands."""
        return getattr(self.command, "tag", None)

    @property
    def ok(self) -> bool:
        """Whether it ended with return code 0."""
        return self.completed is not None and self.completed.returncode == 0

    @property
    def returncode(self) -> int | None:
        """As `subprocess.CompletedProcess.returncode`; None where it could not be launched, or was stopped by a time-out."""
        return None if self.completed is None else self.completed.returncode

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended it, as `CompletedProcess.signal`."""
        return signal_of(self.returncode)

    @property
    def stdout(self) -> Output | Any:
        """The output, if it was captured; of a command that was stopped, what had come until then."""
        return getattr(self.error if self.completed is None else self.completed, "stdout", None)

    @property
    def stderr(self) -> Output | Any:
        """As `stdout`."""
        return getattr(self.error if self.completed is None else self.completed, "stderr", None)


class MapLine(NamedTuple):
    """A line of the output of a command that is still running.

    Attributes:
        number: The command's, from 0.
        command: As the source gave it.
        stream: "stdout" or "stderr".
        line: With its newline, which the last one of a stream may lack: bytes, or str in text mode.
    """

    number: int
    command: Any
    stream: StreamName
    line: Any

    @property
    def tag(self) -> Any:
        """The tag of its `Command`; None of other commands."""
        return getattr(self.command, "tag", None)


class MapProgress(NamedTuple):
    """How far a map has got.

    Attributes:
        started: How many commands were launched.
        finished: How many of them have ended.
        failed: How many of those have failed, or could not be launched.
        total: How many commands there are; None where it is not known.
    """

    started: int
    finished: int
    failed: int
    total: int | None
