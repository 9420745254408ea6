"""Waiting for what nothing reports."""

import asyncio
from collections.abc import Callable

__all__ = ["until"]


async def until(condition: Callable[[], object]) -> None:
    """Lets the loop run until it is true; pytest's time limit is that of the wait."""
    while not condition():  # noqa: ASYNC110 - what it looks at has no event
        await asyncio.sleep(0.001)
