r"""The job log: a line for each job that has ended, in GNU parallel's format, by which a map can be resumed.

Columns, with a tab between: Seq Host Starttime JobRuntime Send Receive Exitval Signal Command. A newline in a command is
written as NUL, as GNU parallel does. A line is one write to a file opened for appending: a map that is killed leaves whole
lines, or at worst one without its end, which is cut off when the log is resumed. The job counts as not run then.
"""

from __future__ import annotations

import fcntl
import os
import re
from typing import NamedTuple

from ._errors import UsageError

__all__ = ["HEADER", "TIMED_OUT", "Job", "JobLog"]

HEADER = b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
TIMED_OUT = -1  # the exit value of a job that its time limit ended
_NO_SEPARATORS = bytes.maketrans(b"\t\n", b"  ")
_LINE = re.compile(rb"([1-9][0-9]*)\t[^\t]*\t *[0-9.]+\t *[0-9.]+\t[0-9]+\t[0-9]+\t(-?[0-9]+)\t([0-9]+)\t(.*)", re.DOTALL)


class Job(NamedTuple):
    """A job that has ended."""

    number: int
    """From 1, the place of its argument."""
    command: str
    started: float
    """Seconds since the epoch."""
    elapsed: float
    """Seconds."""
    received: int
    """Bytes of standard output."""
    exit_value: int
    signal: int
    sent: int = 0
    """Bytes of standard input, with `--pipe`."""
    host: str = ":"
    """The machine that ran it, with `--cluster`; a colon is for this one."""

    @property
    def ok(self) -> bool:
        return not self.exit_value and not self.signal

    def line(self) -> bytes:
        """With its newline."""
        host = os.fsencode(self.host).translate(_NO_SEPARATORS)
        numbers = f"{self.started:.3f}\t{self.elapsed:10.3f}\t{self.sent}\t{self.received}\t{self.exit_value}\t{self.signal}"
        return b"%d\t%b\t%b\t%b\n" % (self.number, host, numbers.encode(), _command(self.command))


def _command(command: str) -> bytes:
    return os.fsencode(command).replace(b"\n", b"\0")


class JobLog:
    """The file, open and locked: two maps that wrote one log would each resume the other's jobs."""

    def __init__(self, path: str, *, resume: bool, retry_failed: bool = False) -> None:
        """Opens the log, anew or to go on with it; where its name begins with +, lines are added to what it has.

        `retry_failed`: jobs that failed are not done.

        Raises UsageError for a file that cannot be written, is another map's, or is no job log.
        """
        adds, self._path = path.startswith("+"), path.removeprefix("+")
        self._done: dict[int, bytes] = {}
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UsageError(f"--joblog: {error}") from None
        try:
            self._lock()
            if resume:
                self._read(retry_failed=retry_failed)
            elif not adds or not os.fstat(self._descriptor).st_size:
                self._truncate(0)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"--joblog: {self._path!r} is being written by another map") from None

    def _truncate(self, size: int) -> None:
        """To whole lines, with a header."""
        try:
            os.ftruncate(self._descriptor, size)
        except OSError:  # a pipe or a device
            if size:
                raise
        if not size:
            self._write(HEADER)

    def _read(self, *, retry_failed: bool) -> None:
        with open(self._descriptor, "rb", closefd=False) as file:
            size = 0
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                if number == 1:
                    if line != HEADER:
                        raise UsageError(f"--joblog: {self._path!r} is no job log: its first line is not the header")
                else:
                    self._note(number, line[:-1], retry_failed=retry_failed)
                size += len(line)
        if not size and os.fstat(self._descriptor).st_size and not HEADER.startswith(line):
            raise UsageError(f"--joblog: {self._path!r} is no job log: its first line is not the header")
        self._truncate(size)

    def _note(self, number: int, line: bytes, *, retry_failed: bool) -> None:
        match = _LINE.fullmatch(line)
        if match is None:
            raise UsageError(f"--joblog: {self._path!r} is damaged: line {number} is no job: {line[:200]!r}")
        failed = int(match[2]) or int(match[3])
        if not (retry_failed and failed):
            self._done[int(match[1])] = match[4]

    def is_done(self, number: int, command: str | None) -> bool:
        """Whether the log has this job. `command` is None where it may be another one each time, by the slot in it.

        Raises UsageError if the log has another command under the number.
        """
        logged = self._done.pop(number, None)
        if logged is None:
            return False
        if command is not None and logged != _command(command):
            then = os.fsdecode(logged)
            raise UsageError(
                f"--joblog: {self._path!r} is of another map: job {number} was {then!r}, and now is {command!r}"
            )
        return True

    def add(self, job: Job) -> None:
        """Appends its line, in one write. Raises OSError."""
        self._write(job.line())

    def _write(self, line: bytes) -> None:
        written = os.write(self._descriptor, line)
        if written != len(line):  # the file system is full: say so by the rest of the line
            os.write(self._descriptor, line[written:])

    def close(self) -> None:
        os.close(self._descriptor)
