"""A Process of a checked command, whose launch is reported to an observer."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

from aiospawn._asyncio.creation import create_subprocess_exec

from .command import understood
from .mistakes import named

if TYPE_CHECKING:
    from aiospawn._asyncio.process import Process

    from .command import CheckedCommand
    from .events import Observer

__all__ = ["observed"]


async def observed(watcher: Observer | None, command: CheckedCommand, **keywords: Any) -> Process:
    """Launches it. The exit is for the caller to report. Raises what `create_subprocess_exec` raises."""
    options = command.keywords
    if command.options is None:
        options = understood(options, asyncio.get_running_loop())
    program, *args = command.argv
    try:
        process = await create_subprocess_exec(program, *args, **keywords, **options)
    except (OSError, subprocess.SubprocessError) as exc:
        if watcher is not None:
            watcher.failed(exc)
        raise
    except (TypeError, ValueError, AttributeError) as error:
        streams = [keywords.get(name) for name in ("stdin", "stdout", "stderr")]
        raise named(error, command.argv, command.keywords, streams) from None
    try:  # the observer may leave the program
        if watcher is not None:
            watcher.spawned(process.pid)
            watcher.executed()
    except BaseException:
        process.abandon()
        raise
    return process
