"""Callbacks of a loop that a reactor makes for targets which are not called at once: none of them is lost."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Final

from .mailbox import Mailbox

if TYPE_CHECKING:
    import asyncio
    import weakref
    from collections.abc import Callable

    from aiospawn._binding.native import Native

    from .mailbox import Target

__all__ = ["Callbacks"]

_NOBODYS: Final = contextvars.Context()


class Callbacks:
    """Those of one reactor's loop: the mailboxes of targets, and what somebody wants to be called soon."""

    __slots__ = ("_loop", "_native", "_soon", "mailboxes")

    def __init__(self, loop: weakref.ref[asyncio.AbstractEventLoop], native: Native) -> None:
        self._loop = loop
        self._native = native
        self.mailboxes: dict[int, Mailbox] = {}
        """Of the children of these tokens, which are not called at once; who has no more events is taken out."""
        self._soon: dict[Callable[[], None], contextvars.Context] = {}

    def mailbox(self, token: int, target: Target) -> Mailbox:
        """Of the child of that token. Behind what is put there, `look_after` is to be called."""
        mailbox = self.mailboxes.get(token)
        if mailbox is None:
            mailbox = self.mailboxes[token] = Mailbox(target, self.post)
        return mailbox

    def soon(self, callback: Callable[[], None], context: contextvars.Context) -> None:
        """Makes a resumable callback soon, in a copy of the context, again until it returns."""
        self._soon[callback] = context
        self.post(context, self._made, callback)
        self.look_after()

    def _made(self, callback: Callable[[], None]) -> None:
        if callback in self._soon:
            callback()
            self._soon.pop(callback, None)

    def post(self, context: contextvars.Context, callback: Callable[..., None], *arguments: Any) -> None:
        """Once, and perhaps never: a signal's handler may raise where the loop has taken it and not called it."""
        loop = self._loop()
        if loop is not None and not self._native.dead and not loop.is_closed():
            # A copy: a callback may run a nested loop, and a context cannot be entered twice.
            loop.call_soon(callback, *arguments, context=context.copy())

    def post_twice(self, callback: Callable[[], None]) -> None:
        """In nobody's context. One of them may be lost."""
        for _ in range(2):
            self.post(_NOBODYS, callback)

    def look_after(self) -> None:
        """Behind what was posted: what was lost is posted again."""
        self.post(_NOBODYS, self._post_again)

    def _post_again(self) -> None:
        left = [mailbox.post_again() for mailbox in [*self.mailboxes.values()]]
        for callback, context in [*self._soon.items()]:
            self.post(context, self._made, callback)
            left.append(True)
        if any(left):
            self.look_after()

    def clear(self) -> None:
        self.mailboxes.clear()
        self._soon.clear()
