"""A program for tests to launch: `child("write", 10)` is the command line of one of its commands.

A command that no test uses fails the suite.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["COMMANDS", "child"]


def child(command: str, *arguments: object) -> list[str]:
    """The command line that runs a command, in an interpreter that reads neither the environment nor site-packages."""
    assert command in COMMANDS, command
    return [sys.executable, "-I", "-S", __file__, command, *map(str, arguments)]


def _say(text: object) -> None:
    os.write(1, f"{text}\n".encode())


def close_stdout() -> None:
    """Closes its output, and stays."""
    os.close(1)
    signal.pause()


def copy() -> None:
    """Copies its input to its output."""
    while data := os.read(0, 65536):
        while data:
            data = data[os.write(1, data) :]


def count() -> None:
    """Tells how many bytes its input has, when that ends."""
    total = 0
    while data := os.read(0, 65536):
        total += len(data)
    _say(total)


def count_lines() -> None:
    """Reads lines up to END, prints how many there were, and does not wait for the end of its input."""
    lines = 0
    while sys.stdin.readline() not in ("END\n", ""):
        lines += 1
    _say(lines)


def exit_with(status: str) -> None:
    """Exits with the status."""
    os._exit(int(status))


def hold_pipe() -> None:
    """Leaves a grandchild that holds its output, prints the pid, and exits when its input ends."""
    pid = os.fork()
    if pid:
        _say(pid)
        os.read(0, 1)
    else:
        signal.pause()


def ignore(signum: str) -> None:
    """Ignores the signal, prints "ready", and stays."""
    signal.signal(int(signum), signal.SIG_IGN)
    _say("ready")
    signal.pause()


def converse() -> None:
    """Answers lines: "stderr" on the other stream, "stop" by exit status 20, others in brackets; "signal" at SIGUSR1."""
    signal.signal(signal.SIGUSR1, lambda *_: _say("signal"))
    _say("ready")
    for line in sys.stdin:
        match line.strip():
            case "stop":
                os._exit(20)
            case "stderr":
                os.write(2, b"on stderr\n")
            case text:
                _say(f">{text}<")


def report(*arguments: str) -> None:
    """What it was started with, as JSON."""
    import json

    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            descriptors[name] = os.readlink(f"/proc/self/fd/{name}").partition(":[")[0]  # of pipes and sockets the kind
        except FileNotFoundError:  # the listing's own
            continue
    with open("/proc/self/cmdline", "rb") as file:
        argv0 = file.read().partition(b"\0")[0].decode()
    told = {
        "argv0": argv0,
        "arguments": arguments,
        "cwd": os.getcwd(),
        "descriptors": descriptors,
        "environment": dict(os.environ),
        "groups": os.getgroups(),
        "ids": (*os.getresuid(), *os.getresgid()),
        "leads a group": os.getpgrp() == os.getpid(),
        "leads a session": os.getsid(0) == os.getpid(),
        "pipe sizes": _pipe_sizes(),
        "umask": os.umask(0),
    }
    _say(json.dumps(told))


def _pipe_sizes() -> list[int | None]:
    import fcntl

    sizes: list[int | None] = []
    for number in range(3):
        try:
            sizes.append(fcntl.fcntl(number, fcntl.F_GETPIPE_SZ))
        except OSError:
            sizes.append(None)
    return sizes


def write(size: str, stream: str = "1") -> None:
    """Writes so many bytes."""
    data = b"x" * int(size)
    while data:
        data = data[os.write(int(stream), data) :]


COMMANDS = {
    "close-stdout": close_stdout,
    "converse": converse,
    "copy": copy,
    "count": count,
    "count-lines": count_lines,
    "exit": exit_with,
    "hold-pipe": hold_pipe,
    "ignore": ignore,
    "report": report,
    "write": write,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
