"""CLONE_PIDFD_AUTOKILL: the kernel itself ends a PID namespace with the process that launched its init."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import fresh
import pytest
from place import cgroup, lacks

import aiospawn

if TYPE_CHECKING:
    import pathlib

    from marker import Marker

pytestmark = [
    pytest.mark.once,
    pytest.mark.loops("one"),
    pytest.mark.skipif(bool(lacks("sys_admin")), reason="needs CAP_SYS_ADMIN"),
]

_STOPPED = """
import asyncio, os, signal, sys, time
import aiospawn, fresh
from hostile import hostile

marker = int(sys.argv[1])

async def main():
    process = await aiospawn.create_subprocess_exec(
        *hostile("deep", marker), pass_fds=[marker], init=True, init_namespace="pid")
    os.close(marker)
    sys.stdin.readline()
    os.kill(process.pid, signal.SIGSTOP)
    print("stopped", flush=True)
    while True:
        time.sleep(0.1)

fresh.new_event_loop().run_until_complete(main())
"""


@pytest.mark.skipif(not aiospawn.supported().features["pidfd_autokill"], reason="needs Linux 7.1")
def test_a_stopped_init_ends_with_this_process(marker: Marker) -> None:
    """Nobody has to tell it, nor does it have to run: the kernel kills process 1, and so everybody."""
    with subprocess.Popen(
        fresh.command(_STOPPED, str(marker.writer)),
        pass_fds=[marker.writer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=fresh.environment(),
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        marker.stands(21)
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == b"stopped\n"
        parent.kill()
        marker.ends()


_ASKED = """
import asyncio, contextlib, ctypes, errno, json, os, threading
import aiospawn, fresh, seccomp

CLONE3, NEWPID, PIDFD = 435, 0x20000000, 0x1000
AUTOREAP, NNP, AUTOKILL = 1 << 34, 1 << 35, 1 << 36  # of <linux/sched.h>, Linux 7.1
armed, gates, launched = threading.Event(), [], []

def kernel():  # this thread is not filtered: it was there before
    armed.wait()
    while True:
        identity, _, address = gates[0].asked()
        flags, pidfd, _, _, exit_signal, *_ = (ctypes.c_uint64 * 8).from_address(address)
        if pidfd == 1:  # the question
            gates[0].answer(identity, errno.EFAULT if {known} and flags & AUTOREAP else errno.EINVAL)
            continue
        if flags & NEWPID:
            launched.append((bool(flags & AUTOKILL), bool(flags & AUTOREAP), bool(flags & NNP), exit_signal))
        if flags & AUTOKILL:
            gates[0].answer(identity, errno.EAGAIN)
        else:
            gates[0].let_through(identity)

async def main():
    inside = dict(init=True, init_namespace="pid")
    for options in ({{"init": True}}, inside, {{**inside, "init_cgroup": {cgroup!r}}}):
        with contextlib.suppress(BlockingIOError):
            await aiospawn.run(["true"], **options)

threading.Thread(target=kernel, daemon=True).start()
gates.append(seccomp.Gate(CLONE3))
armed.set()
assert aiospawn.supported().features["pidfd_autokill"] == {known}
loop = fresh.new_event_loop()
loop.run_until_complete(main())
print(json.dumps(launched), flush=True)
os._exit(0)  # the loop has threads that wait at the gate
"""


@pytest.mark.parametrize("known", [True, False])
def test_the_kernel_is_told_to_end_it(known: bool, tmp_path: pathlib.Path) -> None:
    """Where it knows how; and not where init has to remove a cgroup, nor where there is no namespace to end."""
    with cgroup(tmp_path) as directory:
        shown = fresh.run(_ASKED.format(known=known, cgroup=str(directory)))
    plain, tied = [False, False, False, int(signal.SIGCHLD)], [True, True, False, 0]
    assert json.loads(shown) == [tied if known else plain, plain]
