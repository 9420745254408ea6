"""anyio's cancel scopes, whose cancellation is a state and not an event.

asyncio's cancellation strikes once: another one, while a child is being ended, says that somebody does not want to wait any
longer. A cancelled scope of anyio's calls `Task.cancel()` again on every iteration of the loop, until the task has left it
(https://anyio.readthedocs.io/en/stable/cancellation.html). That is no second cancellation, and would keep the loop busy for
as long as the child takes. What anyio has for this is a shield, within which no scope outside of it strikes; an asyncio
cancellation still does.

The package does not depend on anyio: a program that has a scope has imported it.
"""

from __future__ import annotations

import asyncio
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Shield"]


class Shield:
    """A block into which a scope that was cancelled before does not strike. One that is cancelled later does, once.

    Nothing happens where no scope around the block is cancelled.
    """

    __slots__ = ("_scope", "_task")

    def __init__(self) -> None:
        self._scope: Any = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        if self._task is not None and _is_cancelled():
            self._scope = sys.modules["anyio"].CancelScope(shield=True)
            self._scope.__enter__()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._scope is not None and self._is_in_its_task():
            self._scope.__exit__(exc_type, exc, traceback)

    def _is_in_its_task(self) -> bool:
        """A coroutine that is closed leaves the block elsewhere, which anyio refuses; its task never runs again."""
        try:
            return asyncio.current_task() is self._task
        except RuntimeError:  # no loop runs
            return False


def _is_cancelled() -> bool:
    """Whether a scope around the caller is."""
    deadline = getattr(sys.modules.get("anyio"), "current_effective_deadline", None)
    try:
        return deadline is not None and deadline() == -math.inf
    except ImportError:  # of anyio's backend, which comes with the first scope: where it cannot come, there is none
        return False
