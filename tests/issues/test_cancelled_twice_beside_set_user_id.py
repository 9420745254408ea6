"""Of two children, one of which may not be signalled: the second cancellation of what ended both had no note on that one."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile

import fresh
import pytest
from process_trees import lives

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, os
import aiospawn, fresh, process_trees

FOREIGN = [os.environ["PROGRAM"], "--reuid", "0", "sh", "-c", "echo ready >&2; exec sleep 1000"]
DEAF = ["sh", "-c", "trap 'echo told >&2' TERM; echo ready >&2; while :; do sleep 0.05; done"]

async def pipeline(tree, ready):
    await aiospawn.pipeline(FOREIGN, DEAF, stdout=aiospawn.DEVNULL, stderr=tree.stderr, grace=1000)

async def launched(group, tree):
    await group.spawn(*FOREIGN, stdout=aiospawn.DEVNULL, stderr=tree.stderr)
    await group.spawn(*DEAF, stdout=aiospawn.DEVNULL, stderr=tree.stderr, process_group=0)

async def block(tree, ready):
    async with aiospawn.ProcessGroup(grace=1000) as group:
        await launched(group, tree)
        ready.set()
        await asyncio.Event().wait()

async def stop(tree, ready):
    async with aiospawn.ProcessGroup(grace=1000) as group:
        await launched(group, tree)
        ready.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await group.stop()

async def note(way):
    tree, ready = process_trees.Tree(), asyncio.Event()
    task = asyncio.create_task(way(tree, ready))
    for _ in range(2):
        await tree.is_ready()
    if way is not pipeline:  # a launch that is cancelled kills at once
        await ready.wait()
    task.cancel()
    while await tree.line() != b"told\\n":  # dash reports its own children as well
        pass
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as exc:
        print(exc.__notes__[0])

async def main():
    os.setresuid(1000, 1000, 1000)
    for way in (pipeline, block, stop):
        await note(way)

with asyncio.Runner(loop_factory=fresh.new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to make a set-user-id program")
def test_note(variant: str) -> None:
    """Every exception names the program that goes on."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv of util-linux is not installed")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        copied = shutil.copy(setpriv, directory)
        os.chmod(copied, 0o4755)
        notes = fresh.run(_PROGRAM, variant, PROGRAM=copied).splitlines()
    pids = [int(note.split()[2]) for note in notes]
    assert notes == [
        f"Its process {pid} is still running: no permission to signal it (a set-user-id program)." for pid in pids
    ]
    assert len(pids) == 3
    for pid in pids:
        assert lives(pid)
        os.kill(pid, signal.SIGKILL)
