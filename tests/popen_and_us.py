"""The same child made by subprocess.Popen and by us, held and looked at: for programs of `fresh`."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import signal
import stat
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import fresh

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compare_descriptors", "compare_signals"]

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT
_COMMAND = ("sh", "-c", "kill -STOP $$")
_HIGH = 20  # the numbers below are the examples'
_SIGNALS = ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")


# ---- looking at a stopped child ---------------------------------------------------------------------------------------


def _stopped(pid: int) -> None:
    seen = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert seen is not None
    assert seen.si_status == signal.SIGSTOP, seen


def _file(path: str | int) -> Any:
    """What tells one file from another. Pipes of a launch are new each time, and only known to be pipes."""
    about = os.stat(path)
    return "a pipe" if stat.S_ISFIFO(about.st_mode) and about.st_ino not in _own_pipes else (about.st_dev, about.st_ino)


_own_pipes: set[int] = set()


def _descriptors(pid: int) -> dict[int, Any]:
    directory = f"/proc/{pid}/fd"
    return {int(name): _file(f"{directory}/{name}") for name in os.listdir(directory)}


def _signals(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":\t") for line in file.read().splitlines() if ":\t" in line)
    return {name: lines[name] for name in _SIGNALS}


def _of_popen(look: Any, options: dict[str, Any]) -> Any:
    try:
        process = subprocess.Popen(_COMMAND, **options)
    except OSError as error:
        return error.errno
    _stopped(process.pid)
    try:
        return look(process.pid)
    finally:
        process.kill()
        for file in (process.stdin, process.stdout, process.stderr):
            if file is not None:
                file.close()
        process.wait()


async def _of_ours(look: Any, options: dict[str, Any]) -> Any:
    try:
        process = await aiospawn.create_subprocess_exec(*_COMMAND, **options)
    except OSError as error:
        return error.errno
    _stopped(process.pid)
    try:
        return look(process.pid)
    finally:
        process.kill()
        process._transport.close()  # type: ignore[attr-defined]
        await process.wait()


# ---- descriptors ------------------------------------------------------------------------------------------------------


def _examples() -> Iterator[dict[str, Any]]:
    """Standard streams in every order and mixture, and descriptors passed on."""
    for stdin, stdout, stderr in itertools.product((0, 1, 2), repeat=3):
        yield {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    for stdin, stdout, stderr in itertools.product((None, PIPE, DEVNULL), (None, PIPE, DEVNULL, 0), (None, STDOUT, PIPE, 5)):
        yield {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    for pass_fds, close_fds in itertools.product(((), (5,), (6,), (0, 5, 6), (1, 2)), (True, False)):
        for streams in ((None, None, None), (5, 6, 5), (2, PIPE, 0), (DEVNULL, DEVNULL, STDOUT)):
            names = zip(("stdin", "stdout", "stderr"), streams, strict=True)
            yield {**dict(names), "pass_fds": pass_fds, "close_fds": close_fds}


@contextlib.contextmanager
def _low_numbers(closed: tuple[int, ...]) -> Iterator[None]:
    """Distinct pipes as 0, 1 and 2, but those that are closed; 5 a pipe that is inherited, 6 one that is not."""
    given = {number: None for number in (0, 1, 2, 5, 6) if number not in closed}
    readers = []
    for _ in given:
        reader, writer = os.pipe()
        os.close(writer)
        _own_pipes.add(os.fstat(reader).st_ino)
        readers.append(fcntl.fcntl(reader, fcntl.F_DUPFD_CLOEXEC, _HIGH))
        os.close(reader)
    for number in (0, 1, 2):
        os.close(number)
    for number, reader in zip(given, readers, strict=True):
        os.dup2(reader, number, inheritable=number != 6)
        os.close(reader)
    try:
        yield
    finally:
        for _ in given:
            os.close(number)


def _names_closed(options: dict[str, Any], closed: tuple[int, ...]) -> bool:
    """Popen's own pipe for errors takes such a number, and its child then has that."""
    named = [options["stdin"], options["stdout"], options["stderr"], *options.get("pass_fds", ())]
    follows = options["stderr"] == STDOUT and options["stdout"] is None
    return not {*named, *([1] if follows else [])}.isdisjoint(closed)


def compare_descriptors(held: list[int], closed: tuple[int, ...]) -> None:
    """A child's table, or the error, is the same in every example. `held` are the low numbers, which examples use."""
    sys.stdout, sys.stderr = (os.fdopen(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _HIGH), "w") for number in (1, 2))
    warnings.simplefilter("ignore", RuntimeWarning)  # pass_fds overriding close_fds
    loop = fresh.new_event_loop()
    loop.run_until_complete(_of_ours(_descriptors, {}))  # uvloop opens its own descriptors with the first run
    for number in held:
        os.close(number)
    with _low_numbers(closed):
        for options in _examples():
            expected = errno.EBADF if _names_closed(options, closed) else _of_popen(_descriptors, options)
            for more in ({}, {"via": "launcher"}):
                seen = loop.run_until_complete(_of_ours(_descriptors, {**options, **more}))
                assert seen == expected, (options, more, seen, expected)
    loop.close()


# ---- signals ----------------------------------------------------------------------------------------------------------


def compare_signals() -> None:
    """A child's mask and dispositions are the same, whatever the parent's are, and the parent keeps its own."""
    highest = signal.SIGRTMAX
    loop = fresh.new_event_loop()
    own = _signals(os.getpid())
    assert own["SigBlk"] == 16 * "0"
    for blocked in ((), (signal.SIGHUP, signal.SIGUSR2, highest - 1), range(1, highest + 1)):
        for ignored, caught in (((), ()), ((signal.SIGUSR1, highest), (signal.SIGUSR2, signal.SIGHUP, highest - 2))):
            for signum in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, highest, highest - 2):
                way: Any = signal.SIG_IGN if signum in ignored else (lambda *_: None) if signum in caught else signal.SIG_DFL
                signal.signal(signum, way)
            before = signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            own = _signals(os.getpid())
            for restore in (True, False):
                expected = _of_popen(_signals, {"restore_signals": restore})
                for more in ({}, {"via": "launcher"}):
                    options = {"restore_signals": restore, **more}
                    seen = loop.run_until_complete(_of_ours(_signals, options))
                    assert seen == expected, (blocked, ignored, options, seen, expected)
                    assert _signals(os.getpid()) == own
                    failed = loop.run_until_complete(_of_ours(_signals, {**options, "cwd": "/nowhere"}))
                    assert failed == errno.ENOENT
                    assert _signals(os.getpid()) == own
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert _signals(os.getpid())["SigBlk"] == 16 * "0"
    loop.close()
