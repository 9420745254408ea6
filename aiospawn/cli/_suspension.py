"""Ctrl-Z: the commands stop, then this process does, as a shell's job; when it is continued, so are they.

Each command leads a process group of its own, so what the terminal sends to the foreground group does not reach it. A
command that stayed in this process's group has got it already, and is left to the terminal and the shell.

Time in which this process is stopped does not count: the loop's clock stands still, and with it every time-out.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import aiospawn

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["SuspendableLoop", "Suspension"]

_STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class SuspendableLoop(aiospawn.EventLoop):
    """An event loop whose clock can be set back by the time that the process was stopped."""

    stopped_for = 0.0
    """Seconds."""

    def time(self) -> float:
        return super().time() - self.stopped_for


class Suspension:
    """A context manager, in the main thread, while commands run on this loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        assert isinstance(loop, SuspendableLoop)
        self._loop = loop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # a shell without job control may start its jobs so
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: object) -> None:
        stopped_at = time.monotonic()
        for group, is_ours in _groups():
            # The kernel discards SIGTSTP in an orphaned process group, such as one in a session of its own (setpgid(2)).
            _signal_group(group, signal.SIGTSTP if is_ours else signal.SIGSTOP)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)  # returns when this process is continued; at once if its own group is orphaned
        signal.signal(number, self._handle)
        self._loop.stopped_for += time.monotonic() - stopped_at
        for group, _ in _groups():
            _signal_group(group, signal.SIGCONT)


def _groups() -> Iterator[tuple[int, bool]]:
    """The process groups that this process's children lead, and whether each is of this process's session.

    Only this thread reaps children, so each number means the child until it goes on.
    """
    session = os.getsid(0)
    for pid in _children():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(pid) == pid:
                yield pid, os.getsid(pid) == session


def _children() -> list[int]:
    """Of all threads of this process (proc(5), children); where the kernel has no such file, found among all processes."""
    children: list[int] = []
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children") as file:
                children += map(int, file.read().split())
    except OSError:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == os.getpid()]
    return children


def _parent(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except OSError:  # it is gone
        return None


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended; or it runs for another user
        os.killpg(group, number)
