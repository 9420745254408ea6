"""A launch that its caller is left without, while it was waiting until the program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiospawn._termination.terminate import outlasted

if TYPE_CHECKING:
    import asyncio

    from aiospawn._request.joined_request import JoinedRequest
    from aiospawn._request.request import Request

__all__ = ["abandoned"]


class _Child(Protocol):
    """The transport of the child, as its launch knows it."""

    launch: asyncio.Future[None] | None
    request: Request | JoinedRequest | None

    def is_made(self) -> bool: ...
    def has_ended(self) -> bool: ...
    def kill_tree(self) -> None: ...
    def exit_waiter(self) -> asyncio.Future[int]: ...
    def forget_pipes(self) -> None: ...
    def close(self) -> None: ...


async def abandoned(child: _Child, reason: BaseException) -> None:
    """Kills and reaps the child, if there is one: no caller will ever have it. Its program may run, and have children.

    Args:
        child: Whose launch has ended by an exception.
        reason: The exception: that of the launch, a cancellation, or what a signal's handler raised anywhere.
    """
    try:
        if isinstance(reason, GeneratorExit):  # as with a loop closed under the coroutine: nothing can be awaited
            child.kill_tree()
            return
        if child.launch is not None:
            child.launch.cancel()  # a signal's handler raised: nobody waits for it any more
        if child.is_made():
            child.kill_tree()
            if not child.has_ended():
                await outlasted([child.exit_waiter()])  # the first cancellation propagates already
    finally:
        child.launch = child.request = None
        if not child.is_made():
            child.forget_pipes()
        child.close()
