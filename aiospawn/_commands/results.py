"""What `run` and the like return, and raise."""

from __future__ import annotations

import codecs
import locale
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiospawn._binding import library

from .failures import CalledProcessError, last_lines

if TYPE_CHECKING:
    import resource

    from aiospawn._request.tree_cgroup import CgroupPeak

__all__ = ["CompletedProcess", "LineTooLong", "OutputLimitExceeded", "Text", "signal_of", "text_mode"]


_Output = TypeVar("_Output")  # str, bytes, or None where nothing was captured


class CompletedProcess(subprocess.CompletedProcess[_Output]):
    """A `subprocess.CompletedProcess` that knows more of its child.

    Attributes:
        pid: What its process id was.
        elapsed: Seconds from before the launch until its exit was seen.
        complete: False where its output was cut off, as a descendant held a pipe for `pipe_grace` seconds after the exit.
        tag: That of its `Command`; otherwise None.
        limit: The name of the limit of its `Sandbox` that ended it, as in `Limits`; otherwise None.
        cgroup_peak: The most that its tree had in a cgroup of its own (`init_cgroup`); otherwise None.
    """

    tag: Any = None

    def __init__(
        self,
        args: Any,
        returncode: int,
        stdout: Any = None,
        stderr: Any = None,
        *,
        pid: int,
        elapsed: float,
        usage: bytes | None = None,
        complete: bool = True,
        limit: str | None = None,
        cgroup_peak: CgroupPeak | None = None,
    ) -> None:
        self.args, self.returncode, self.stdout, self.stderr = args, returncode, stdout, stderr
        self.pid = pid
        self.elapsed = elapsed
        self.complete = complete
        self.limit = limit
        self._usage = usage
        self.cgroup_peak = cgroup_peak

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended it; None where it exited, and for a real-time signal, which has no name (signal(7))."""
        return signal_of(self.returncode)

    def check_returncode(self) -> None:
        """Raises subprocess.CalledProcessError unless it ended with return code 0."""
        if self.returncode:
            raise CalledProcessError(self.returncode, self.args, self.stdout, self.stderr, limit=self.limit)

    @property
    def rusage(self) -> resource.struct_rusage | Any:
        """The child's resource use as of getrusage(2); None if it was not launched natively, or another reaper took it."""
        return None if self._usage is None else library.rusage(self._usage)


def signal_of(returncode: int | None) -> signal.Signals | None:
    """By a return code of subprocess's."""
    try:
        return signal.Signals(-returncode) if returncode is not None and returncode < 0 else None
    except ValueError:
        return None


class OutputLimitExceeded(subprocess.SubprocessError):
    """A child wrote more than `max_output` bytes, and was stopped.

    Attributes:
        cmd: Its command.
        limit: The number of bytes.
        output: What came of standard output within the limit, bytes; None where nothing came.
        stderr: What came of standard error likewise.
    """

    def __init__(self, cmd: Any, limit: int, output: bytes | None = None, stderr: bytes | None = None) -> None:
        super().__init__(cmd, limit, output, stderr)
        self.cmd = cmd
        self.limit = limit
        self.output = output
        self.stderr = stderr

    def __str__(self) -> str:
        return f"Command {self.cmd!r} wrote more than max_output={self.limit} bytes{last_lines(self.stderr)}"

    @property
    def stdout(self) -> bytes | None:
        """The same as `output`, as in `subprocess.TimeoutExpired`."""
        return self.output


class LineTooLong(subprocess.SubprocessError):
    """A line of a command's output is longer than `max_line`, and the child was stopped.

    Attributes:
        cmd: The command.
        max_line: The most bytes that a line may have, or characters in text mode.
    """

    def __init__(self, cmd: Any, max_line: int) -> None:
        super().__init__(cmd, max_line)
        self.cmd = cmd
        self.max_line = max_line

    def __str__(self) -> str:
        return f"Command {self.cmd!r} wrote a line longer than max_line={self.max_line}"


class Text(NamedTuple):
    """How bytes become text, as in `subprocess`: every kind of line end becomes a newline."""

    encoding: str
    errors: str

    def decoded(self, data: bytes) -> str:
        return data.decode(self.encoding, self.errors).replace("\r\n", "\n").replace("\r", "\n")


def text_mode(text: Any, universal_newlines: Any, encoding: Any, errors: Any) -> Text | None:
    """How text is read and written, None where it is bytes.

    Raises subprocess.SubprocessError where `text` and `universal_newlines` contradict each other, TypeError for what is no
    name, LookupError for an unknown one.
    """
    if text is not None and universal_newlines is not None and bool(text) != bool(universal_newlines):
        raise subprocess.SubprocessError(
            f"text={text!r} and universal_newlines={universal_newlines!r} contradict each other: pass one of them"
        )
    if not (text or universal_newlines or encoding or errors):
        return None
    for name, value in (("encoding", encoding), ("errors", errors)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a str or None, got {value!r}")
    mode = Text(encoding or ("utf-8" if sys.flags.utf8_mode else locale.getencoding()), errors or "strict")
    codecs.lookup(mode.encoding)
    codecs.lookup_error(mode.errors)
    return mode
