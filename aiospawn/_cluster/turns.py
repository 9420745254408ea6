"""What comes from one agent, in its order, where a function of the caller's is awaited in between."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Turns"]


class Turns:
    """Of one map. An agent whose lines are being handled is asked for no more of them."""

    def __init__(self, failed: Callable[[Exception], object], done: Callable[[Link], object]) -> None:
        """`failed` is called with what a function raises, `done` when all that an agent has reported is handled."""
        self._failed = failed
        self._done = done
        self._waiting: dict[str, collections.deque[Callable[[], object]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def take(self, link: Link, call: Callable[[], object]) -> None:
        """Calls it, or when what came before is handled."""
        waiting = self._waiting.get(link.name)
        if waiting is not None:
            waiting.append(call)
            return
        answer = self._called(call)
        if isinstance(answer, Awaitable):
            self._waiting[link.name] = collections.deque()
            link.holds_back = True
            task = asyncio.get_running_loop().create_task(self._go_through(link, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _called(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - of a function of the caller's
            self._failed(error)
            return None

    async def _go_through(self, link: Link, answer: Awaitable[Any]) -> None:
        waiting = self._waiting[link.name]
        try:
            await answer
            while waiting:
                following = self._called(waiting.popleft())
                if isinstance(following, Awaitable):
                    await following
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)
        finally:
            del self._waiting[link.name]
        self._done(link)

    async def close(self) -> None:
        """Cancels what is being awaited."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
