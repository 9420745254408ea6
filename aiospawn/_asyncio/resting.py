"""The target of a child that has ended, and whose open pipes are all paused: nothing comes of it before one is resumed.

Only a program that holds the child, or a stream of its, can do that. So the reactor holds it weakly: where a program has
dropped it, its pipes are closed, as asyncio's are, which no selector has while they are paused.
"""

from __future__ import annotations

import contextvars
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .mailbox import Target

__all__ = ["Resting"]


class Resting:
    """In such a child's place. What was on its way is passed on to it."""

    __slots__ = ("_child", "token")

    def __init__(self, child: Target, freed: Callable[[int], None]) -> None:
        """`freed` is called with the token when the child is, in whichever thread."""
        self.token = token = child.token
        self._child = weakref.ref(child, lambda _: freed(token))

    @property
    def context(self) -> contextvars.Context:
        """As `Target` has it."""
        child = self._child()
        return contextvars.Context() if child is None else child.context

    @property
    def immediate(self) -> bool:
        """As `Target` has it."""
        child = self._child()
        return child is None or child.immediate

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """As `Target` has it."""
        child = self._child()
        if child is not None:
            child.on_event(number, kind, stream, value, extra, payload)
