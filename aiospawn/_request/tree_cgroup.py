"""A cgroup of a tree's own: made before the launch, removed when the tree has ended.

It is a directory of cgroup v2 below this process's own, or below one that was named. The command joins it before its program
runs; init stays outside, so that neither a limit nor `cgroup.kill` hits what ends the tree. Where this process dies first
init removes it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CgroupPeak", "TreeCgroup"]


class CgroupPeak(NamedTuple):
    """The most that a tree with `init_cgroup` had at any time: None where the kernel, or the cgroup, does not count it.

    Attributes:
        memory: Bytes, `memory.peak`: needs the memory controller, and Linux 5.19.
        pids: Processes and threads, `pids.peak`: needs the pids controller, and Linux 6.12.
    """

    memory: int | None
    pids: int | None


_LONGEST = 1000  # bytes of its path: init keeps it
_numbers = itertools.count(1)
_kept: list[str] = []  # where somebody still ran when it was to be removed


class TreeCgroup:
    """The directory, until it is removed."""

    __slots__ = ("_maker", "_removed", "path", "peak")

    def __init__(self, parent: str | bytes | None, limits: Mapping[str, str]) -> None:
        """Makes it, below this process's own cgroup unless `parent` is given, and sets the limits.

        Raises:
            OSError: It cannot be made, or a limit cannot be set; `.step` is "cgroup". Nothing was made.
        """
        self.peak: CgroupPeak | None = None
        self._maker = os.getpid()
        self._removed = False
        _remove_kept()
        directory = _own() if parent is None else os.path.abspath(os.fsdecode(parent))
        _enable(directory, limits)
        self.path = _made_below(directory)
        try:
            for name, value in limits.items():
                _write(os.path.join(self.path, name), value)
        except BaseException:
            self.remove()
            raise

    def end(self) -> None:
        """Reads what it has counted and removes it, with who is left where init was killed. Once only."""
        if self.peak is not None or self._removed or os.getpid() != self._maker:
            return
        self.peak = CgroupPeak(_count(self.path, "memory.peak"), _count(self.path, "pids.peak"))
        self.remove()

    def remove(self) -> None:
        if self._removed or os.getpid() != self._maker:
            return
        self._removed = True
        if not _removed(self.path):
            with contextlib.suppress(OSError):  # before Linux 5.14
                _write(os.path.join(self.path, "cgroup.kill"), "1")
            if not _removed(self.path):
                _kept.append(self.path)

    def __del__(self) -> None:
        if hasattr(self, "path"):
            self.remove()


# ---- the directory ------------------------------------------------------------------------------------------------------


def _error(number: int, text: str) -> OSError:
    error = OSError(number, f"{os.strerror(number)} ({text})")
    error.step = "cgroup"  # type: ignore[attr-defined]
    return error


_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def _mounts() -> Iterator[tuple[str, str]]:
    """Of cgroup v2: the directory of it that is mounted, and where (proc_pid_mountinfo(5))."""
    with open("/proc/self/mountinfo") as mountinfo:
        for line in mountinfo:
            before, _, behind = line.partition(" - ")
            if behind.startswith("cgroup2 "):
                root, place = (_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), name) for name in before.split()[3:5])
                yield root, place


def _own() -> str:
    """This process's cgroup, as a directory. Raises OSError."""
    try:
        with open("/proc/self/cgroup") as lines:
            own = next((line.rstrip("\n")[3:] for line in lines if line.startswith("0::")), None)
        for root, place in _mounts():
            if own is not None and os.path.commonpath([root, own]) == root:
                return os.path.normpath(os.path.join(place, os.path.relpath(own, root)))
    except (OSError, ValueError) as error:
        raise _error(getattr(error, "errno", None) or errno.ENOENT, f"cgroup {error}") from None
    raise _error(errno.ENOENT, "cgroup: no cgroup v2 is mounted that has this process's")


def _made_below(directory: str) -> str:
    while True:
        path = os.path.join(directory, f"aiospawn-{os.getpid()}-{next(_numbers)}")
        if len(os.fsencode(path)) > _LONGEST:
            raise _error(errno.ENAMETOOLONG, f"cgroup {path}")
        try:
            os.mkdir(path)
        except FileExistsError:  # of a process of that number in another PID namespace, or left by one that was killed
            continue
        except OSError as error:
            raise _error(error.errno or 0, f"cgroup {path}") from None
        if os.path.exists(os.path.join(path, "cgroup.procs")):
            return path
        os.rmdir(path)
        raise _error(errno.ENOENT, f"cgroup {directory}: it is no directory of cgroup v2")


def _removed(path: str) -> bool:
    """With what the tree has made below it."""
    try:
        for directory, _, _ in os.walk(path, topdown=False):
            os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not os.path.exists(path)


def _remove_kept() -> None:
    for path in [*_kept]:
        if _removed(path):
            with contextlib.suppress(ValueError):  # another thread has been here
                _kept.remove(path)


# ---- its files ----------------------------------------------------------------------------------------------------------


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    """Not by open(): that may create, which is refused with a less telling error."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
    except OSError as error:
        raise _error(error.errno or 0, f"cgroup {text!r} to {path}") from None


def _count(path: str, name: str) -> int | None:
    try:
        return int(_read(os.path.join(path, name)))
    except (OSError, ValueError):
        return None


def _enable(directory: str, limits: Mapping[str, str]) -> None:
    """The controllers that the limits are of, for what is below. Raises OSError."""
    needed = {name.partition(".")[0] for name in limits} - {"cgroup"}
    if not needed:
        return
    try:
        enabled = {*_read(os.path.join(directory, "cgroup.subtree_control")).split()}
        available = {*_read(os.path.join(directory, "cgroup.controllers")).split()}
    except OSError as error:
        raise _error(error.errno or 0, f"cgroup {directory}") from None
    for controller in sorted(needed - enabled):
        if controller not in available:
            there = ", ".join(sorted(available)) or "none"
            raise _error(errno.EOPNOTSUPP, f"cgroup {directory} has no {controller} controller; available: {there}")
        try:
            _write(os.path.join(directory, "cgroup.subtree_control"), f"+{controller}")
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            text = f"cgroup {directory} has processes, and so gives its controllers to no cgroup below it (cgroups(7))"
            raise _error(errno.EBUSY, f"{text}: name another one by init_cgroup") from None
