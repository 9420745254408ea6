"""How a test reads what a child printed of its files in /proc."""

import os
from collections.abc import Callable

__all__ = [
    "FOREGROUND",
    "GROUP",
    "NICE",
    "POLICY",
    "PRIORITY",
    "TERMINAL",
    "bits",
    "device",
    "leads",
    "limit",
    "signals",
    "stat",
    "status",
    "words",
]

GROUP, SESSION, TERMINAL, FOREGROUND, NICE, PRIORITY, POLICY = 5, 6, 7, 8, 19, 40, 41  # proc_pid_stat(5)


def words(output: str) -> str:
    return output.strip()


def status(name: str) -> Callable[[str], str]:
    """A line of /proc/self/status."""
    return lambda output: dict(line.split(":\t") for line in output.splitlines() if ":\t" in line)[name].strip()


def bits(name: str, *wanted: int) -> Callable[[str], list[bool]]:
    """Of a mask in /proc/self/status: is the bit set?"""
    return lambda output: [bool(int(status(name)(output), 16) >> bit & 1) for bit in wanted]


def signals(name: str, *wanted: int) -> Callable[[str], list[bool]]:
    return bits(name, *(number - 1 for number in wanted))


def stat(*fields: int) -> Callable[[str], tuple[int, ...]]:
    """Fields of /proc/self/stat, numbered as in proc_pid_stat(5); from the fourth on."""
    return lambda output: tuple(int(output.rpartition(")")[2].split()[field - 3]) for field in fields)


def leads(output: str) -> tuple[bool, bool]:
    """Does it lead its process group, its session?"""
    pid = int(output.split(maxsplit=1)[0])
    group, session = stat(GROUP, SESSION)(output)
    return group == pid, session == pid


def limit(name: str) -> Callable[[str], list[str]]:
    def read(output: str) -> list[str]:
        (line,) = (line for line in output.splitlines() if line.startswith(name))
        return line.removeprefix(name).split()[:2]

    return read


def device(fd: int) -> int:
    """As /proc/PID/stat has it."""
    number = os.fstat(fd).st_rdev
    return (os.minor(number) & 0xFF) | os.major(number) << 8 | (os.minor(number) & ~0xFF) << 12
