"""A command's end hangs nobody up, that of one which could not be run either.

Its init is in another session where the command is in its parent's process group, and else in a group of its own, where the
command is until it leads one.

A process whose parent is in another group of the same session keeps its own group from being an orphaned one. When it ends,
and a member of the group is stopped, the kernel sends SIGHUP and SIGCONT to the whole group (setpgid(2)).
"""

from __future__ import annotations

import fresh
import pytest

_PROGRAM = """
import asyncio, os, signal
import aiospawn, fresh

async def main():
    stopped = await aiospawn.create_subprocess_exec("sleep", "1000")
    stopped.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
    await (await aiospawn.create_subprocess_exec("true", init=True)).wait()
    await (await aiospawn.create_subprocess_exec("true", init=True, process_group=0)).wait()
    for options in ({}, {"process_group": 0}, {"start_new_session": True}):
        for failing in ({"cwd": "/nonexistent"}, {"executable": "/nonexistent"}, {"rlimits": {"nofile": (1, 1 << 40)}}):
            try:
                await aiospawn.create_subprocess_exec("true", init=True, **options, **failing)
            except OSError:
                continue
            raise AssertionError(failing)
    stopped.kill()
    print(await stopped.wait())

os.setsid()
signal.signal(signal.SIGHUP, lambda *_: print("hung up", flush=True))
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.loops("one")
def test_nobody_is_hung_up(variant: str) -> None:
    """A program without a controlling terminal, as a service is, with a stopped child in its group."""
    assert fresh.run(_PROGRAM, variant) == "-9\n"
