"""A command whose end alone is waited for has no status pipe: what it reports on its way lies in memory that it shares."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fresh
import pytest

import aiospawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LASTS = ["sleep", "1000"]


def _running() -> int:
    """How many children are at their program."""
    found = 0
    for pid in fresh.children():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep")
    return found


def _wait_for_running(count: int) -> None:
    while _running() < count:
        time.sleep(0.001)


@contextlib.asynccontextmanager
async def _lasting(count: int, **options: Any) -> AsyncIterator[None]:
    """So many commands that last, each at its program before the next is launched."""
    tasks: list[asyncio.Task[Any]] = []
    try:
        for number in range(count):
            tasks.append(asyncio.create_task(aiospawn.run(_LASTS, **options)))
            await asyncio.sleep(0)
            await asyncio.to_thread(_wait_for_running, number + 1)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_descriptors() -> None:
    """It has its pidfd, and the pipe that it writes to."""
    await aiospawn.run(["true"])  # the loop's own
    before = len(fresh.descriptors())
    async with _lasting(5):
        assert len(fresh.descriptors()) == before + 5
    async with _lasting(5, stdout=-1):
        assert len(fresh.descriptors()) == before + 10


async def test_observer() -> None:
    """Who waits for it is told."""
    seen: list[Any] = []
    await aiospawn.run(["true"], on_event=seen.append)
    assert [type(event) for event in seen] == [aiospawn.Spawned, aiospawn.Executed, aiospawn.Exited]


def _stacks() -> int:
    """Those of children on their way: a page that guards, 64 KiB, and 64 KiB for the request."""
    guard = 0
    found = 0
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        ends, rights, *_ = line.split()
        first, beyond = (int(end, 16) for end in ends.split("-"))
        found += rights == "rw-p" and first == guard and beyond - first == 128 * 1024
        guard = beyond if rights == "---p" else 0
    return found


async def test_stacks_are_used_again() -> None:
    """Also where no child ends."""
    await aiospawn.run(["true"])
    before = _stacks()
    assert before
    async with _lasting(40):
        assert _stacks() - before <= 20


@pytest.mark.parametrize("stdout", [None, asyncio.subprocess.PIPE])
@pytest.mark.parametrize(
    ("command", "options"),
    [(["/nonexistent"], {}), (["/dev/null"], {}), (["true"], {"cwd": "/nonexistent"}), (["true"], {"process_group": 1})],
)
async def test_failure(command: list[str], options: dict[str, Any], stdout: int | None) -> None:
    """It is the same error, with the same words, as where a status pipe brings it."""
    raised = []
    for launch in (aiospawn.run(command, stdout=stdout, **options), aiospawn.create_subprocess_exec(*command, **options)):
        with pytest.raises(OSError) as error:
            await launch
        raised.append((type(error.value), str(error.value), error.value.filename, getattr(error.value, "step", None)))
    assert raised[0] == raised[1]


def _kill_waiting_child() -> None:
    while True:
        for pid in fresh.children():
            with contextlib.suppress(FileNotFoundError):
                if Path(f"/proc/{pid}/wchan").read_text(encoding="ascii") == "wait_for_partner":
                    os.kill(pid, signal.SIGKILL)
                    return


@pytest.mark.parametrize("stdout", [None, asyncio.subprocess.PIPE])
async def test_death_on_the_way(stdout: int | None, tmp_path: Path) -> None:
    """Killed between clone and execve, it has never run."""
    os.mkfifo(fifo := tmp_path / "fifo")
    killer = threading.Thread(target=_kill_waiting_child)  # the launch may wait for the execve
    killer.start()
    with pytest.raises(ChildProcessError, match="SIGKILL"):
        await aiospawn.run(["true"], stdout=stdout, open_fds={9: (fifo, os.O_RDONLY)})
    killer.join()


_CLOSED = """
import asyncio, os, pathlib, sys
import aiospawn, fresh

fifo, told = sys.argv[1:]

def held():
    return [pid for pid in fresh.children() if pathlib.Path(f"/proc/{pid}/wchan").read_text() == "wait_for_partner"]

async def leave(count):
    for number in range(count):
        run = aiospawn.run(["sh", "-c", f"echo {number} >> {told}"], open_fds={9: (fifo, os.O_RDONLY)})
        tasks.append(asyncio.create_task(run))
    await asyncio.sleep(0)
    while len(held()) < count:
        await asyncio.sleep(0.001)
    fresh.in_fork(lambda: asyncio.run(aiospawn.run(["true"])))

async def use_memory():
    async for result in aiospawn.map([["echo", "x" * 60000]] * 100, concurrency=16, stdout=-1):
        assert len(result.stdout) == 60001

tasks = []
loop = fresh.new_event_loop()
loop.run_until_complete(leave(5))
loop.close()
for task in tasks:
    task._log_destroy_pending = False
loop = fresh.new_event_loop()
loop.run_until_complete(use_memory())
assert len(held()) == 5
opened = os.open(fifo, os.O_RDWR)
while len(words := pathlib.Path(told).read_text().split()) < 5:
    pass
assert sorted(words) == ["0", "1", "2", "3", "4"]
loop.run_until_complete(use_memory())
loop.close()
"""


@pytest.mark.once
def test_closed_on_the_way(tmp_path: Path) -> None:
    """Children whose loop is closed get to their programs, on memory that nobody else is given; a fork has none of them."""
    os.mkfifo(fifo := tmp_path / "fifo")
    (told := tmp_path / "told").touch()
    command = fresh.command(_CLOSED, fifo, told)
    done = subprocess.run(command, env=fresh.environment(), capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
