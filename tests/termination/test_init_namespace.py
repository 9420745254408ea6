"""`init_namespace="pid"`: init is process 1 of a PID namespace of its own."""

from __future__ import annotations

import asyncio
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
from typing import Any

import fresh
import pytest
from hostile import hostile
from marker import Marker, stands

import aiospawn

pytestmark = pytest.mark.once

INSIDE: dict[str, Any] = {"init": True, "init_namespace": "pid"}


def _numbers(pid: int) -> list[int]:
    """A process's in each PID namespace, from this one inwards."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return [*map(int, next(line for line in lines if line.startswith("NSpid:")).split()[1:])]


@pytest.mark.loops("one")
async def test_init_is_process_1() -> None:
    """And the command its child; the numbers here are those of this process's namespace."""
    process = await aiospawn.create_subprocess_exec("sh", "-c", "echo $$ $PPID; read line", stdin=-1, stdout=-1, **INSIDE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"2 1\n"
    assert _numbers(process.pid) == [process.pid, 1]
    process.kill()
    assert await process.wait() == -signal.SIGKILL


@pytest.mark.loops("kinds")
async def test_every_end_of_the_command() -> None:
    """Process 1 of a namespace cannot end by a signal of its own: the status is reported in another way."""
    for status in (0, 1, 127, 128, 137, 255):
        assert (await aiospawn.run(["sh", "-c", f"exit {status}"], **INSIDE)).returncode == status
    for number in (signal.SIGHUP, signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM, signal.SIGRTMAX):
        script = f"kill -{int(number)} $$"
        done = await aiospawn.run(["sh", "-c", script], rlimits={resource.RLIMIT_CORE: 0}, **INSIDE)
        assert done.returncode == -number


@pytest.mark.loops("one")
async def test_the_status_that_another_thread_looks_at() -> None:
    """As `Popen.poll` of asyncio's transports, which may be asked before the event loop has reaped the child."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000", **INSIDE)
    popen = process._transport.get_extra_info("subprocess")  # type: ignore[attr-defined]
    process.send_signal(signal.SIGUSR1)
    while (status := popen.poll()) is None:  # the loop does not run meanwhile
        pass
    assert status == -signal.SIGUSR1
    assert await process.wait() == -signal.SIGUSR1


@pytest.mark.loops("one")
async def test_an_outsider_kills_init(marker: Marker) -> None:
    """Nobody survives, unlike without the namespace: the kernel ends it with its process 1."""
    process = await aiospawn.create_subprocess_exec(*hostile("deep", marker.writer), pass_fds=[marker.writer], **INSIDE)
    await stands(marker, 21)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    assert marker.has_ended()


@pytest.mark.loops("one")
async def test_nobody_inside_ends_init() -> None:
    """No signal of the tree's reaches it as one: the command goes on until it is asked to end from outside."""
    script = "for s in KILL STOP SEGV; do kill -$s 1; done; setsid kill -KILL 1; echo still here; exec sleep 1000"
    process = await aiospawn.create_subprocess_exec("sh", "-c", script, stdout=-1, stderr=-3, **INSIDE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"still here\n" or (await process.wait()) == -signal.SIGSEGV
    await process.stop()


@pytest.mark.loops("one")
async def test_killed_before_there_is_a_command(tmp_path: pathlib.Path) -> None:
    """A launch that is cancelled while its child waits in a step."""
    os.mkfifo(fifo := tmp_path / "fifo")
    launch = asyncio.ensure_future(
        aiospawn.create_subprocess_exec("true", open_fds={3: (fifo, os.O_RDONLY)}, **INSIDE),
    )
    await asyncio.sleep(0)
    launch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await launch


_AS_SOMEBODY = """
import asyncio, ctypes, os
import aiospawn, fresh

aiospawn.supported()
loop = fresh.new_event_loop()

async def main():
    show = "id -u; id -g; echo $$; cat /proc/self/setgroups; setsid sleep 1000 & exit 3"
    done = await aiospawn.run(["sh", "-c", show], init=True, init_namespace="pid", capture_output=True)
    print(done.stdout.split(), done.returncode)

if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(1000, 1001, 1001)
    os.setresgid(1001, 1001, 1001)
    os.setresuid(1002, 1002, 1002)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, which a change of ids clears: /proc/self is root's without
os.chdir("/")
loop.run_until_complete(main())
loop.close()
"""


def test_an_ordinary_user(variant: str) -> None:
    """In a user namespace of its own, in which the ids are what they were."""
    if os.getuid() != 0:
        pytest.skip("another user's rights are needed to have other ids")
    if pathlib.Path("/proc/sys/user/max_user_namespaces").read_text() == "0\n":
        pytest.skip("no user namespaces here")
    assert fresh.run(_AS_SOMEBODY, variant) == "[b'1002', b'1001', b'2', b'deny'] 3\n"


_WITHOUT = """
import asyncio, os, pathlib, resource
import aiospawn, fresh

aiospawn.supported()
loop = fresh.new_event_loop()

async def main():
    for namespace in (None, "pid"):
        try:
            done = await aiospawn.run(["/bin/true"], init=True, init_namespace=namespace)
            print(done.returncode)
        except OSError as error:
            print(error.step, error.errno, error)

loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.skipif(not shutil.which("unshare") or os.getuid() != 0, reason="needs unshare(1) and the right to use it")
def test_proc_of_another_namespace() -> None:
    """Its numbers would mean strangers: an init that needs it is refused, and one that does not is made."""
    command = [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        sys.executable,
        "-c",
        _WITHOUT,
    ]
    shown = subprocess.run(command, env=fresh.environment(), capture_output=True, text=True, check=True, timeout=60).stdout
    refused, made = shown.splitlines()
    assert refused == "init 18 [Errno 18] Invalid cross-device link (init /proc is that of another PID namespace)"
    assert made == "0"


@pytest.mark.skipif(not shutil.which("unshare") or os.getuid() != 0, reason="needs unshare(1) and the right to use it")
def test_no_proc() -> None:
    """Likewise."""
    script = 'while umount -l /proc 2>/dev/null; do :; done; exec "$@"'  # it may be mounted more than once
    command = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", _WITHOUT]
    shown = subprocess.run(command, env=fresh.environment(), capture_output=True, text=True, check=True, timeout=60).stdout
    refused, made = shown.splitlines()
    assert refused.startswith("init 2 ")
    assert made == "0"


@pytest.mark.loops("one")
async def test_limits_of_a_sandbox() -> None:
    """Init looks at its tree by the numbers of /proc, which are not its own there."""
    sandbox = aiospawn.Sandbox(read=["/dev/zero"], limits=aiospawn.Limits(memory=64 << 20), at_least=[])
    done = await aiospawn.run(["tail", "/dev/zero"], sandbox=sandbox, **INSIDE)  # it keeps what may be a last line
    assert done.limit == "memory"
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"init_namespace": "pid"}, "init_namespace='pid' needs init"),
        ({"init": True, "init_namespace": "net"}, "init_namespace must be None or \"pid\", got 'net'"),
        ({"init": True, "init_namespace": "pid", "process_group": 7}, "cannot be combined with process_group=7"),
        ({"init": "leave", "init_namespace": "pid"}, "init=\"leave\" cannot be combined with init_namespace='pid'"),
    ],
)
@pytest.mark.loops("one")
async def test_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError) as refused:
        await aiospawn.run(["true"], **options)
    assert named in str(refused.value)


@pytest.mark.loops("one")
async def test_children_that_go_elsewhere() -> None:
    """A namespace for children that this process has set up before contradicts another one for this child."""
    program = """
import asyncio, ctypes
import aiospawn, fresh

aiospawn.supported()
loop = fresh.new_event_loop()
if ctypes.CDLL(None).unshare(0x20000000) == 0:  # CLONE_NEWPID
    try:
        loop.run_until_complete(aiospawn.run(["true"], init=True, init_namespace="pid"))
    except OSError as error:
        print(error.step, error.errno)
else:
    print("init 22")
loop.close()
"""
    assert fresh.run(program) == "init 22\n"
