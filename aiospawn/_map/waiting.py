"""Futures that somebody waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

__all__ = ["wake"]


def wake(waiter: asyncio.Future[None] | None) -> None:
    """Nothing happens if there is none, or it was woken, or cancelled, before."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
