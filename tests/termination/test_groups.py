"""Signals to a process group: to everybody in it, also when its leader is gone, and never to anybody else."""

import asyncio
import contextlib
import os
import select
import signal
from typing import Any

import fresh
import pytest
from group_signals import needs_group_signals
from place import lacks
from strangers import stranger

import aiospawn
from aiospawn import PIPE

leaders = pytest.mark.parametrize("options", [{"start_new_session": True}, {"process_group": 0}], ids=["session", "group"])

_MEMBERS = "sleep 1000 & sleep 1000 & echo ready; "  # they hold the pipe: its end is theirs


async def _launched(program: str, **options: Any) -> Any:
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", program, stdout=PIPE, **options)
    assert await process.stdout.readline() == b"ready\n"
    return process


@leaders
async def test_live_group(options: dict[str, Any]) -> None:
    """Everybody in the group gets the signal."""
    process = await _launched(_MEMBERS + "wait", **options)
    process.send_signal(signal.SIGKILL, group=True)
    assert await process.stdout.read() == b""
    assert await process.wait() == -signal.SIGKILL


@leaders
async def test_cancelled_before_its_start_was_told(options: dict[str, Any]) -> None:
    """The program runs already and has children; nobody will hold the process, so they are killed with it."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as output:
        creation = asyncio.create_task(
            aiospawn.create_subprocess_exec("/bin/sh", "-c", _MEMBERS + "wait", stdout=writer, **options)
        )
        await asyncio.sleep(0)
        os.close(writer)
        assert output.readline() == b"ready\n"  # meanwhile the loop stands still
        creation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creation
        assert select.select([output], [], [], 10)[0]
        assert output.read() == b""


async def test_group_of_a_terminal() -> None:
    """A child with a terminal leads a session."""
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", _MEMBERS + "wait", pty=True)
    assert await process.stdout.readline() == b"ready\r\n"
    process.send_signal(signal.SIGKILL, group=True)
    assert await process.stdout.read() == b""
    assert await process.wait() == -signal.SIGKILL


@needs_group_signals
@leaders
async def test_leader_gone(options: dict[str, Any]) -> None:
    """Who is left of a group gets the signal when the child has exited and is reaped, with its pipe still open or closed."""
    process = await _launched(_MEMBERS, **options)
    assert await process.wait() == 0
    process.send_signal(0, group=True)
    process.send_signal(signal.SIGKILL, group=True)
    assert await process.stdout.read() == b""


@needs_group_signals
async def test_leader_gone_and_its_transport_finished() -> None:
    """The same when no event of the child is left to be reported."""
    process = await _launched("sleep 1000 >/dev/null & echo ready; echo $!", start_new_session=True)
    output, _ = await process.communicate()
    member = os.pidfd_open(int(output))
    try:
        process.send_signal(signal.SIGKILL, group=True)
        await _exit_of(member)
    finally:
        os.close(member)


async def _exit_of(pidfd: int) -> None:
    loop = asyncio.get_running_loop()
    exited = loop.create_future()
    loop.add_reader(pidfd, exited.set_result, None)
    try:
        await exited
    finally:
        loop.remove_reader(pidfd)


@leaders
async def test_empty_group(options: dict[str, Any]) -> None:
    """A group without members raises ProcessLookupError, however often it is signalled."""
    process = await aiospawn.create_subprocess_exec("true", **options)
    await process.wait()
    for number in (0, signal.SIGTERM, signal.SIGKILL):
        with pytest.raises(ProcessLookupError):
            process.send_signal(number, group=True)


async def test_no_leader() -> None:
    """For a child that leads no group it is refused; its group is the parent's."""
    async with await aiospawn.create_subprocess_exec("sleep", "1000") as process:
        with pytest.raises(ValueError, match="start_new_session, process_group=0 or pty"):
            process.send_signal(signal.SIGKILL, group=True)


@pytest.mark.parametrize("piped", [False, True])
@leaders
async def test_never_a_stranger(options: dict[str, Any], *, piped: bool) -> None:
    """The number of a group that is gone may be another's by now: that one is not hit, neither by `stop`."""
    if missing := lacks("sys_admin"):
        pytest.skip(f"needs {', '.join(missing)}, to choose the number of the next process")
    for _ in range(100):  # another process of the machine may take the number first
        process = await aiospawn.create_subprocess_exec("true", stdout=PIPE if piped else None, **options)
        await process.communicate()
        await process.wait()
        with contextlib.suppress(FileExistsError), stranger(process.pid):
            with pytest.raises(ProcessLookupError):
                process.send_signal(signal.SIGKILL, group=True)
            with pytest.raises(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            assert await process.stop() == 0
            return
    pytest.fail("no process got the number of a child that is gone")


# ---- before Linux 6.9 -------------------------------------------------------------------------------------------------

# pidfd_send_signal knows no flags there.
_OLD = """
import asyncio, ctypes, os, signal, struct
import aiospawn, fresh
from every_failure import filtered
from place import refusing

async def main():
    # the leader lives
    process = await aiospawn.create_subprocess_exec(
        "/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo ready; wait", stdout=-1, start_new_session=True)
    await process.stdout.readline()
    process.send_signal(signal.SIGKILL, group=True)
    assert await process.stdout.read() == b""
    assert await process.wait() == -9
    # and is gone
    for stdout in (None, -1):
        process = await aiospawn.create_subprocess_exec("true", stdout=stdout, start_new_session=True)
        await process.communicate()
        await process.wait()
        try:
            process.send_signal(signal.SIGKILL, group=True)
        except ProcessLookupError:
            pass
        else:
            raise AssertionError("sent")
        assert await process.stop() == 0
    process = await aiospawn.create_subprocess_exec("sleep", "1000", start_new_session=True)
    assert await process.stop() == -15

assert aiospawn.supported()
filtered(refusing(424, 22, 4, place=3))
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_before_linux_6_9(variant: str) -> None:
    """There a group is signalled while its leader is not reaped; afterwards it counts as gone, also for `stop`."""
    fresh.run(_OLD, variant)


_FORKED = """
import asyncio, os, signal, sys
import aiospawn, fresh

async def main():
    process = await aiospawn.create_subprocess_exec(
        "/bin/sh", "-c", "sleep 1000 & echo ready", stdout=-1, start_new_session=True)
    await process.stdout.readline()
    await process.wait()
    return process

loop = fresh.new_event_loop()
process = loop.run_until_complete(main())
pid = os.fork()
if pid == 0:
    try:
        process.send_signal(signal.SIGKILL, group=True)
    except ProcessLookupError:
        os._exit(0)
    os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
process.send_signal(signal.SIGKILL, group=True)
loop.run_until_complete(process.stdout.read())
loop.close()
"""


@needs_group_signals
def test_forked(variant: str) -> None:
    """The child of a fork does not signal its parent's groups."""
    fresh.run(_FORKED, variant)
