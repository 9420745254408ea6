"""Commands that come by and by, for a map that asks when it can launch one: no coroutine waits for the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

__all__ = ["NONE_YET", "Arrivals"]

NONE_YET: Final = object()
"""In place of a command: there is none for now."""


class Arrivals(Iterator[Any]):
    """A source of commands for a map. It is asked when a command can be launched at once."""

    def __init__(self, take: Callable[[], Any]) -> None:
        """`take` returns a command or NONE_YET, and raises StopIteration behind the last one."""
        self._take = take
        self.listener: Callable[[], object] | None = None
        """The map's, once there is one."""

    def __next__(self) -> Any:
        return self._take()

    def came(self) -> None:
        """There is a command now, or no more will come."""
        if self.listener is not None:
            self.listener()
