"""What came of a command, as an agent reports it and a map reads it."""

from __future__ import annotations

import copyreg
import io
import pickle
import subprocess
import time
from typing import TYPE_CHECKING, Any

from aiospawn._commands.results import CompletedProcess
from aiospawn._map.map_result import MapResult

if TYPE_CHECKING:
    from .job import Job

__all__ = ["failed", "packed", "portable", "result_of", "size_of"]


def packed(result: MapResult) -> tuple[Any, ...]:
    """Attempts, start, seconds, what came of it, error: plain values, since thousands are sent together.

    What came of it is the return code, both outputs, the pid, seconds, the resource use, whether the output is complete, and
    the limit that ended it; None where `run` raised. The error is pickled.
    """
    completed = result.completed
    if completed is None:
        return (result.attempts, result.started, result.elapsed, None, _pickled(result.error))
    ended = (
        completed.returncode, completed.stdout, completed.stderr, completed.pid, completed.elapsed, completed._usage,  # noqa: SLF001
        completed.complete, completed.limit,
    )  # fmt: skip
    return (result.attempts, result.started, result.elapsed, ended, None)


def failed(error: Exception) -> tuple[Any, ...]:
    """Of a command that was not launched."""
    return (1, time.time(), 0.0, None, _pickled(error))


def portable(error: Exception) -> Exception:
    """The error, or where it cannot be pickled, as one with an argument that cannot, its text."""
    try:
        pickle.loads(_dumped(error))  # noqa: S301 - just made
    except Exception:  # noqa: BLE001 - whatever the classes' methods raise
        return subprocess.SubprocessError(f"{type(error).__name__}: {error}")
    return error


def _pickled(error: Exception | None) -> bytes:
    return _dumped(None if error is None else portable(error))


def _dumped(error: Exception | None) -> bytes:
    """As the exceptions' classes have it: Dask's reducers (tblib) forget what a UnicodeDecodeError says."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    pickler.dispatch_table = {
        kind: reducer
        for kind, reducer in copyreg.dispatch_table.items()
        if not (isinstance(kind, type) and issubclass(kind, BaseException))
    }
    pickler.dump(error)
    return buffer.getvalue()


def size_of(result: MapResult) -> int:
    """The bytes of its output."""
    return len(result.stdout or b"") + len(result.stderr or b"")


def result_of(job: Job, outcome: tuple[Any, ...], host: str, worker: str) -> MapResult:
    """The result of a map."""
    attempts, started, elapsed, ended, error = outcome
    if ended is None:
        raised = pickle.loads(error)  # noqa: S301 - from a worker, which runs what it likes as this user anyway
        return MapResult(job.number, job.command, None, raised, attempts, started, elapsed, host, worker)
    returncode, stdout, stderr, pid, seconds, usage, complete, limit = ended
    completed: CompletedProcess[Any] = CompletedProcess(
        job.command if job.options is None else job.args,
        returncode,
        stdout,
        stderr,
        pid=pid,
        elapsed=seconds,
        usage=usage,
        complete=complete,
        limit=limit,
    )
    if job.options is not None:
        completed.tag = job.command.tag
    return MapResult(job.number, job.command, completed, None, attempts, started, elapsed, host, worker)
