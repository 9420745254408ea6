"""On a loop that is not ours the reactor comes with the first launch and goes with the last child, whatever became of it."""

import asyncio
import contextlib
import os
import resource
from collections.abc import Iterator

import fresh
import pytest

import aiospawn


def wait_without_the_loop(pid: int) -> None:
    """Until the process has exited; it stays a zombie. No callback runs meanwhile, so all its events come at once."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


@pytest.fixture(params=["asyncio", "uvloop"])
def foreign(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that is not ours: it must hold no descriptor of ours when none of its children is left."""
    loop = pytest.importorskip(request.param).new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))  # uvloop opens its own with the first run
    before = fresh.descriptors()
    yield loop
    after = fresh.descriptors()
    loop.close()
    assert after == before


def test_a_foreign_loop_holds_the_reactor_until_its_last_child(foreign: asyncio.AbstractEventLoop) -> None:
    """The reactor comes with the first child and goes with the last, whatever their order."""

    async def main() -> None:
        first, second = [await aiospawn.create_subprocess_exec("cat", stdin=aiospawn.PIPE) for _ in range(2)]
        reactor = foreign._aiospawn_reactor
        first.stdin.close()
        await first.wait()
        assert foreign._aiospawn_reactor is reactor
        second.stdin.close()
        await second.wait()
        assert not hasattr(foreign, "_aiospawn_reactor")

    foreign.run_until_complete(main())


def test_a_child_that_was_gone_at_once(foreign: asyncio.AbstractEventLoop) -> None:
    """The exit of a child that has exited before anybody looks is reported, and the reactor is released."""

    async def launched() -> None:
        known = fresh.children()
        creation = asyncio.create_task(aiospawn.create_subprocess_exec("true", stdin=-1, stdout=-1, stderr=-1))
        await asyncio.sleep(0)
        (pid,) = set(fresh.children()) - set(known)
        wait_without_the_loop(pid)
        process = await creation
        assert await process.communicate() == (b"", b"")
        assert process.returncode == 0

    foreign.run_until_complete(launched())


def test_failed_launches_let_the_reactor_go(foreign: asyncio.AbstractEventLoop) -> None:
    """A program that is not there closes the reactor with its end, and not under a launch that is still on its way."""

    async def main() -> None:
        missing = [asyncio.create_task(aiospawn.create_subprocess_exec("/nonexistent", stdout=-1)) for _ in range(5)]
        await asyncio.wait(missing, return_when=asyncio.FIRST_COMPLETED)
        process = await aiospawn.create_subprocess_exec("echo", "text", stdout=-1)
        for task in missing:
            with pytest.raises(FileNotFoundError):
                await task
        assert await process.communicate() == (b"text\n", None)

    foreign.run_until_complete(main())


def test_a_launch_that_made_nothing_lets_the_reactor_go(foreign: asyncio.AbstractEventLoop) -> None:
    """An error of the clone itself closes the reactor; another child's stays."""

    async def main() -> None:
        beside = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 3, limits[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1, stderr=-1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert await beside.communicate(b"text") == (b"text", None)

    foreign.run_until_complete(main())


def test_cancelled_launches_let_the_reactor_go(foreign: asyncio.AbstractEventLoop) -> None:
    """A cancelled creation has killed and reaped its child, and given the reactor back, when it raises."""

    async def main() -> None:
        for turns in range(3):
            creation = asyncio.create_task(aiospawn.create_subprocess_exec("sleep", "1000", stdin=-1, stdout=-1))
            for _ in range(turns):
                await asyncio.sleep(0)
            creation.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                process = await creation  # too late to be cancelled
                process.kill()
                await process.wait()
        assert fresh.children() == []

    foreign.run_until_complete(main())
