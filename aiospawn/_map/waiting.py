"""Futures that somebody waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

__all__ = ["wake"]


def wake(waiter: asyncio.Future[None]) -> None:
    """Nothing happens if it was woken, or cancelled, before."""
    if not waiter.done():
        waiter.set_result(None)
