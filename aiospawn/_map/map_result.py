"""What a map yields, and what it calls functions of the caller's with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn._commands.keywords import StreamName
from aiospawn._commands.results import CompletedProcess, signal_of

if TYPE_CHECKING:
    import signal

__all__ = ["MapLine", "MapProgress", "MapResult"]


class MapResult(NamedTuple):
    """What became of one command."""

    number: int
    """The command's, from 0."""
    command: Any
    """As the source gave it."""
    completed: CompletedProcess[Any] | None
    """What `run` returned; None where it raised."""
    error: Exception | None
    """What `run` raised: OSError where the command could not be launched, `subprocess.TimeoutExpired`, ..."""
    attempts: int
    """How many times it was run: more than 1 with `retries`."""
    started: float
    """When the last attempt began: seconds since the epoch."""
    elapsed: float
    """How long it took, in seconds."""

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
        """As `subprocess.CompletedProcess.returncode`; None where it was not launched, or stopped by a time-out."""
        return None if self.completed is None else self.completed.returncode

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended it, as `CompletedProcess.signal`."""
        return signal_of(self.returncode)

    @property
    def stdout(self) -> Any:
        """The output, if it was captured; of a command that was stopped what had come until then."""
        return getattr(self.error if self.completed is None else self.completed, "stdout", None)

    @property
    def stderr(self) -> Any:
        """As `stdout`."""
        return getattr(self.error if self.completed is None else self.completed, "stderr", None)


class MapLine(NamedTuple):
    """A line of the output of a command that still runs."""

    number: int
    """The command's, from 0."""
    command: Any
    """As the source gave it."""
    stream: StreamName
    line: Any
    """With its newline, which the last one of a stream may lack: bytes, or str in text mode."""

    @property
    def tag(self) -> Any:
        """The tag of its `Command`; None of other commands."""
        return getattr(self.command, "tag", None)


class MapProgress(NamedTuple):
    """How far a map has got."""

    started: int
    finished: int
    failed: int
    total: int | None
    """How many commands there are, where that is known."""
