"""A launch from its call until its program runs or cannot be run, for the coroutine that waits for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiospawn._termination.terminate import outlasted

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiospawn._request.request import Request

__all__ = ["PendingLaunch"]


class _Child(Protocol):
    """The transport of the child, as its launch knows it."""

    launch: PendingLaunch | None

    def is_made(self) -> bool: ...
    def has_ended(self) -> bool: ...
    def kill_tree(self) -> None: ...
    def exit_waiter(self) -> asyncio.Future[int]: ...


class PendingLaunch:
    """One launch. It ends once: the program runs, it cannot be run, or nobody waits for it any more."""

    __slots__ = ("_child", "_waiter", "request")

    def __init__(self, child: _Child, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        self._child = child
        self._waiter: asyncio.Future[None] | None = loop.create_future()
        self.request = request

    async def concluded(self, launch: Callable[[Request], None]) -> None:
        """Calls `launch` and waits until the program runs. Cancelled meanwhile, it kills and reaps the child first.

        Args:
            launch: Makes the child. It may be interrupted anywhere, by a signal's handler that raises.

        Raises:
            OSError: The child could not be made, or not be set up, or its program could not be run.
        """
        waiter = self._waiter
        assert waiter is not None
        try:
            launch(self.request)
            await waiter
        except GeneratorExit:  # the coroutine is closed, as with a loop closed under it: nothing can be awaited
            self._child.kill_tree()
            raise
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # cancelled at the moment of a failure: marked as retrieved
            else:
                waiter.cancel()  # a signal's handler raised: nobody waits for it any more
            if self._child.is_made():
                await self._abandon()
            raise
        finally:
            self._waiter = self._child.launch = None  # which refers to the child
            del waiter  # its exception has this frame in its traceback

    async def _abandon(self) -> None:
        """No caller will ever have this process. Its program may run already, and have children."""
        self._child.kill_tree()
        if not self._child.has_ended():
            await outlasted([self._child.exit_waiter()])  # the first cancellation propagates already

    def over(self, error: Exception | None) -> None:
        """The program runs, or failed with `error`. Nothing happens if the launch is over."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
