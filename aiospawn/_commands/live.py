"""Waiting for a child while its output goes where it is wanted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiospawn._termination.terminate import outlasted

from .capture import Ending

if TYPE_CHECKING:
    from .capture import Capture
    from .output_queue import OutputQueue
    from .sinks import Sink

__all__ = ["handed_on"]

_EARLY = (Ending.TIMED_OUT, Ending.TOO_MUCH, Ending.UNFED)
_LAST_S = 1.0  # for a sink to take what a child wrote that was stopped: it may be what the child waited for


async def handed_on(child: Capture, queue: OutputQueue, sink: Sink, timeout: float | None, grace: float) -> Ending:
    """Waits for the child's end, and until the sink has all of its output.

    Where the waiting ends earlier, or the sink raises, the child is stopped. Raises what its launch failed with, and what
    the sink raises.
    """
    finished: asyncio.Future[None] = child.loop.create_future()
    queue.follow(finished)
    taking = child.loop.create_task(_all_taken(queue, sink))
    if timeout is not None:
        child.interrupt_after(timeout, Ending.TIMED_OUT)
    try:
        both: tuple[asyncio.Future[Any], ...] = (taking, child.over)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not child.over.done():
            taking.result()  # raises, for there is more to take
        ending = child.over.result()
        if ending in _EARLY:
            sink.tolerate()
            await child.stop(grace, read_out=ending is Ending.TIMED_OUT)
            finished.set_result(None)
            await asyncio.wait([taking], timeout=_LAST_S)
            if taking.cancel():
                await _gone(taking)
            else:
                taking.result()
        else:
            finished.set_result(None)
            await taking
    except GeneratorExit:
        child.abandon()
        taking.cancel()
        raise
    except BaseException as exc:
        queue.drop()
        taking.cancel()
        if child.needs_stop():
            await child.stop(grace)
        child.noted(exc)
        await _gone(taking)
        raise
    if ending is Ending.FAILED:
        raise child.failure()
    return ending


async def _all_taken(queue: OutputQueue, sink: Sink) -> None:
    while pieces := await queue.take():
        await sink.take(pieces)
    await sink.end()


async def _gone(taking: asyncio.Task[None]) -> None:
    cancelled = await outlasted([taking])
    if cancelled is not None:
        raise cancelled
