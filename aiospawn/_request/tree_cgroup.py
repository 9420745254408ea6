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
from typing import TYPE_CHECKING, NamedTuple

from aiospawn._binding.cgroups import WhereThere, enable, failed, own, read, write

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CgroupPeak", "TreeCgroup"]


class CgroupPeak(NamedTuple):
    """The most that a tree with `init_cgroup` had at any time: None where the kernel, or the cgroup, does not count it.

    Attributes:
        memory: Bytes, `memory.peak`: needs the memory controller, and Linux 5.19.
        pids: Processes and threads, `pids.peak`: needs the pids controller, and Linux 6.12.
    """

    memory: int | None
    pids: int | None


_numbers = itertools.count(1)
_kept: list[str] = []  # where somebody still ran when it was to be removed


class TreeCgroup:
    """The directory, until it is removed."""

    __slots__ = ("_maker", "_removed", "descriptor", "path", "peak")

    def __init__(self, parent: str | bytes | None, limits: Mapping[str, str]) -> None:
        """Makes it, below this process's own cgroup unless `parent` is given, and sets the limits.

        Raises:
            OSError: It cannot be made, or a limit cannot be set; `.step` is "cgroup". Nothing was made.
        """
        self.peak: CgroupPeak | None = None
        self._maker = os.getpid()
        self._removed = False
        _remove_kept()
        directory = own() if parent is None else os.path.abspath(os.fsdecode(parent))
        enable(directory, {name.partition(".")[0] for name in limits} - {"cgroup"})
        self.descriptor = -1
        self.path = _made_below(directory)
        try:
            self.descriptor = os.open(self.path, os.O_PATH | os.O_CLOEXEC)
            for name, value in limits.items():
                file = os.path.join(self.path, name)
                if not isinstance(value, WhereThere) or os.path.exists(file):
                    write(file, value)
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
        if self.descriptor >= 0:
            os.close(self.descriptor)
        if not _removed(self.path):
            with contextlib.suppress(OSError):  # before Linux 5.14
                write(os.path.join(self.path, "cgroup.kill"), "1")
            if not _removed(self.path):
                _kept.append(self.path)

    def __del__(self) -> None:
        if hasattr(self, "path"):
            self.remove()


# ---- the directory ------------------------------------------------------------------------------------------------------


def _made_below(directory: str) -> str:
    while True:
        path = os.path.join(directory, f"aiospawn-{os.getpid()}-{next(_numbers)}")
        try:
            os.mkdir(path)
        except FileExistsError:  # of a process of that number in another PID namespace, or left by one that was killed
            continue
        except OSError as error:
            raise failed(error.errno or 0, f"cgroup {path}") from None
        if os.path.exists(os.path.join(path, "cgroup.procs")):
            return path
        os.rmdir(path)
        raise failed(errno.ENOENT, f"cgroup {directory}: it is no directory of cgroup v2")


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


def _count(path: str, name: str) -> int | None:
    try:
        return int(read(os.path.join(path, name)))
    except (OSError, ValueError):
        return None
