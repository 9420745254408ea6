"""An init in adverse places: where it cannot be made nothing is started, and where it is flooded it obeys all the same."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from marker import Marker, stands

import aiospawn
from aiospawn._sandbox.system_calls import ARCHITECTURES, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once

# ---- it cannot be made ------------------------------------------------------------------------------------------------

_REFUSED = """
import asyncio, ctypes, errno, os, resource, shutil
import aiospawn, fresh, seccomp

async def main():
    before = fresh.descriptors()
    {limit}
    try:
        done = await aiospawn.run([shutil.which("cat"), "/dev/null"], init=True)
    except OSError as error:
        print(error.step, errno.errorcode[error.errno])
    else:
        print(done.returncode)
    {after}
    after = fresh.descriptors()
    assert [target for fd, target in after.items() if fd not in before] == [], after
    assert fresh.children() == []

assert aiospawn.supported()
loop = fresh.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
{first}
loop.run_until_complete(main())
loop.close()
"""

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


@pytest.mark.loops("one")
@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("seccomp.refuse_all(seccomp.PRCTL, errno.EPERM)", "init EPERM"),
        (f"seccomp.refuse(seccomp.PRCTL, errno.EINVAL, {_SUBREAPER}, 0)", "init EINVAL"),
        (f"seccomp.refuse(seccomp.PRCTL, errno.EPERM, {_SUBREAPER}, 0)", "init EPERM"),
        ("seccomp.refuse_all(seccomp.SIGNALFD, errno.EMFILE)", "init EMFILE"),
        ("seccomp.refuse_all(seccomp.SOCKETPAIR, errno.ENFILE)", "init ENFILE"),
        ("seccomp.refuse_all(seccomp.RECVMSG, errno.ENOMEM)", "launcher ENOMEM"),
        ("seccomp.refuse_all(seccomp.PPOLL, errno.ENOMEM)", "0"),
        ("seccomp.refuse_all(seccomp.RECVFROM, errno.ENOMEM)", "0"),
        ("seccomp.refuse_all(seccomp.RECVFROM, errno.EINTR)", "0"),
    ],
)
def test_filtered(limit: str, told: str, variant: str) -> None:
    """A filter of the whole process: an error with its step, and nothing is left; or it does without the call."""
    assert fresh.run(_REFUSED.format(first="", limit=limit, after=""), variant) == f"{told}\n"


@pytest.mark.loops("one")
def test_filtered_from_the_start(variant: str) -> None:
    """As an old kernel: init closes what is not its own one by one."""
    first = "seccomp.refuse_all(seccomp.CLOSE_RANGE, errno.ENOSYS)\nassert not aiospawn.supported().features['close_range']"
    program = _REFUSED.replace("assert aiospawn.supported()", first)
    assert fresh.run(program.format(first="", limit="", after=""), variant) == "0\n"


# Its only process; and the kernel shows it itself, though its ids have changed.
_SOMEBODY = """
os.chdir("/")
os.setgroups([])
user = 100000 + os.getpid()
os.setresgid(user, user, user)
os.setresuid(user, user, user)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
"""


@pytest.mark.loops("one")
@pytest.mark.skipif(os.getuid() != 0, reason="needs another user's ids")
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_are_short(processes: int, variant: str) -> None:
    """No place for init, none for its command, one for each."""
    limit = f"resource.setrlimit(resource.RLIMIT_NPROC, ({processes}, {processes}))"
    told = fresh.run(_REFUSED.format(first=_SOMEBODY, limit=limit, after=""), variant)
    assert told == ("init EAGAIN\n" if processes < 3 else "0\n")


@pytest.mark.loops("one")
def test_descriptors_are_short(variant: str) -> None:
    """In this process, and so in init."""
    limit = "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 1024))"
    after = "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))"
    assert fresh.run(_REFUSED.format(first="", limit=limit, after=after), variant) == "init EMFILE\n"


# ---- a system call of its own fails -----------------------------------------------------------------------------------

# What the manual pages say that a call may fail with; of init from its execve on.
_CALLS = {
    "clone": ["EAGAIN", "ENOMEM"],
    "close_range": ["EMFILE", "ENOMEM", "ENOSYS"],
    "getdents64": ["ENOENT"],
    "getrusage": ["EINVAL"],
    "kill": ["EPERM", "ESRCH"],
    "lseek": ["ESPIPE"],
    "mmap": ["ENOMEM"],
    "openat": ["EACCES", "EMFILE", "ENOENT"],
    "pidfd_open": ["EMFILE", "ENOMEM", "ESRCH"],
    "pidfd_send_signal": ["EPERM", "ESRCH"],
    "ppoll": ["EINTR", "ENOMEM"],
    "prctl": ["EINVAL", "EPERM"],
    "read": ["EINTR", "ESRCH"],
    "readlinkat": ["EACCES", "ENOENT"],
    "recvfrom": ["EINTR", "ENOMEM"],
    "recvmsg": ["EINTR", "ENOMEM"],
    "sendto": ["EAGAIN", "ENOBUFS"],
    "setpgid": ["EPERM"],
    "setsid": ["EPERM"],
    "signalfd4": ["EMFILE", "ENOMEM"],
    "waitid": ["EINTR"],
}
_NEEDED = {"clone", "openat", "prctl", "readlinkat", "recvmsg", "signalfd4"}  # without these there is no init

_STRUCK = """
import asyncio, errno, fcntl, json, os, select, signal, struct, sys
import aiospawn, fresh, seccomp
from aiospawn import PIPE

NUMBERS, CALLS = json.loads({numbers!r}), json.loads({calls!r})
# Who sleeps has a session of its own and not the pipes: only init knows of it. A signal comes by an order to init.
# It does not wait in `read` for that: what comes on the way there is not handled before there is a line.
SCRIPT = "setsid sleep 1000 <&- >&- 2>&- & trap 'echo got; set -- 0' USR1; echo up; "
SCRIPT += "until [ $1 = 0 ]; do sleep 0.01; done; read line; echo $line"

def is_init(pid, parent):
    try:
        with open(f"/proc/{{pid}}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1]) == parent and os.readlink(
                f"/proc/{{pid}}/exe").endswith("/_launcher")
    except OSError:
        return False

def strike(parent, orders, reports):
    "Another process: whoever waits for it may hold the interpreter's lock."
    listener = seccomp.duplicate_from(parent, int(orders.readline()))
    reports.write("0\\n")  # nothing else is ordered before: what is buffered, poll does not know of
    reports.flush()
    number = error = nth = made = 0
    poller = select.poll()
    poller.register(orders, select.POLLIN)
    poller.register(listener, select.POLLIN)
    while True:
        for fd, event in poller.poll():
            if fd == orders.fileno():
                line = orders.readline()
                if not line:
                    os._exit(0)
                reports.write(f"{{made}}\\n")
                reports.flush()
                number, error, nth, made = *map(int, line.split()), 0
                continue
            notification = bytearray(80)
            try:
                fcntl.ioctl(listener, 0xC0502100, notification)
                identity, pid, _, called = struct.unpack_from("=QIIi", notification)
                made += (is_struck := called == number and is_init(pid, parent))
                answer = (-error, 0) if is_struck and made == nth else (0, 1)  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
                fcntl.ioctl(listener, 0xC0182101, struct.pack("=QqiI", identity, 0, *answer))
            except OSError:  # it has been killed
                continue

orders, order = os.pipe()
reports, report = os.pipe()
parent = os.getpid()
if os.fork() == 0:
    os.close(order)
    strike(parent, os.fdopen(orders), os.fdopen(report, "w"))
os.close(orders)
os.close(report)

async def launched(marker, signals):
    try:
        async with asyncio.timeout(60):
            process = await aiospawn.create_subprocess_exec(
                "sh", "-c", SCRIPT, "sh", str(int(signals)), stdin=PIPE, stdout=PIPE, init=True, pass_fds=[marker])
            output = await process.stdout.readline()
            if signals:
                process.send_signal(signal.SIGUSR1)
                output += await process.stdout.readline()
            rest, _ = await process.communicate(b"text\\n")
            return [(output + rest).decode().split(), await process.wait()]
    except OSError as exc:
        if exc.errno is None:
            return ["hangs"]
        return [errno.errorcode[exc.errno], exc.step]

async def main():
    for name, errors in CALLS.items():
        for error in errors:
            for nth in (1, 2, 3):
                os.write(order, f"{{NUMBERS[name]}} {{getattr(errno, error)}} {{nth}}\\n".encode())
                report.readline()
                reader, marker = os.pipe()
                told = await launched(marker, name != "kill")  # that is the order itself
                os.close(marker)
                survives = not select.select([reader], [], [], 0)[0]  # it has no end yet
                os.close(reader)
                os.write(order, b"-1 0 0\\n")
                made = int(report.readline())
                print(json.dumps([name, error, nth, made, told, survives, fresh.children()[1:]]), flush=True)

assert aiospawn.supported()
loop = fresh.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
report = os.fdopen(reports)
listener = seccomp.listener(*(NUMBERS[name] for name in CALLS))
os.write(order, f"{{listener}}\\n".encode())
report.readline()
loop.run_until_complete(main())
loop.close()
os._exit(0)
"""


@pytest.mark.loops("spawns")
def test_a_call_of_init_fails(variant: str) -> None:
    """The first, the second, the third of each: the tree is ended, or there is none, and the launch raises what failed."""
    column = ARCHITECTURES[os.uname().machine][0]
    here = {name: NUMBERS[name][column] for name in _CALLS}
    program = _STRUCK.format(numbers=json.dumps(here), calls=json.dumps(_CALLS))
    lines = [json.loads(line) for line in fresh.run(program, variant).splitlines()]
    struck = [line for line in lines if line[3] >= line[2]]
    assert {line[0] for line in struck} >= _NEEDED | {"kill", "ppoll", "read", "recvfrom", "sendto", "waitid"}
    bad = []
    for name, error, nth, _, outcome, survives, zombies in struck:
        said = ["up", "text"] if name == "kill" else ["up", "got", "text"]
        allowed = [[said, 0], *([[error, "init"], [error, "launcher"]] if name in _NEEDED else [])]
        if survives or zombies or outcome not in allowed:
            bad.append((name, error, nth, outcome, survives, zombies))
    assert bad == []


# ---- it is flooded ----------------------------------------------------------------------------------------------------

_DEAF = "trap '' TERM RTMIN USR1; echo -n . >&9; while :; do sleep 0.01; done"


@contextlib.contextmanager
def _flooding(pid: int, *numbers: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Each signal is sent without end by a process of its own, which goes when there is no process to send it to."""
    floods = []
    try:
        for number in numbers:
            script = f"echo; while kill -{number} {pid}; do :; done"
            floods.append(subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
        for flood in floods:
            assert flood.stdout is not None
            assert flood.stdout.readline() == b"\n"
        yield floods
    finally:
        for flood in floods:
            flood.kill()
            flood.wait()
            assert flood.stdout is not None
            flood.stdout.close()


@pytest.mark.parametrize("namespace", [None, "pid"])
@pytest.mark.loops("one")
async def test_floods_of_signals(namespace: Any, marker: Marker) -> None:
    """Init passes on what it can, and obeys, and reaps."""
    process = await aiospawn.create_subprocess_exec(
        "bash", "-c", f"(setsid sleep 1000 &); {_DEAF}", init=True, init_namespace=namespace, fds={9: marker.writer}
    )
    await stands(marker, 1)
    with _flooding(process.pid, signal.SIGCHLD, signal.SIGTERM, signal.SIGRTMIN, signal.SIGUSR1):
        process.send_signal(signal.SIGUSR1)
        assert await process.stop(0) == -signal.SIGKILL
    assert marker.has_ended()


@pytest.mark.loops("one")
async def test_floods_of_signals_end_as_the_command_does() -> None:
    """A signal that is not the command's end does not change how that is told."""
    script = "trap '' TERM RTMIN; echo; read line; exit 7"
    process = await aiospawn.create_subprocess_exec("bash", "-c", script, init=True, stdin=-1, stdout=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"\n"
    with _flooding(process.pid, signal.SIGCHLD, signal.SIGTERM, signal.SIGRTMIN):
        process.stdin.write(b"\n")
        assert await process.wait() == 7


def _becomes(pid: int, state: str) -> None:
    while pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != state:
        time.sleep(0.001)


def _end_of_a_busy_init(pid: int, pidfd: int) -> Any:
    """More signals wait for it than it reads before it sees that the command has ended."""
    command = int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text())
    os.kill(pid, signal.SIGSTOP)
    _becomes(pid, "T")
    for _ in range(200):
        os.kill(pid, signal.SIGRTMIN)
    os.kill(command, signal.SIGRTMAX)
    _becomes(command, "Z")
    os.kill(pid, signal.SIGCONT)
    return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)


@pytest.mark.loops("one")
async def test_signals_that_init_has_not_read() -> None:
    """It ends by the command's signal, as a process sees that waits for init itself, and not by one of those."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000", init=True)
    ended = _end_of_a_busy_init(process.pid, process.pidfd)  # the loop does not run meanwhile
    assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, signal.SIGRTMAX)
    assert await process.wait() == -signal.SIGRTMAX
