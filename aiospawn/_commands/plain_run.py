"""`run` of a list of arguments without an option of a launch: one `PlainChild`, and the coroutine that waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import os
from typing import TYPE_CHECKING, Any, Final

from aiospawn._asyncio.reactor import close_unused, reactor_of
from aiospawn._asyncio.running_loop import running_loop
from aiospawn._binding.support import support
from aiospawn._options.options import GROUPED
from aiospawn._request.requested import joined_request

from .conclusion import completed, concluded
from .failures import CalledProcessError
from .mistakes import named
from .plain_child import PlainChild

if TYPE_CHECKING:
    from aiospawn._request.joined_request import JoinedRequest

    from .capture import Capture
    from .results import CompletedProcess, Text

    Streams = tuple[Any, Any, Any]

__all__ = ["plain_request", "plainly_run"]

_PIPE, _DEVNULL = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL


def plain_request(args: object, streams: Streams) -> JoinedRequest | None:
    """For a command that can be a `PlainChild`. None for others: a mistake is one of these."""
    if type(args) is not list or not args or streams[0] not in (None, _DEVNULL) or support().reasons:
        return None
    if streams[0] is None and os.isatty(0):
        return None
    try:
        return joined_request(streams, GROUPED, collected=True, dropped=True)
    except ValueError:
        return None


class _Owner:
    """Of one child, for the coroutine that waits for it."""

    __slots__ = ("context", "is_woken", "joined", "loop", "over", "pipe_grace")
    limit: int | None = None
    ended: Final = None  # there is but one

    def __init__(self, joined: JoinedRequest, loop: asyncio.AbstractEventLoop, pipe_grace: float | None) -> None:
        self.joined = joined
        self.loop = loop
        self.pipe_grace = pipe_grace
        self.context = contextvars.copy_context()
        self.is_woken = False
        self.over: asyncio.Future[None] = loop.create_future()

    def wake(self) -> None:
        """As `Owner` of `plain_child` has it."""
        if not self.over.done():
            self.over.set_result(None)
        self.is_woken = True


async def plainly_run(
    args: Any,
    joined: JoinedRequest,
    streams: Streams,
    mode: Text | None,
    grace: float,
    pipe_grace: float | None,
    *,
    check: bool,
) -> CompletedProcess[Any]:
    """As `run`, with the request of `plain_request`."""
    owner = _Owner(joined, running_loop(), pipe_grace)
    child: PlainChild | None = None
    try:
        reactor = reactor_of(owner.loop)
        child = PlainChild.beginning(owner, 0, args, reactor)
        try:
            reactor.launch_plain(joined, args, child)
        except (TypeError, ValueError, AttributeError) as error:
            raise named(error, args, {}, streams) from None
        try:
            await owner.over
        except asyncio.CancelledError as error:
            if not child.has_ended:
                await child.taken_over().stop(grace)
                child.taken_over().noted(error)
            raise
        keeps = streams[1] == _PIPE, streams[2] == _PIPE
        if child.capture is not None:
            return await _concluded(child.capture, args, keeps, mode, grace, check=check)
    except BaseException:  # a signal's handler may raise anywhere
        if child is not None:
            child.drop()
        close_unused(owner.loop)
        raise
    if child.error is not None:
        raise child.failure()
    result = child.completed(keeps, mode)
    if check and result.returncode:
        raise CalledProcessError(result.returncode, args, result.stdout, result.stderr)
    return result


async def _concluded(
    capture: Capture, args: list[Any], keeps: tuple[bool, bool], mode: Text | None, grace: float, *, check: bool
) -> CompletedProcess[Any]:
    """Of what has taken the child's place."""
    await concluded(capture, None, grace)
    output = capture.output(1) if keeps[0] else None, capture.output(2) if keeps[1] else None
    return completed(capture, args, output, mode, check=check)
