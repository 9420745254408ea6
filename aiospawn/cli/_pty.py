"""`aiospawn run --pty`: the command has a terminal of its own, and the user of this one in front of it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import aiospawn

if TYPE_CHECKING:
    import argparse

__all__ = ["conversed", "session"]


def session(command: list[str], options: argparse.Namespace, keywords: dict[str, Any]) -> aiospawn.TerminalSession[bytes]:
    """With the size of this process's terminal; 24 by 80 where it has none."""
    size = next(filter(None, map(_size, (0, 1, 2))), (24, 80))
    return aiospawn.TerminalSession(command, encoding=None, size=size, grace=options.grace, **keywords)


async def conversed(session: aiospawn.TerminalSession[bytes], timeout: float | None) -> bool:
    """Until the command ends. False if it took more than so many seconds, and has been stopped."""
    try:
        async with asyncio.timeout(timeout):
            await session.interact(escape_character=None)
            await session.wait()
    except TimeoutError:
        await session.close()
        return False
    return True


def _size(descriptor: int) -> tuple[int, int] | None:
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return None
    return (rows, columns) if rows and columns else None  # one that nobody has set, as of a container
