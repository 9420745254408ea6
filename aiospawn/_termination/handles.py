"""What is kept of a child's tree, so that it can be ended when the child is gone: its cgroup, its process group."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiospawn._binding.native import Native

__all__ = ["CgroupHandle", "GroupHandle"]

_PROCESS_GROUP = 4  # PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9


class CgroupHandle:
    """The cgroup of a launch: by the time it is to be killed, its path or number may mean another."""

    __slots__ = ("_directory",)

    def __init__(self, cgroup: Any) -> None:
        self._directory: int | None = None
        with contextlib.suppress(OSError):  # the launch raises it
            self._directory = os.dup(cgroup) if isinstance(cgroup, int) else os.open(cgroup, os.O_PATH | os.O_CLOEXEC)

    def is_populated(self) -> bool:
        """Is there still a process in it? False in version 1, which does not report it."""
        if self._directory is None:
            return False
        with contextlib.suppress(OSError):
            events = os.open("cgroup.events", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            try:
                return b"populated 1" in os.read(events, 4096)
            finally:
                os.close(events)
        return False

    def kill(self) -> None:
        if self._directory is None:
            return
        with contextlib.suppress(OSError):  # gone, version 1, or before Linux 5.14
            kill = os.open("cgroup.kill", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._directory)
            try:
                os.write(kill, b"1")
            finally:
                os.close(kill)

    def __del__(self) -> None:
        directory = getattr(self, "_directory", None)  # there is none where its making was interrupted
        if directory is not None:
            os.close(directory)


class GroupHandle:
    """The pidfd of a group's leader that is gone: by it the group can still be signalled, and no other."""

    __slots__ = ("_native", "_pidfds")

    def __init__(self, native: Native) -> None:
        self._native = native
        self._pidfds: list[int] = []  # one at most, this handle's to close

    def take(self, token: int) -> bool:
        """Takes the pidfd of this child, a reaped leader, if there is one. Has it one, from now on or before?"""
        self._native.take_pidfd(token, self._pidfds)
        return bool(self._pidfds)

    def signal(self, signum: int) -> None:
        if self._native.forked:
            raise ProcessLookupError
        signal.pidfd_send_signal(self._pidfds[0], signum, None, _PROCESS_GROUP)

    def __del__(self) -> None:
        while pidfds := getattr(self, "_pidfds", None):  # there is none where its making was interrupted
            os.close(pidfds.pop())
