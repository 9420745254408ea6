"""A launch for `faults` to strike: between the marks it may fail, afterwards it must work, and nothing may be left.

    python tests/long/fault_target.py SHAPE

It says its pid, reads a line, launches, says what came of it as JSON; reads a line, launches once more, says that.
The first line may tell a system call's number and a count: so often the call is made in vain before the launch, so that
the n-th of this process is used up and only its children's is left to strike.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import pathlib
import resource
import shutil
import sys
import termios  # noqa: F401 - before the launch: what it opens is not the launch's
from typing import Any

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))  # where this is run as a script

import fresh
from loops import new_event_loop

import aiospawn
from aiospawn import PIPE

__all__ = ["BEGIN", "END", "INIT", "PRIVILEGES", "SHAPES", "TERMINAL", "UNKNOWN"]

BEGIN, END = "/fault-begins", "/fault-ends"
CROWD, LARGER_CROWD = 600, 1100

PLAIN = "two pipes"
SEARCHED = "a program that is searched for"
SUSPENDED = "the parent waits for the execve"
CROWDED = "many descriptors: the table is shared"
AWAITED = "many descriptors, a file as a stream: the launch waits until the child has left the table"
OPTIONS = "options"
TERMINAL = "a terminal"
LAUNCHER = "through the launcher"
LANDING = "through the launcher, with many descriptors"
PRIVATE = "without a launcher: the page tables are copied"
PRIVILEGES = "privileges, through the launcher"
INIT = "through init"
UNKNOWN = "refused from the start"

_OPTIONS = {
    "open_fds": {9: ("/dev/null", os.O_RDONLY)},
    "cwd": "/",
    "umask": 0o022,
    "start_new_session": True,
    "rlimits": {resource.RLIMIT_CORE: (0, 0)},
    "nice": 1,
    "scheduler": (os.SCHED_BATCH, 0),
    "affinity": os.sched_getaffinity(0),
    "ioprio": (2, 4),
    "timer_slack_ns": 1000,
    "no_new_privs": True,
}
_PRIVILEGES = {
    "oom_score_adj": 500,
    "unshare": 0x04000000,  # CLONE_NEWUTS
    "chroot": "/",
    "capabilities": {"drop": ["net_raw"]},
    "extra_groups": [],
    "group": 65534,
    "user": 65534,
}

SHAPES: dict[str, dict[str, Any]] = {
    PLAIN: {},
    SEARCHED: {},
    SUSPENDED: {},
    CROWDED: {},
    AWAITED: {},
    OPTIONS: _OPTIONS,
    TERMINAL: {"pty": True},
    LAUNCHER: {"via": "launcher"},
    LANDING: {"via": "launcher"},
    PRIVATE: {"via": "launcher"},
    PRIVILEGES: _PRIVILEGES,
    INIT: {"init": True},
    UNKNOWN: {},
}


def _waste(call: int, count: int) -> None:
    nothing = [ctypes.c_long(-1)] * 6
    for _ in range(count):
        ctypes.CDLL(None).syscall(ctypes.c_long(call), *nothing)


def _close_launcher() -> None:
    for fd, target in fresh.descriptors().items():
        if target.endswith("/_launcher"):
            os.close(fd)


async def _launched(shape: str) -> dict[str, Any]:
    """What came of one launch: the first error, or output and status."""
    cat = "cat" if shape == SEARCHED else shutil.which("cat")
    phase = "launch"
    options = SHAPES[shape] if shape == TERMINAL else {"stdin": PIPE, "stdout": PIPE, **SHAPES[shape]}
    process = None
    try:
        async with asyncio.timeout(100):
            process = await aiospawn.create_subprocess_exec(cat, **options)
            phase = "communicate"
            data = b"text\n\x04" if shape == TERMINAL else b"text\n"
            output, _ = await process.communicate(data)
            phase = "wait"
            status = await process.wait()
    except TimeoutError as error:
        return {"phase": "hang" if error.errno is None else phase, "error": "TimeoutError", "errno": error.errno}
    except OSError as error:
        if process is not None:
            await process.stop()
            process._transport.close()
        return {"phase": phase, "error": type(error).__name__, "errno": error.errno, "step": getattr(error, "step", None)}
    return {"phase": "", "output": output.decode(), "status": status, "native": bool(aiospawn.supported())}


def _say(told: object) -> None:
    print(json.dumps(told), flush=True)


def main(shape: str) -> None:
    loop = new_event_loop("stdlib-vfork" if shape == SUSPENDED else "stdlib") if shape != UNKNOWN else None
    for _ in range({CROWDED: CROWD, AWAITED: LARGER_CROWD, LANDING: CROWD}.get(shape, 0)):
        os.dup(0)
    if shape == AWAITED:
        os.dup2(os.memfd_create("a regular file"), 2)
    if shape == PRIVATE:
        _close_launcher()
    if loop is not None:
        assert aiospawn.supported()
        loop.run_until_complete(asyncio.sleep(0))
        if shape in (CROWDED, AWAITED, LANDING):
            loop.run_until_complete(_launched(shape))  # a launch asks how many descriptors the one before it has met
    else:
        loop = asyncio.SelectorEventLoop()  # asks what the kernel offers with its first launch
        aiospawn.install()
    before = fresh.descriptors()
    _say(os.getpid())
    call, count = sys.stdin.readline().split()
    _waste(int(call), int(count))
    os.access(BEGIN, 0)
    told = loop.run_until_complete(_launched(shape))
    os.access(END, 0)
    loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    after = fresh.descriptors()
    told["left"] = [target for fd, target in after.items() if before.get(fd) != target]  # a reserved number may be given up
    told["children"] = fresh.children()
    _say(told)
    sys.stdin.readline()
    _say(loop.run_until_complete(_launched(shape)))
    loop.close()


if __name__ == "__main__":
    main(sys.argv[1])
