"""Every kind of step made to fail, with what must be raised: for tests, and for programs of `fresh`.

A row whose `when` is not empty fails only in a process that was prepared by the function of that name here: it gave up
its privileges, or has a seccomp filter.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import resource
import signal
import struct
from typing import Any, NamedTuple
from unittest import mock

from every_option import made
from place import NEW_USER, NEW_UTS, Place, refusing

import aiospawn
from aiospawn._binding.library import Step
from aiospawn._request.request import Request

__all__ = ["FAILURES", "PREPARATIONS", "Failure", "expected", "filtered", "raised"]

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_SECUREBITS, _PR_SET_SECCOMP, _PR_SET_DUMPABLE = 28, 22, 4
_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE = 38, 65
_NUMBERS = {
    "x86_64": {"sigaction": 13, "umask": 95, "setsid": 112, "capset": 126, "prctl": 157, "dup3": 292, "execveat": 322},
    "aarch64": {"sigaction": 134, "umask": 166, "setsid": 157, "capset": 91, "prctl": 167, "dup3": 24, "execveat": 281},
}[platform.machine()]
_CLOSE_RANGE = 436
_KEPT = 93  # a descriptor: what lies below is closed by a call of its own
_LINE = 300  # characters of a message that can be read


class Failure(NamedTuple):
    """`options` may hold functions of the place."""

    kind: str
    error: int
    step: str
    operand: str
    options: dict[str, Any]
    command: Any
    filename: Any
    when: str
    needs: str


FAILURES: list[Failure] = []


def failure(
    kind: str,
    error: int,
    step: str,
    operand: Any = "",
    *,
    command: Any = ("true",),
    filename: Any = None,
    when: str = "",
    needs: str = "",
    **options: Any,
) -> None:
    FAILURES.append(Failure(kind, error, step, operand, options, command, filename, when, needs))


class ClosesItsDescriptor(dict[str, str]):
    """An environment that closes a descriptor when it is read: after the options were checked."""

    def __init__(self, fd: int) -> None:
        super().__init__(PATH=os.defpath)
        self.fd = fd

    def items(self) -> Any:
        os.close(self.fd)
        return super().items()


def _unowned(place: Place) -> int:
    """A descriptor that ClosesItsDescriptor will close."""
    if not hasattr(place, "unowned"):
        place.unowned = fcntl.fcntl(place.reader, fcntl.F_DUPFD_CLOEXEC, 50)  # type: ignore[attr-defined]
    return int(place.unowned)  # type: ignore[attr-defined]


async def raised(row: Failure, place: Place, **more: Any) -> tuple[Any, ...]:
    """What is raised, with the kind of the step that the child reported, and whether the operand is reported."""
    options = {name: made(value, place) for name, value in row.options.items()}
    kinds = []

    def failure_of(request: Request, error: int, kind: int, index: int) -> OSError:
        kinds.append(Step(kind).name)
        return tell(request, error, kind, index)

    tell = Request.failure
    with mock.patch.object(Request, "failure", failure_of):
        try:
            process = await aiospawn.create_subprocess_exec(*row.command, **options, **more)
        except OSError as error:
            told = made(row.operand, place) in str(error) and len(str(error)) < _LINE
            return kinds, type(error), error.errno, error.step, error.filename, told  # type: ignore[attr-defined]
    return "launched", await process.stop()


def expected(row: Failure, place: Place) -> tuple[Any, ...]:
    return [row.kind], type(OSError(row.error, "")), row.error, row.step, made(row.filename, place), True


# ---- processes in which a step fails ----------------------------------------------------------------------------------


def filtered(program: bytes) -> None:
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    assert _LIBC.prctl(_PR_SET_SECCOMP, 2, header, 0, 0) == 0


def refused(place: Place) -> None:
    """System calls that never fail, or not for a reason that a test can give, fail by a filter."""
    os.dup2(place.reader, _KEPT)
    prctl, sigaction = _NUMBERS["prctl"], _NUMBERS["sigaction"]
    for program in (
        refusing(_NUMBERS["umask"], errno.EPERM, 0o123),
        refusing(_NUMBERS["setsid"], errno.EPERM),
        refusing(_NUMBERS["capset"], errno.EPERM),
        refusing(_NUMBERS["dup3"], errno.EPERM, 77, place=1),
        refusing(_CLOSE_RANGE, errno.EPERM, _KEPT - 1, place=1),
        refusing(sigaction, errno.EPERM, signal.SIGURG),
        refusing(prctl, errno.EPERM, 29),
        refusing(prctl, errno.EPERM, 1),
        refusing(prctl, errno.EPERM, _PR_SET_MDWE),
    ):
        filtered(program)
    filtered(refusing(prctl, errno.EPERM, _PR_SET_NO_NEW_PRIVS))


def unprivileged(_place: Place) -> None:
    os.setgroups([])
    os.setresgid(1000, 1000, 1000)
    os.setresuid(1000, 1000, 1000)
    _LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # its own /proc files


def locked(_place: Place) -> None:
    """Capabilities cannot be kept across a change of ids."""
    assert _LIBC.prctl(_PR_SET_SECUREBITS, 1 << 5, 0, 0, 0) == 0


def launcherless(_place: Place) -> None:
    """The launcher could be executed when it was tried, and no more."""
    filtered(refusing(_NUMBERS["execveat"], errno.EPERM))


def crowded(place: Place) -> None:
    """All numbers are taken but three, for the status pipe and the pidfd: in the child, which has no pidfd, one is free."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(place.reader, place.other_reader, place.namespace, place.ruleset)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, hard))
    taken = [0]
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.dup(0))
    for fd in taken[-3:]:
        os.close(fd)


def shared(_place: Place) -> None:
    """So many descriptors that a child shares the table, and cannot take over its standard error."""
    for _ in range(600):
        os.dup(0)
    filtered(refusing(_NUMBERS["dup3"], errno.EPERM, 2, place=1))


PREPARATIONS = {prepare.__name__: prepare for prepare in (refused, unprivileged, locked, launcherless, crowded, shared)}


# ---- the table --------------------------------------------------------------------------------------------------------

failure("EXECVE", errno.ENOENT, "execve", command=["/nowhere"], filename="/nowhere")
failure("EXECVE", errno.ENOENT, "execve", command=["no-such-program"], filename="no-such-program")
failure("EXECVE", errno.EACCES, "execve", command=[b"/etc/passwd"], filename=b"/etc/passwd")
failure("EXECVE", errno.ENOENT, "execve", executable="/nowhere", filename="/nowhere")
failure("EXECVE", errno.EACCES, "execve", executable=lambda place: place.reader, filename="true")
failure("EXECVE", errno.E2BIG, "execve", command=["true", "x" * 200_000], filename="true", via=None)
failure("LAUNCHER", errno.E2BIG, "execve", command=["true", "x" * 200_000], filename="true", via="launcher")
failure("OPEN", errno.ENOENT, "open", "/nowhere/file", open_fds={5: ("/nowhere/file", os.O_RDONLY)})
failure("OPEN", errno.ENOTDIR, "open", "/etc/passwd", open_fds={5: ("/etc/passwd", os.O_RDONLY | os.O_DIRECTORY)})
failure("CHROOT", errno.ENOENT, "chroot", "/nowhere", chroot="/nowhere", needs="sys_chroot")
failure("CHDIR", errno.ENOENT, "chdir", cwd="/nowhere", filename="/nowhere")
failure("CHDIR", errno.ENOTDIR, "chdir", cwd=b"/etc/passwd", filename=b"/etc/passwd")
failure("FCHDIR", errno.ENOTDIR, "fchdir", lambda place: str(place.reader), cwd=lambda place: place.reader)
failure(
    "FCHDIR",
    errno.ENOTDIR,
    "fchdir",
    lambda place: str(place.reader),
    cwd=lambda place: place.reader,
    fds=lambda place: {place.reader: place.other_reader},
)
failure("SETPGID", errno.EPERM, "setpgid", "0", process_group=0, start_new_session=True)
failure(
    "TIOCSCTTY",
    errno.ENOTTY,
    "controlling_terminal",
    lambda place: str(place.reader),
    controlling_terminal=lambda place: place.reader,
)
failure(
    "TIOCSCTTY",
    errno.EPERM,
    "controlling_terminal",
    lambda place: str(place.terminal),
    controlling_terminal=lambda place: place.terminal,
)
failure("TCSETPGRP", errno.ENOTTY, "tcsetpgrp", lambda place: str(place.reader), foreground=lambda place: place.reader)
failure("RLIMIT", errno.EPERM, "rlimit", f"{resource.RLIMIT_NOFILE}, ", rlimits={resource.RLIMIT_NOFILE: (1 << 40, 1 << 41)})
failure("SCHEDULER", errno.EINVAL, "sched_setscheduler", "99, 1", scheduler=(99, 1))
failure("AFFINITY", errno.EINVAL, "sched_setaffinity", affinity={8191})
failure("IOPRIO", errno.EINVAL, "ioprio_set", "0, 5", ioprio=(0, 5))
failure("CGROUP", errno.ENOENT, "cgroup", "/nowhere", cgroup="/nowhere")
failure("CGROUP", errno.ENOENT, "cgroup", lambda place: str(place.room), cgroup=lambda place: place.room)
failure("SETNS", errno.EINVAL, "setns", lambda place: str(place.reader), setns=lambda place: [place.reader])
failure("UNSHARE", errno.EINVAL, "unshare", "0x1", unshare=1)
failure("UNSHARE", errno.EINVAL, "unshare", "0x10000000", unshare=NEW_USER, uid_map=[(0, 0, 0)])
failure("SETGROUPS", errno.EINVAL, "setgroups", extra_groups=range(70_000), needs="setgid")
failure("BOUNDING", errno.EINVAL, "capbset_drop", "0x4000000000000000", capabilities={"drop": [62]}, needs="setpcap")
failure(
    "LANDLOCK",
    errno.EBADFD,
    "landlock_restrict_self",
    lambda place: str(place.reader),
    landlock=lambda place: place.reader,
    no_new_privs=True,
)
failure("SECCOMP", errno.EINVAL, "seccomp", "1 instruction", seccomp=bytes(8), no_new_privs=True)
failure(
    "HOOK",
    errno.EACCES,
    "hook",
    "0xd",
    hook=lambda _: aiospawn.NativeHook(ctypes.cast(_LIBC.abs, ctypes.c_void_p).value, 13),
)
failure(
    "DUP",
    errno.EBADF,
    "dup2",
    lambda place: str(_unowned(place)),
    env=lambda place: ClosesItsDescriptor(_unowned(place)),
    fds=lambda place: {9: _unowned(place)},
    via=None,
)
failure(
    "CLOEXEC",
    errno.EBADF,
    "fcntl",
    lambda place: str(_unowned(place)),
    env=lambda place: ClosesItsDescriptor(_unowned(place)),
    fds=lambda place: {9: _unowned(place)},
    via="launcher",
)

failure("NICE", errno.EACCES, "nice", "-5", nice=-5, when="unprivileged")
failure("SCHEDULER", errno.EPERM, "sched_setscheduler", "1, 5", scheduler=(os.SCHED_FIFO, 5), when="unprivileged")
failure("IOPRIO", errno.EPERM, "ioprio_set", "1, 0", ioprio=(1, 0), when="unprivileged")
failure("OOM_SCORE_ADJ", errno.EACCES, "oom_score_adj", "-1000", oom_score_adj=-1000, when="unprivileged")
failure("RLIMIT", errno.EPERM, "rlimit", "7", rlimits={resource.RLIMIT_NOFILE: (1 << 30, 1 << 30)}, when="unprivileged")
failure("CHROOT", errno.EPERM, "chroot", "/", chroot="/", when="unprivileged")
failure("UNSHARE", errno.EPERM, "unshare", "0x4000000", unshare=NEW_UTS, when="unprivileged")
failure("UNSHARE", errno.EPERM, "unshare", "0x10000000", unshare=NEW_USER, uid_map=[(0, 0, 1)], when="unprivileged")
failure(
    "SETNS",
    errno.EPERM,
    "setns",
    lambda place: str(place.namespace),
    setns=lambda place: [place.namespace],
    when="unprivileged",
)
failure("SETGROUPS", errno.EPERM, "setgroups", "1001", extra_groups=[1001], when="unprivileged")
failure("SETGID", errno.EPERM, "setresgid", "0", group=0, when="unprivileged")
failure("SETUID", errno.EPERM, "setresuid", "0", user=0, when="unprivileged")
failure("BOUNDING", errno.EPERM, "capbset_drop", "0x20", capabilities={"drop": ["kill"]}, when="unprivileged")
failure("AMBIENT", errno.EPERM, "cap_ambient", "0x20", capabilities={"ambient": ["kill"]}, when="unprivileged")
failure(
    "LANDLOCK",
    errno.EPERM,
    "landlock_restrict_self",
    lambda place: str(place.ruleset),
    landlock=lambda place: place.ruleset,
    when="unprivileged",
)
failure("SECCOMP", errno.EACCES, "seccomp", seccomp=refusing(1, 1), when="unprivileged")

failure("KEEPCAPS", errno.EPERM, "keepcaps", capabilities={"ambient": ["kill"]}, user=1000, when="locked", needs="setpcap")

failure(
    "SAVE",
    errno.EMFILE,
    "dup",
    lambda place: str(place.reader),
    fds=lambda place: {place.reader: place.other_reader, place.other_reader: place.reader},
    close_fds=False,  # otherwise there would be room
    when="crowded",
)

failure("UMASK", errno.EPERM, "umask", "0o123", umask=0o123, when="refused")
failure("SETSID", errno.EPERM, "setsid", start_new_session=True, when="refused")
failure("CAPSET", errno.EPERM, "capset", "0x20", capabilities={"drop": ["kill"]}, when="refused", needs="setpcap")
failure(
    "DUP_SAVED",
    errno.EPERM,
    "dup2",
    "77",
    fds=lambda place: {place.reader: place.other_reader, place.other_reader: place.reader, 77: place.reader},
    when="refused",
)
failure("CLOSE", errno.EPERM, "close_range", f"3, {_KEPT - 1}", pass_fds=[_KEPT], when="refused")
failure(
    "SIGDEFAULT", errno.EPERM, "sigaction", "0x400000", sigdefault={signal.SIGURG}, restore_signals=False, when="refused"
)
failure("SIGIGNORE", errno.EPERM, "sigaction", "0x400000", sigignore={signal.SIGURG}, when="refused")
failure("TIMER_SLACK", errno.EPERM, "timer_slack", "5", timer_slack_ns=5, when="refused")
failure("PDEATHSIG", errno.EPERM, "pdeathsig", "15", pdeathsig=signal.SIGTERM, when="refused")
failure("PRCTL", errno.EPERM, "no_new_privs", no_new_privs=True, when="refused")
failure("PRCTL", errno.EPERM, "mdwe", mdwe=True, when="refused")
failure("LAUNCHER", errno.EPERM, "launcher", oom_score_adj=500, when="launcherless")
failure("INHERIT", errno.EPERM, "dup2", "2", when="shared")
