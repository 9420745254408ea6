"""`Process.stop`: everything of the child is gone when it returns, and nothing of anybody else."""

import asyncio
import contextlib
import os
import pathlib
import signal
from typing import Any

import fresh
import place
import pytest
from place import cgroup, lacks

import aiospawn
from aiospawn import PIPE

_DEAF = 'trap "" TERM; echo ready; exec sleep 1000'
_LONG = 1000.0


@pytest.fixture(autouse=True)
def _may_have_cgroups(request: pytest.FixtureRequest) -> None:
    if "cgroup" in request.node.name and lacks("sys_admin"):
        pytest.skip("needs sys_admin, for a cgroup")


async def _launched(program: str, **options: Any) -> Any:
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", program, stdout=PIPE, **options)
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_obedient() -> None:
    """A child that ends at SIGTERM is not waited for any longer."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000")
    assert await process.stop(_LONG) == -signal.SIGTERM
    assert process.returncode == -signal.SIGTERM


async def test_own_exit_code() -> None:
    """What the child makes of SIGTERM is its return code."""
    process = await _launched('trap "exit 3" TERM; sh -c "echo ready; exec sleep 1000" & wait', start_new_session=True)
    assert await process.stop(_LONG) == 3
    assert await process.stdout.read() == b""


@pytest.mark.parametrize("grace", [0, 0.05])
async def test_deaf(grace: float) -> None:
    """A child that ignores SIGTERM is killed after the grace."""
    process = await _launched(_DEAF)
    assert await process.stop(grace) == -signal.SIGKILL


async def test_stopped() -> None:
    """A child that stands still is killed after the grace."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000")
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)  # noqa: ASYNC222 - at once
    assert await process.stop(0.05) == -signal.SIGKILL


async def test_deaf_grandchildren() -> None:
    """Of a group that the child leads, those who ignore SIGTERM are killed as well, after the grace."""
    process = await _launched(f"({_DEAF}) & (trap '' TERM; exec sleep 1000) & wait", start_new_session=True)
    started = asyncio.get_running_loop().time()
    assert await process.stop(0.1) == -signal.SIGTERM
    assert asyncio.get_running_loop().time() - started > 0.099  # uvloop's clock counts milliseconds, at the turn of the loop
    assert await process.stdout.read() == b""


async def test_already_dead() -> None:
    """A child that is gone is not signalled; what is left of its group is killed."""
    process = await aiospawn.create_subprocess_exec("false")
    await process.wait()
    assert await process.stop() == 1
    assert await process.stop() == 1
    process = await _launched("sleep 1000 & echo ready; exit 4", start_new_session=True)
    assert await process.wait() == 4
    assert await process.stop() == 4
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 9):
        pytest.skip("the group of a leader that is gone can be signalled from Linux 6.9 on")
    assert await process.stdout.read() == b""


async def test_twice_at_once() -> None:
    """Any number of tasks may stop a child."""
    process = await _launched(_DEAF)
    assert await asyncio.gather(process.stop(0.05), process.stop(_LONG), process.stop(0)) == [-signal.SIGKILL] * 3


async def test_negative_grace() -> None:
    """A negative grace is refused, and the child lives on."""
    async with await aiospawn.create_subprocess_exec("sleep", "1000") as process:
        with pytest.raises(ValueError, match="-1"):
            await process.stop(-1)
        assert process.returncode is None


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_cancelled(cancellations: int) -> None:
    """Cancelled while it waits, `stop` kills and reaps at once, and passes the cancellation on."""
    process = await _launched(
        'trap "echo told" TERM; echo ready; sleep 1000 & wait; sleep 1000 & wait', start_new_session=True
    )
    stop = asyncio.create_task(process.stop(_LONG))
    assert await process.stdout.readline() == b"told\n"
    for _ in range(cancellations):
        stop.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await stop
    assert process.returncode == -signal.SIGKILL
    assert await process.stdout.read() == b""


async def test_signals_by_name() -> None:
    """In `send_signal` and `stop`; a name that is none is refused, with the nearest."""
    process = await _launched('trap "echo hup" HUP; trap "exit 4" INT; echo ready; while :; do sleep 0.01; done')
    process.send_signal("HUP")
    assert await process.stdout.readline() == b"hup\n"
    with pytest.raises(ValueError, match="signal: there is no 'SIGTREM': did you mean 'SIGTERM'"):
        process.send_signal("SIGTREM")
    assert await process.stop(_LONG, signal="sigint") == 4


async def test_grace_of_a_block() -> None:
    """What the launch was given, for leaving the block."""
    async with await _launched(_DEAF, grace=0) as process:
        pass
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ValueError, match="grace must not be negative, got -1"):
        await aiospawn.create_subprocess_exec("true", grace=-1)


async def test_block_that_is_left_by_an_exception() -> None:
    """`async with` stops the child and passes the exception on."""
    with pytest.raises(ZeroDivisionError):
        async with await aiospawn.create_subprocess_exec("sleep", "1000") as process:
            raise ZeroDivisionError
    assert process.returncode == -signal.SIGTERM


# ---- cgroups ----------------------------------------------------------------------------------------------------------


async def test_cgroup_kills_everybody(tmp_path: pathlib.Path) -> None:
    """Who left the group and the session, but not the cgroup, is killed too."""
    with cgroup(tmp_path) as group:
        process = await _launched(f"setsid sh -c '{_DEAF}' & wait", cgroup=group)
        assert await process.stop(_LONG) == -signal.SIGTERM
        assert await process.stdout.read() == b""
        place.empty(group)


async def test_cgroup_when_cancelled(tmp_path: pathlib.Path) -> None:
    """A cancellation does not save anybody in the cgroup."""
    with cgroup(tmp_path) as group:
        process = await _launched(f"trap 'echo told' TERM; setsid sh -c '{_DEAF}' & wait; wait", cgroup=group)
        stop = asyncio.create_task(process.stop(_LONG))
        assert await process.stdout.readline() == b"told\n"
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        assert await process.stdout.read() == b""


async def test_cgroup_of_a_launch_that_is_cancelled(tmp_path: pathlib.Path) -> None:
    """The program runs already, and somebody has left its group: nobody will hold the process, so all are killed."""
    with cgroup(tmp_path) as group:
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as output:
            script = f"setsid sh -c '{_DEAF}' & wait"
            creation = asyncio.create_task(
                aiospawn.create_subprocess_exec("/bin/sh", "-c", script, stdout=writer, cgroup=group, process_group=0)
            )
            await asyncio.sleep(0)
            os.close(writer)
            assert output.readline() == b"ready\n"  # meanwhile the loop stands still
            creation.cancel()
            with pytest.raises(asyncio.CancelledError):
                await creation
            assert output.read() == b""


async def test_cgroup_whose_descriptor_was_closed(tmp_path: pathlib.Path) -> None:
    """The caller may close the descriptor after the launch: the cgroup is still the one that was meant."""
    with cgroup(tmp_path) as group:
        descriptor = os.open(group, os.O_PATH)
        process = await _launched(f"setsid sh -c '{_DEAF}' & wait", cgroup=descriptor)
        os.close(descriptor)
        assert await process.stop(_LONG) == -signal.SIGTERM
        assert await process.stdout.read() == b""


async def test_cgroup_that_nobody_is_in_any_more(tmp_path: pathlib.Path) -> None:
    """Its descriptor is not kept for as long as somebody keeps the process."""
    with cgroup(tmp_path) as group:
        process = await aiospawn.create_subprocess_exec("true", cgroup=group)
        await process.wait()
        assert str(group) not in fresh.descriptors().values()
        assert await process.stop() == 0


async def test_cgroup_of_a_stranger(tmp_path: pathlib.Path) -> None:
    """A number that means another cgroup by now does not get that one killed."""
    with cgroup(tmp_path, "ours") as ours, cgroup(tmp_path, "theirs") as theirs:
        victim = await aiospawn.create_subprocess_exec("sleep", "1000", cgroup=theirs)
        descriptor = os.open(ours, os.O_PATH)
        process = await aiospawn.create_subprocess_exec("sleep", "1000", cgroup=descriptor)
        other = os.open(theirs, os.O_PATH)
        os.dup2(other, descriptor)
        os.close(other)
        with contextlib.suppress(OSError):
            await process.stop()
        os.close(descriptor)
        assert await process.wait() == -signal.SIGTERM
        victim.send_signal(signal.SIGUSR1)  # had it been killed, that would be its end
        assert await victim.wait() == -signal.SIGUSR1


async def test_cgroup_that_is_gone(tmp_path: pathlib.Path) -> None:
    """A cgroup that was removed has nobody in it: that is no error."""
    with cgroup(tmp_path) as group:
        async with await aiospawn.create_subprocess_exec("true", cgroup=group) as process:
            await process.wait()
            place.empty(group)
            group.rmdir()
        assert process.returncode == 0


async def test_cgroup_of_a_relative_path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cgroup is the one of the launch, wherever the program goes."""
    with cgroup(tmp_path) as group:
        monkeypatch.chdir(group.parent)
        process = await _launched(f"setsid sh -c '{_DEAF}' & wait", cgroup=group.name)
        monkeypatch.chdir("/")
        assert await process.stop(_LONG) == -signal.SIGTERM
        assert await process.stdout.read() == b""


async def test_cgroup_that_cannot_be_killed(tmp_path: pathlib.Path) -> None:
    """Without `cgroup.kill` (cgroups of version 1, Linux before 5.14) the child itself is stopped all the same."""
    (tmp_path / "cgroup.procs").touch()
    process = await _launched(_DEAF, cgroup=tmp_path)
    assert await process.stop(0) == -signal.SIGKILL


# ---- processes that are not ours to signal ----------------------------------------------------------------------------

_NOT_OURS = """
import asyncio, os, signal
import aiospawn, fresh

async def main():
    process = await aiospawn.create_subprocess_exec("sleep", "1000")
    os.setresuid(1000, 1000, 0)
    try:
        await process.stop(0)
    except PermissionError:
        print("refused", len(asyncio.all_tasks()), process.returncode)
    os.setresuid(0, 0, 0)
    assert await process.stop() == -signal.SIGTERM

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_not_ours(variant: str) -> None:
    """A program that may not be signalled raises PermissionError, and no task stays behind."""
    if missing := lacks("setuid"):
        pytest.skip(f"needs {', '.join(missing)}")
    assert fresh.run(_NOT_OURS, variant) == "refused 1 None\n"


_ELSEWHERE = """
import asyncio, signal
import aiospawn, fresh

async def main():
    process = await aiospawn.create_subprocess_exec("sleep", "1000")
    assert await process.stop() == -signal.SIGTERM
    assert await process.stop() == -signal.SIGTERM

assert not aiospawn.supported()
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_elsewhere(variant: str) -> None:
    """A child that the loop's own implementation launched is stopped, too."""
    fresh.run(_ELSEWHERE, variant, AIOSPAWN_WITHOUT="pidfd")
