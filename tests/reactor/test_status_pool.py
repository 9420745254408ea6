"""Status pipes that are used again: one launch after the other gets the pipe of an earlier one, and nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import fresh
import pytest
from loops import CONCURRENT
from place import lacks

import aiospawn

if TYPE_CHECKING:
    import pathlib
    from collections.abc import AsyncIterator

# Elsewhere a launch that is held holds the loop.
pytestmark = pytest.mark.loops("concurrent") if CONCURRENT else pytest.mark.skip(reason="each launch waits for its execve")

_KEPT = 64  # pipes, at most


def _pipes() -> set[str]:
    return {target for target in fresh.descriptors().values() if target.startswith("pipe:")}


@contextlib.asynccontextmanager
async def _held(count: int, fifo: pathlib.Path, *command: str) -> AsyncIterator[list[asyncio.Task[aiospawn.Process]]]:
    """So many launches that are on their way: each child waits for a writer of the FIFO, which comes at the end."""
    os.mkfifo(fifo)
    opened = {9: (str(fifo), os.O_RDONLY)}
    launches = [
        asyncio.create_task(aiospawn.create_subprocess_exec(*command, open_fds=opened, stdin=asyncio.subprocess.DEVNULL))
        for _ in range(count)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    yield launches
    writer = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)
    processes = await asyncio.gather(*launches)
    os.close(writer)
    for process in processes:
        await process.stop(0.0)


async def _ended(*command: str) -> int:
    return await (await aiospawn.create_subprocess_exec(*command)).wait()


async def test_used_again(tmp_path: pathlib.Path) -> None:
    before = _pipes()
    async with _held(1, tmp_path / "fifo", "sleep", "1000"):
        first = _pipes() - before
        assert len(first) == 1
        seen = set()
        for _ in range(5):
            assert await _ended("true") == 0
            seen |= _pipes() - before - first
            with pytest.raises(FileNotFoundError):
                await aiospawn.create_subprocess_exec("/nonexistent")
            seen |= _pipes() - before - first
        assert len(seen) == 1
    assert _pipes() == before


async def test_none_is_kept_at_rest(tmp_path: pathlib.Path) -> None:
    """Children that live on need none."""
    before = _pipes()
    fifo = tmp_path / "fifo"
    async with _held(3, fifo, "sleep", "1000") as launches:
        writer, reader = await asyncio.to_thread(os.open, fifo, os.O_WRONLY), os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        await asyncio.gather(*launches)
        assert _pipes() == before
        os.close(writer)
    os.close(reader)  # which let the block open its writer


async def test_more_than_are_kept(tmp_path: pathlib.Path) -> None:
    before = _pipes()
    async with _held(_KEPT + 6, tmp_path / "fifo", "true"):
        assert len(_pipes() - before) == _KEPT + 6
        assert await _ended("true") == 0
    assert _pipes() == before


async def test_killed_on_the_way(tmp_path: pathlib.Path) -> None:
    """Its end is told from that of a program, and its pipe is used again."""
    before, children = _pipes(), set(fresh.children())
    async with _held(2, tmp_path / "fifo", "true") as launches:
        pipes = _pipes()
        victim, _ = sorted(set(fresh.children()) - children)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(ChildProcessError):
            await launches.pop(0)
        assert await _ended("true") == 0
        assert _pipes() == pipes
    assert _pipes() == before


async def test_a_fork_has_none(tmp_path: pathlib.Path) -> None:
    before = _pipes()
    async with _held(2, tmp_path / "fifo", "true"):
        assert await _ended("true") == 0
        ours = _pipes() - before
        assert len(ours) == 3

        def look() -> None:
            assert not _pipes() & ours

        fresh.in_fork(look)
        assert await _ended("true") == 0


_REFUSED = """
import asyncio, ctypes, os
import aiospawn, fresh

CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 1 << 18, 2
libc = ctypes.CDLL(None, use_errno=True)

def without_proc():
    assert libc.unshare(CLONE_NEWNS) == 0
    assert libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
    assert libc.umount2(b"/proc", MNT_DETACH) == 0

def as_nobody():
    os.setresuid(65534, 65534, 65534)  # not dumpable any more: /proc/self/fd is root's

async def launch():
    process = await aiospawn.create_subprocess_exec("true")
    assert await process.wait() == 0
    try:
        await aiospawn.create_subprocess_exec("/nonexistent")
    except FileNotFoundError:
        return
    assert False

async def main():
    await asyncio.gather(*(launch() for _ in range(20)))
    {how}()
    for _ in range(3):
        await asyncio.gather(*(launch() for _ in range(20)))

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.parametrize("how", ["without_proc", "as_nobody"])
@pytest.mark.parametrize("earlier", [True, False])
def test_no_writing_end_can_be_had(how: str, variant: str, *, earlier: bool) -> None:
    """From some moment on, or from the start: then each launch has a pipe of its own."""
    if missing := lacks("setuid", "sys_admin"):
        pytest.skip(f"needs {', '.join(missing)}")
    program = _REFUSED.format(how=how)
    if not earlier:
        program = program.replace("    await asyncio.gather(*(launch() for _ in range(20)))\n    " + how, "    " + how, 1)
    fresh.run(program, variant)
