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
    from collections.abc import Iterable, Iterator

__all__ = ["compare_descriptors", "compare_signals"]

PIPE, DEVNULL, STDOUT = subprocess.PIPE, subprocess.DEVNULL, subprocess.STDOUT
_COMMAND = ("sh", "-c", "kill -STOP $$")
_HIGH = 20  # the numbers below are the examples'
_SIGNALS = ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")
# To ignore, and to catch or block: those of the standard, and real-time signals up to the last.
_EXAMPLES = ((signal.SIGUSR1, signal.SIGRTMAX), (signal.SIGUSR2, signal.SIGHUP, signal.SIGRTMAX - 2))


# ---- looking at a stopped child ---------------------------------------------------------------------------------------


def _stopped(pid: int) -> None:
    seen = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert seen is not None
    assert seen.si_status == signal.SIGSTOP, seen


def _file(path: str | int) -> Any:
    """What distinguishes one file from another. Pipes of a launch are new each time, and only known to be pipes."""
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


def _own_signals() -> dict[str, str]:
    """But for what is pending: a blocked SIGCHLD."""
    return {name: value for name, value in _signals(os.getpid()).items() if "Pnd" not in name}


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
    given = [number for number in (0, 1, 2, 5, 6) if number not in closed]
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
        for number in given:
            os.close(number)


def _names_closed(options: dict[str, Any], closed: tuple[int, ...]) -> bool:
    """Popen's own pipe for errors takes such a number, and its child then has that."""
    named = [options["stdin"], options["stdout"], options["stderr"], *options.get("pass_fds", ())]
    follows = options["stderr"] == STDOUT and options["stdout"] is None
    return not {*named, *([1] if follows else [])}.isdisjoint(closed)


async def _compare_descriptors(held: list[int], closed: tuple[int, ...]) -> None:
    for number in held:
        os.close(number)
    with _low_numbers(closed):
        for options in _examples():
            expected = errno.EBADF if _names_closed(options, closed) else _of_popen(_descriptors, options)
            for more in ({}, {"via": "launcher"}):
                seen = await _of_ours(_descriptors, {**options, **more})
                assert seen == expected, (options, more, seen, expected)


def compare_descriptors(held: list[int], closed: tuple[int, ...]) -> None:
    """A child's table, or the error, is the same in every example. `held` are the low numbers, which examples use."""
    sys.stdout, sys.stderr = (os.fdopen(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _HIGH), "w") for number in (1, 2))
    warnings.simplefilter("ignore", RuntimeWarning)  # pass_fds overriding close_fds
    loop = fresh.new_event_loop()
    loop.run_until_complete(_compare_descriptors(held, closed))
    loop.close()


# ---- signals ----------------------------------------------------------------------------------------------------------


def _dispose(blocked: Iterable[int], ignored: tuple[int, ...], caught: tuple[int, ...]) -> None:
    for signum in (*_EXAMPLES[0], *_EXAMPLES[1]):
        way: Any = signal.SIG_IGN if signum in ignored else (lambda *_: None) if signum in caught else signal.SIG_DFL
        signal.signal(signum, way)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


async def _compare_signals() -> None:
    every = signal.valid_signals()
    for blocked, ways in itertools.product(((), _EXAMPLES[1], every), (((), ()), _EXAMPLES)):
        _dispose(blocked, *ways)
        own = _own_signals()
        for restore, more in itertools.product((True, False), ({}, {"via": "launcher"})):
            expected = _of_popen(_signals, {"restore_signals": restore})
            options = {"restore_signals": restore, **more}
            seen = await _of_ours(_signals, options)
            assert seen == expected, (blocked, ways, options, seen, expected)
            assert _own_signals() == own
            assert await _of_ours(_signals, {**options, "cwd": "/nowhere"}) == errno.ENOENT
            assert _own_signals() == own
    _dispose((), (), ())


def compare_signals() -> None:
    """A child's mask and dispositions are the same, whatever the parent's are, and the parent keeps its own."""
    loop = fresh.new_event_loop()
    assert _own_signals()["SigBlk"] == 16 * "0"
    loop.run_until_complete(_compare_signals())
    assert _own_signals()["SigBlk"] == 16 * "0"
    loop.close()
