"""Who receives a child's events, and where those wait that a callback of the loop delivers."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

__all__ = ["Event", "Mailbox", "Target"]

Event: TypeAlias = tuple[int, int, int, int, int, Any]  # number, kind, stream, value, extra, payload
_Post: TypeAlias = "Callable[[contextvars.Context, Callable[..., None], Any], None]"


class Target(Protocol):
    """The receiver of a child's events."""

    token: int
    """Of the child, set by the reactor before any event can come; 0 where there is no child of this target's."""

    @property
    def context(self) -> contextvars.Context:
        """In a copy of which its callbacks run."""

    @property
    def immediate(self) -> bool:
        """Whether nobody else's code runs in `on_event`, and it does not raise: then no callback of the loop is needed."""

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """Runs as a callback of the loop, unless `immediate`. A number that is not above the last was handled before.

        It is resumable: after an exception it is called again with the same event, until it returns.
        """


class Mailbox:
    """The events of one target that are delivered by callbacks of the loop: each stays until its handling has returned.

    Each has its own callback, which also handles what is before it: that was interrupted.
    """

    __slots__ = ("_events", "_is_busy", "_post", "target")

    def __init__(self, target: Target, post: _Post) -> None:
        self.target = target
        """Whose they are."""
        self._post = post
        self._events: collections.deque[Event] = collections.deque()
        self._is_busy = False

    def put(self, event: Event) -> None:
        if not self._events or self._events[-1][0] < event[0]:  # else it was put here before an interruption
            self._events.append(event)
        self._post(self.target.context, self.on_event, event[0])

    def on_event(self, number: int) -> None:
        """As a callback of the loop: handles what is here up to this number."""
        try:
            self._is_busy = True
            while self._events and self._events[0][0] <= number:
                event = self._events[0]
                self.target.on_event(*event)
                if self._events and self._events[0] is event:  # else a loop within that was here
                    self._events.popleft()
        finally:
            self._is_busy = False

    def post_again(self) -> bool:
        """What is here whose callback has come to nothing. Is there any?"""
        if not self._events or self._is_busy:
            return False
        self._post(self.target.context, self.on_event, self._events[-1][0])
        return True
