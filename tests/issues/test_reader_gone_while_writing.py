"""A reader that was gone between the news that its pipe takes data and the write: the stream never closed."""

import os
from typing import Any

import pytest

import aiospawn
from aiospawn._binding.library import Event


async def test_reader_gone_while_writing() -> None:
    """The write fails, and the stream is closed with its error."""
    process: Any = await aiospawn.create_subprocess_exec("sleep", "1000", stdin=aiospawn.PIPE)
    process.stdin.write(bytes(65536))
    process.stdin.write(b"kept")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - it is killed
    process.stdin.transport.on_event(0, Event.WRITABLE, 0, None)
    with pytest.raises(BrokenPipeError):
        await process.stdin.wait_closed()
    await process.wait()
