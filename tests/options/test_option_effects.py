"""What an option is for, where that shows only in the life of the child: its parent dies, its shell has a terminal, ..."""

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator

import fresh
import pytest
from place import lacks
from readings import FOREGROUND, GROUP, stat

import aiospawn
from aiospawn import PIPE

ways = pytest.mark.parametrize("via", [None, "launcher"], ids=["direct", "launcher"])

# ---- the parent's death -----------------------------------------------------------------------------------------------

_PARENT = """
import asyncio, os, signal
import aiospawn, fresh

async def main():
    child = await aiospawn.create_subprocess_exec(
        "/bin/sh", "-c", 'trap "" TERM; echo ready; exec sleep 1000', pdeathsig=signal.SIGKILL, via={via!r}, user={user})
    await asyncio.sleep(1000)

fresh.new_event_loop().run_until_complete(main())
"""


@pytest.mark.parametrize("user", [None, 1000])
@ways
def test_parent_death(variant: str, via: str | None, user: int | None) -> None:
    """When the parent is killed the child gets the signal, also a child of another user."""
    if user and (missing := lacks("setuid")):
        pytest.skip(f"needs {', '.join(missing)}")
    program = _PARENT.format(via=via, user=user)
    with subprocess.Popen(fresh.command(program), stdout=PIPE, env=fresh.environment(variant)) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"ready\n"
        parent.kill()
        assert parent.stdout.read() == b""  # the end is the child's, who held the pipe


# ---- the foreground of a terminal that is there already ---------------------------------------------------------------

_SHELL = """
import asyncio, fcntl, os, termios
import aiospawn, fresh

async def main(terminal):
    for via in (None, "launcher"):
        before = os.tcgetpgrp(terminal)
        process = await aiospawn.create_subprocess_exec(
            "cat", "/proc/self/stat", stdout=-1, process_group=0, foreground=terminal, via=via)
        output, _ = await process.communicate()
        print(before == os.getpgrp(), output.decode().strip())
        signal_mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
        os.tcsetpgrp(terminal, os.getpgrp())
        signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)

import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal goes before this process
os.setsid()
leader, terminal = os.openpty()
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
loop = fresh.new_event_loop()
loop.run_until_complete(main(terminal))
loop.close()
"""


def test_foreground(variant: str) -> None:
    """A child of a shell becomes the foreground of the shell's terminal, though its group is new and in the background."""
    for line in fresh.run(_SHELL, variant).splitlines():
        was_foreground, _, shown = line.partition(" ")
        assert was_foreground == "True"
        assert stat(FOREGROUND)(shown) == stat(GROUP)(shown) == (int(shown.split(maxsplit=1)[0]),)


# ---- cgroups of version 1 ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _first_version(controller: str) -> Iterator[pathlib.Path]:
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup" and controller in options.split(","):
            group = pathlib.Path(place) / f"aiospawn-test-{os.getpid()}"
            break
    else:
        pytest.skip(f"no {controller} controller of cgroup v1 is mounted")
    if missing := lacks("sys_admin"):
        pytest.skip(f"needs {', '.join(missing)}")
    group.mkdir()
    try:
        yield group
    finally:
        group.rmdir()


async def test_cgroup_of_version_1() -> None:
    """A cgroup of version 1 is joined as well."""
    with _first_version("pids") as group:
        process = await aiospawn.create_subprocess_exec("cat", "/proc/self/cgroup", stdout=PIPE, cgroup=group)
        output, _ = await process.communicate()
        assert f":pids:/{group.name}\n" in output.decode()
