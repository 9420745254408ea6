"""The job log: what is written is read again, whatever happened to the end of it, and damage is an error."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiospawn.cli._errors import UsageError
from aiospawn.cli._joblog import HEADER, TIMED_OUT, Job, JobLog

if TYPE_CHECKING:
    from collections.abc import Iterator

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
jobs = st.builds(
    Job, number=st.integers(1, 10**9), command=texts, started=st.floats(0, 1e10), elapsed=st.floats(0, 1e6),
    received=st.integers(0, 10**15), exit_value=st.integers(TIMED_OUT, 255), signal=st.integers(0, 64),
    sent=st.integers(0, 10**15),
)  # fmt: skip
logs = st.lists(jobs, max_size=10, unique_by=lambda job: job.number)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "jobs.tsv")


@contextlib.contextmanager
def opened(path: str, *, resume: bool = True, retry_failed: bool = False) -> Iterator[JobLog]:
    log = JobLog(path, resume=resume, retry_failed=retry_failed)
    try:
        yield log
    finally:
        log.close()


def written(path: str, jobs: list[Job]) -> bytes:
    with opened(path, resume=False) as log:
        for job in jobs:
            log.add(job)
    return Path(path).read_bytes()


def test_format(path: str) -> None:
    """The columns are GNU parallel's; a newline is written as NUL."""
    log = written(path, [Job(3, "printf 'a\nb'", 1795534780.3621, 0.0004, 6, 0, 15)])
    assert log == HEADER + b"3\t:\t1795534780.362\t     0.000\t0\t6\t0\t15\tprintf 'a\0b'\n"
    assert HEADER.split() == b"Seq Host Starttime JobRuntime Send Receive Exitval Signal Command".split()


def test_log_of_parallel(path: str) -> None:
    """A log that GNU parallel wrote is one."""
    first = b"1\t:\t1795534782.379\t     0.002\t0\t0\t0\t0\techo 0\n"
    Path(path).write_bytes(HEADER + first + b"2\tserver/2\t1795534782.383\t    10.002\t5\t7\t-1\t15\techo 3\n")
    with opened(path) as log:
        assert log.is_done(1, "echo 0")
        assert log.is_done(2, "echo 3")


@given(logs)
@settings(deadline=None)
def test_read_again(jobs: list[Job]) -> None:
    """Every job that was written is done; with `retry_failed` those that succeeded."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/log"
        written(path, jobs)
        with opened(path) as log:
            assert all(log.is_done(job.number, job.command) for job in jobs)
            assert not log.is_done(10**9 + 1, "true")
        with opened(path, retry_failed=True) as log:
            assert [log.is_done(job.number, job.command) for job in jobs] == [job.ok for job in jobs]


@pytest.mark.slow
@given(logs, st.data())
@settings(deadline=None)
def test_torn(jobs: list[Job], data: st.DataObject) -> None:
    """Cut anywhere: jobs whose lines are whole are done, others are not; writing them again mends the log."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/log"
        whole = written(path, jobs)
        size = data.draw(st.integers(0, len(whole)))
        os.truncate(path, size)
        with opened(path) as log:
            done = [log.is_done(job.number, job.command) for job in jobs]
            assert done == sorted(done, reverse=True)
            assert sum(done) == max(0, whole[:size].count(b"\n") - 1)
            for job in jobs[sum(done) :]:
                log.add(job)
        assert Path(path).read_bytes() == whole


@pytest.mark.slow
@given(logs, st.data())
@settings(deadline=None)
def test_damaged_anywhere(jobs: list[Job], data: st.DataObject) -> None:
    """Any bytes in any place are an error that names the file, or a job log still."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/log"
        log = bytearray(written(path, jobs))
        place = data.draw(st.integers(0, len(log)))
        log[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
        Path(path).write_bytes(log)
        error = None
        try:
            JobLog(path, resume=True).close()
        except UsageError as exc:
            error = str(exc)
        assert error is None or (repr(path) in error and Path(path).read_bytes() == log)


_LINE = b"1\t:\t1.5\t0.5\t0\t0\t0\t0\ttrue\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello\n", "header"),
        (b"hello", "header"),
        (_LINE, "header"),
        (HEADER + b"hello\n", "line 2"),
        (HEADER + b"\n" + _LINE, "line 2"),
        (HEADER + _LINE + HEADER, "line 3"),
        (HEADER + b"0" + _LINE[1:], "line 2"),
        (HEADER + b"-1" + _LINE[1:], "line 2"),
        (HEADER + b"x" + _LINE[1:], "line 2"),
        (HEADER + _LINE[:5] + _LINE, "line 2"),
        (HEADER + b"1\t:\t1.5\t0.5\t0\t0\t0\ttrue\n", "line 2"),
        (b"\0" * 100 + b"\n", "header"),
    ],
)
def test_damaged(content: bytes, words: str, path: str) -> None:
    """What is no job log is refused, with the place, and left as it is."""
    Path(path).write_bytes(content)
    with pytest.raises(UsageError) as refused:
        JobLog(path, resume=True)
    assert words in str(refused.value)
    assert path in str(refused.value)
    assert Path(path).read_bytes() == content


def test_another_map(path: str) -> None:
    """A job that differs from the log's is an error: the input or the command has changed."""
    written(path, [Job(1, "echo a", 0, 0, 0, 0, 0)])
    with opened(path) as log, pytest.raises(UsageError, match="another map: job 1 was 'echo a', and now is 'echo b'"):
        log.is_done(1, "echo b")


def test_in_use(path: str) -> None:
    """Two maps do not write one log."""
    with opened(path), pytest.raises(UsageError, match="another map"):
        JobLog(path, resume=True)


def test_anew(path: str) -> None:
    """Without resuming, a log is begun again."""
    written(path, [Job(1, "true", 0, 0, 0, 0, 0)])
    assert written(path, []) == HEADER


@pytest.mark.parametrize("path", ["/nonexistent/log", "/"])
def test_unwritable(path: str) -> None:
    """There is an error."""
    with pytest.raises(UsageError, match="--joblog: "):
        JobLog(path, resume=False)


def test_device() -> None:
    """A log may go nowhere."""
    with opened("/dev/null", resume=False) as log:
        log.add(Job(1, "true", 0, 0, 0, 0, 0))


def test_full() -> None:
    """A full disk is an error."""
    with pytest.raises(OSError, match="No space left"):
        JobLog("/dev/full", resume=False)
