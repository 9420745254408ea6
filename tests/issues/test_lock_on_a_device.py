"""A launch with many descriptors dropped the process's POSIX locks on a device, terminal or FIFO that the child inherits."""

import fresh
import pytest

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, fcntl, os, tempfile
import aiospawn, fresh

def is_locked(path):
    if not (child := os.fork()):
        with open(path, "r+b", buffering=0) as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1

def open_ones(path):
    return [fd for fd, target in fresh.descriptors().items() if target == path]

async def main(path):
    there = open_ones(path)
    opened = os.open(path, os.O_RDWR)
    kept = os.dup(2)
    os.dup2(opened, 2)
    before = len(fresh.descriptors()) + len(fresh.reserved())
    try:
        fcntl.lockf(2, fcntl.LOCK_EX)
        for _ in range(3):
            process = await aiospawn.create_subprocess_exec("true", stdin=-3, stdout=-3)
            assert await process.wait() == 0
            assert is_locked(path), "locked before the launch"
        fcntl.lockf(2, fcntl.LOCK_UN)
        launch = asyncio.create_task(aiospawn.create_subprocess_exec("true", stdin=-3, stdout=-3))
        await asyncio.sleep(0)
        fcntl.lockf(2, fcntl.LOCK_EX)
        assert await (await launch).wait() == 0
        assert is_locked(path), "locked right behind the launch"
        for _ in range(40):  # also when every number of the block has been used
            process = await aiospawn.create_subprocess_exec("true", stdin=-3, stdout=-3)
            assert await process.wait() == 0
            assert is_locked(path)
        assert len(fresh.descriptors()) + len(fresh.reserved()) == before
        fcntl.lockf(2, fcntl.LOCK_UN)
        assert not is_locked(path)
        process = await aiospawn.create_subprocess_exec("true", stdin=-3, stdout=-3, close_fds=False)
        assert await process.wait() == 0
    finally:
        os.dup2(kept, 2)
    os.close(kept)
    os.close(opened)
    assert open_ones(path) == there

loop = fresh.new_event_loop()
assert aiospawn.supported()
with tempfile.TemporaryDirectory() as directory:
    fifo = os.path.join(directory, "fifo")
    os.mkfifo(fifo)
    loop.run_until_complete(main({"device": "/dev/zero", "terminal": os.ttyname(os.openpty()[1]), "fifo": fifo}[%r]))
loop.close()
"""


@pytest.mark.parametrize("kind", ["device", "terminal", "fifo"])
@pytest.mark.parametrize("crowd", [600, 1500])
def test_lock_stays(variant: str, crowd: int, kind: str) -> None:
    """Taken before the launch, or while its child is on the way."""
    assert fresh.run(_PROGRAM % kind, variant, crowd) == ""
