"""A free status pipe that somebody had opened in /proc was free twice: two launches had it, one of which never ended.

The kernel may report one end twice by itself, where it is asked while the end comes.
"""

import asyncio
import os
import pathlib

import fresh
import pytest
from loops import CONCURRENT

import aiospawn

# Elsewhere a launch that is held holds the loop.
pytestmark = pytest.mark.loops("concurrent") if CONCURRENT else pytest.mark.skip(reason="each launch waits for its execve")


def _pipes() -> set[int]:
    return {number for number, file in fresh.descriptors().items() if file.startswith("pipe:")}


async def test_every_launch_is_told(tmp_path: pathlib.Path) -> None:
    """Each has a pipe for itself."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    held = asyncio.create_task(aiospawn.create_subprocess_exec("true", open_fds={3: (fifo, os.O_RDONLY)}))
    await asyncio.sleep(0)
    before = _pipes()
    for process in await asyncio.gather(*(aiospawn.create_subprocess_exec("true") for _ in range(3))):
        await process.wait()
    for number in _pipes() - before:
        os.close(os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_NONBLOCK))
    await asyncio.sleep(0)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        launches = [group.create_task(aiospawn.create_subprocess_exec("sleep", "1000")) for _ in range(6)]
    for launch in launches:
        await launch.result().stop()
    os.close(os.open(fifo, os.O_WRONLY))
    assert await (await held).wait() == 0
