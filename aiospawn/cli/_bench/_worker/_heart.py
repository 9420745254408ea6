"""How late a loop answers: a timer of the kernel's becomes readable every 0.37 ms, and each of its beats is timed.

Not `asyncio.sleep`: asyncio's and uvloop's own timers are good to a millisecond, which hides what is shorter.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import statistics
import struct
from contextlib import contextmanager
from time import monotonic_ns
from typing import TYPE_CHECKING

from aiospawn.cli._measure import p99

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["heartbeat", "stalls"]

_BEAT_NS = 370_000  # no part of a millisecond: it meets every phase of what is done each millisecond
_TIMER_ABSTIME = 1  # <sys/timerfd.h>
_CLOCK_MONOTONIC = 1


def _timer(first: int) -> int:
    """A descriptor that is readable from then on, and again after each beat (timerfd_create(2)). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)  # the os module has it from 3.13 on
    timer: int = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    when = struct.pack("4l", 0, _BEAT_NS, *divmod(first, 1_000_000_000))
    if timer == -1 or libc.timerfd_settime(timer, _TIMER_ABSTIME, when, None) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"timerfd: {os.strerror(error)}")
    return timer


@contextmanager
def heartbeat(late: list[float]) -> Iterator[None]:
    """Notes by how many seconds the running loop answers each beat late, also those that came due while it was held."""
    loop = asyncio.get_running_loop()
    due = monotonic_ns() + _BEAT_NS
    timer = _timer(due)

    def answer() -> None:
        nonlocal due
        try:
            (expired,) = struct.unpack("Q", os.read(timer, 8))
        except BlockingIOError:
            return
        now = monotonic_ns()
        for _ in range(expired):
            late.append((now - due) / 1e9)
            due += _BEAT_NS

    loop.add_reader(timer, answer)
    try:
        yield
    finally:
        answer()  # the beat that is pending may be the latest
        if not late:
            late.append(0.0)  # it was all over before one came due
        loop.remove_reader(timer)
        os.close(timer)


def stalls(late: list[float]) -> dict[str, float]:
    """The figures of a heartbeat."""
    return {
        "stall_p50_ms": statistics.median(late) * 1e3,
        "stall_p99_ms": p99(late) * 1e3,
        "stall_worst_ms": max(late) * 1e3,
        "beats": len(late),
    }
