"""How a child that is waited for comes to its end: the waiting, what is stopped, and what is made of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .capture import Ending
from .failures import CalledProcessError, TimeoutExpired
from .results import CompletedProcess, OutputLimitExceeded

if TYPE_CHECKING:
    from .capture import Capture
    from .results import Text

__all__ = ["completed", "concluded", "interruption"]


async def concluded(child: Capture, timeout: float | None, grace: float) -> Ending:
    """Waits for a child's end; where the waiting ends earlier the child is stopped. Raises what its launch failed with."""
    if timeout is not None:
        child.interrupt_after(timeout, Ending.TIMED_OUT)
    try:
        ending = await child.over
    except asyncio.CancelledError as exc:
        if child.ending is not Ending.FAILED:
            await child.stop(grace)
        child.noted(exc)
        raise
    except BaseException:  # the coroutine is closed; or a signal's handler raised
        child.abandon()
        raise
    if ending is Ending.FAILED:
        raise child.failure()
    if ending in (Ending.TIMED_OUT, Ending.TOO_MUCH, Ending.UNFED):
        await child.stop(grace, read_out=ending is Ending.TIMED_OUT)
    return ending


def interruption(
    ending: Ending, args: Any, timeout: Any, limit: Any, output: tuple[bytes | None, bytes | None]
) -> TimeoutExpired | OutputLimitExceeded:
    """What is raised for a command that was stopped."""
    if ending is Ending.TIMED_OUT:
        return TimeoutExpired(args, timeout, output[0] or None, output[1] or None)
    return OutputLimitExceeded(args, limit, output[0] or None, output[1] or None)


def completed(
    child: Capture, args: Any, output: tuple[bytes | None, bytes | None], mode: Text | None, *, check: bool
) -> CompletedProcess[Any]:
    """The result of a child that has ended. Raises CalledProcessError, UnicodeDecodeError."""
    assert child.returncode is not None
    shown: list[Any] = [part if mode is None or part is None else mode.decoded(part) for part in output]
    if check and child.returncode:
        raise CalledProcessError(child.returncode, args, *shown, limit=child.limit)
    return CompletedProcess(
        args,
        child.returncode,
        *shown,
        pid=child.pid,
        elapsed=child.elapsed,
        usage=child.usage,
        cgroup_peak=child.cgroup_peak,
        complete=child.over.result() is not Ending.CUT,
        limit=child.limit,
    )
