"""Ctrl-Z at `aiospawn map` and `aiospawn run` stops their commands too, and they are continued together."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

import fresh
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

pytestmark = pytest.mark.once

COMMAND = f"{sys.executable} -P -m aiospawn"
LIMIT_S = 50


def until(condition: Callable[[], object]) -> None:
    """Waits for it."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def state(pid: int) -> str:
    """As of proc_pid_stat(5); empty for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second: it went between the two calls
        return ""


class Shell:
    """An interactive bash with job control, on a terminal."""

    def __init__(self, directory: Path) -> None:
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            os.chdir(directory)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], {**os.environ, "PS1": "ready> "})
        self._output = b""
        self.wait_for(b"ready> ")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)

    def type(self, text: str) -> None:
        self._output = b""
        os.write(self._terminal, text.encode())

    def wait_for(self, text: bytes) -> None:
        deadline = time.monotonic() + LIMIT_S
        while text not in self._output:
            assert select.select([self._terminal], [], [], max(0, deadline - time.monotonic()))[0], self._output
            self._output += os.read(self._terminal, 65536)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(Shell(tmp_path))
        yield made
        for path in tmp_path.glob("pid*"):  # where the test has failed
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)


# It forks nothing: a shell that waits for its child's execve is not stopped before that.
JOB = "sh -c 'mkfifo go{0}; exec 3<>go{0}; echo $$ >new{0}; mv new{0} pid{0}; read line <&3; echo end {0}'"
LINES = {
    "map": f"{COMMAND} map -j 2 {JOB.format('$0')} ::: 1 2",
    "run": f"{COMMAND} run -- {JOB.format(1)} </dev/null",
    "run --new-session": f"{COMMAND} run --new-session -- {JOB.format(1)} </dev/null",
}


def pids(directory: Path, line: str) -> list[int]:
    """Of the commands, when they run."""
    files = [directory / f"pid{number}" for number in range(1, 3 if line == "map" else 2)]
    until(lambda: all(file.exists() for file in files))
    return [int(file.read_text()) for file in files]


def let_go(directory: Path) -> None:
    """Lets the commands end."""
    for path in directory.glob("go*"):
        path.write_bytes(b"\n")


@pytest.mark.parametrize("line", LINES)
def test_stopped_and_continued(shell: Shell, tmp_path: Path, line: str) -> None:
    """The shell sees its job stop, `bg` and `fg` let it go on, and it ends in order."""
    shell.type(LINES[line] + "\n")
    commands = pids(tmp_path, line)
    for resume in ("bg\n", "fg\n"):
        shell.type("\x1a" if resume == "bg\n" else "kill -TSTP %1\n")
        if resume == "fg\n":
            shell.wait_for(b"ready> ")
        until(lambda: all(state(pid) == "T" for pid in commands))
        if resume == "bg\n":
            shell.wait_for(b"Stopped")
        shell.type(resume)
        until(lambda: all(state(pid) in "SR" for pid in commands))
    let_go(tmp_path)
    for number in range(1, len(commands) + 1):
        shell.wait_for(f"end {number}".encode())
    shell.type("echo status $?\n")
    shell.wait_for(b"status 0")
    assert [state(pid) for pid in commands] == [""] * len(commands)


@pytest.mark.parametrize("line", ["map", "run"])
def test_killed_while_stopped(shell: Shell, tmp_path: Path, line: str) -> None:
    """`kill` of the stopped job ends its commands, as soon as it is continued: bash continues what it signals."""
    shell.type(LINES[line] + "\n")
    commands = pids(tmp_path, line)
    shell.type("\x1a")
    shell.wait_for(b"Stopped")
    shell.type("kill %1\n")
    until(lambda: not any(map(state, commands)))


def test_timeouts_stand_still(shell: Shell, tmp_path: Path) -> None:
    """Time in which the map is stopped is no time of its jobs."""
    shell.type(f"{COMMAND} map --timeout 3 {JOB.format('$0')} ::: 1\n")
    (pid,) = pids(tmp_path, "run")
    began = time.monotonic()
    shell.type("\x1a")
    shell.wait_for(b"Stopped")
    until(lambda: time.monotonic() > began + 4)
    let_go(tmp_path)
    shell.type("fg\n")
    shell.wait_for(b"end 1")
    until(lambda: not state(pid))


def test_ignored_when_it_was_ignored(tmp_path: Path) -> None:
    """Whoever starts it with SIGTSTP ignored does not want it stopped."""
    program = f"import signal, os; signal.signal(signal.SIGTSTP, signal.SIG_IGN); os.chdir({str(tmp_path)!r})\n"
    program += f"os.execvp('sh', ['sh', '-c', {('exec ' + LINES['run'])!r}])"
    with subprocess.Popen(fresh.command(program), stdout=subprocess.PIPE, text=True) as process:
        (pid,) = pids(tmp_path, "run")
        process.send_signal(signal.SIGTSTP)
        let_go(tmp_path)
        assert process.communicate(timeout=LIMIT_S)[0] == "end 1\n"
    assert not state(pid)
