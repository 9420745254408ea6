"""Every option with a value, a command, and what the command prints of itself: for tests, and for programs of `fresh`."""

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from place import NEW_USER, NEW_UTS, UNAME, Place, refusing
from readings import (
    FOREGROUND,
    GROUP,
    NICE,
    POLICY,
    PRIORITY,
    TERMINAL,
    bits,
    device,
    leads,
    limit,
    signals,
    stat,
    status,
    words,
)

import aiospawn

__all__ = ["ROWS", "Row", "made", "options_of", "shown"]


class Row(NamedTuple):
    """`options`, `command` and `shows` may hold functions of the place, for what is made there."""

    name: str
    options: dict[str, Any]
    command: Any
    reading: Callable[[str], Any]
    shows: Any
    needs: str


ROWS: list[Row] = []


def row(
    name: str,
    command: Any,
    reading: Callable[[str], Any],
    shows: Any,
    *,
    needs: str = "",
    **options: Any,
) -> None:
    ROWS.append(Row(name, options, command, reading, shows, needs))


def made(value: Any, place: Place) -> Any:
    return value(place) if callable(value) else value


def options_of(row: Row, place: Place) -> dict[str, Any]:
    return {name: made(value, place) for name, value in row.options.items()}


async def shown(row: Row, place: Place, **more: Any) -> tuple[Any, Any]:
    """What the child shows, and what it should."""
    command = made(row.command, place)
    command = command.split() if isinstance(command, str) else command
    options = {"stderr": aiospawn.DEVNULL, **options_of(row, place), **more}
    if not options.get("pty"):
        options = {"stdin": aiospawn.DEVNULL, "stdout": aiospawn.PIPE, **options}
    else:
        del options["stderr"]
    process = await aiospawn.create_subprocess_exec(*command, **options)
    output, _ = await process.communicate()
    await process.wait()
    return row.reading(output.decode().replace("\0", " ")), made(row.shows, place)


STATUS, STAT = "cat /proc/self/status", "cat /proc/self/stat"
CHECK = (sys.executable, "-I", "-S", "-c")
UNTIL = {signal.SIGPIPE, signal.SIGXFSZ}  # what Python ignores

row("executable", "name /proc/self/cmdline", words, "name /proc/self/cmdline", executable="/bin/cat")
row("executable: bytes", ("name", "/proc/self/cmdline"), words, "name /proc/self/cmdline", executable=b"/bin/cat")
row(
    "executable: a descriptor",
    "name /proc/self/exe",
    words,
    "/memfd:program (deleted)",
    executable=lambda place: place.program,
)
row(
    "executable: a descriptor whose number becomes another's",
    "name /proc/self/exe",
    words,
    "/memfd:program (deleted)",
    executable=lambda place: place.program,
    fds=lambda place: {place.program: place.reader},
)
row("preexec_fn: setsid", STAT, leads, (True, True), preexec_fn=lambda _: os.setsid)
row("preexec_fn", "readlink /proc/self/cwd", words, "/usr", preexec_fn=lambda _: lambda: os.chdir("/usr"))
row("preexec_fn: setpgrp", STAT, leads, (True, False), preexec_fn=lambda _: os.setpgrp)
row(
    "close_fds",
    lambda place: ("sh", "-c", f"test -e /proc/self/fd/{place.inheritable} || echo closed"),
    words,
    "closed",
    close_fds=True,
)
row("close_fds: False", lambda place: ("cat", f"/proc/self/fd/{place.inheritable}"), words, "of a file", close_fds=False)
row("cwd", "readlink /proc/self/cwd", words, lambda place: str(place.directory), cwd=lambda place: place.directory)
row(
    "cwd: bytes",
    "readlink /proc/self/cwd",
    words,
    lambda place: str(place.directory),
    cwd=lambda place: os.fsencode(place.directory),
)
row("cwd: a descriptor", "readlink /proc/self/cwd", words, lambda place: str(place.directory), cwd=lambda place: place.room)
row("env_add", "/usr/bin/env", words, "NAME=a\nOTHER=b", env={"NAME": "a"}, env_add={"OTHER": "b"})
row("env", "/usr/bin/env", words, "NAME=a value", env={"NAME": "a value"})
row("startupinfo", "echo text", words, "text", startupinfo=None)
row("creationflags", "echo text", words, "text", creationflags=0)
row("restore_signals", STATUS, signals("SigIgn", *UNTIL), [False, False], restore_signals=True)
row("restore_signals: False", STATUS, signals("SigIgn", *UNTIL), [True, True], restore_signals=False)
row("start_new_session", STAT, leads, (True, True), start_new_session=True)
row(
    "pass_fds",
    lambda place: ("cat", f"/proc/self/fd/{place.reader}"),
    words,
    "of a file",
    pass_fds=lambda place: [place.reader],
)
row("user", STATUS, status("Uid"), "1000\t1000\t1000\t1000", user=1000, needs="setuid")
row("user: a name", STATUS, status("Uid"), "0\t0\t0\t0", user="root", needs="setuid")
row("group", STATUS, status("Gid"), "1001\t1001\t1001\t1001", group=1001, needs="setgid")
row("group: a name", STATUS, status("Gid"), "0\t0\t0\t0", group="root", needs="setgid")
row("extra_groups", STATUS, status("Groups"), "1002 1003", extra_groups=[1003, 1002], needs="setgid")
row("extra_groups: none", STATUS, status("Groups"), "", extra_groups=[], needs="setgid")
row("umask", STATUS, status("Umask"), "0027", umask=0o027)
row(
    "pipesize",
    (*CHECK, "import fcntl; print(fcntl.fcntl(1, fcntl.F_GETPIPE_SZ))"),
    words,
    str(4 * 65536),
    pipesize=4 * 65536,
)
row("process_group", STAT, leads, (True, False), process_group=0)
row(
    "process_group: another's",
    STAT,
    stat(GROUP),
    lambda place: (place.group,),
    process_group=lambda place: place.group,
)
row(
    "fds",
    ("sh", "-c", "cat <&3; echo; cat <&7"),
    words,
    "of a file\nof another",
    fds=lambda place: {3: place.reader, 7: place.other_reader},
)
row(
    "fds: change places",
    lambda place: ("head", *(f"/proc/self/fd/{fd}" for fd in (place.reader, place.other_reader))),
    lambda output: output.splitlines()[1::2],
    ["of another", "of a file"],
    fds=lambda place: {place.reader: place.other_reader, place.other_reader: place.reader},
)
row(
    "fds: the same number",
    lambda place: ("cat", f"/proc/self/fd/{place.reader}"),
    words,
    "of a file",
    fds=lambda place: {place.reader: place.reader},
)
row("fds: a stream", "cat", words, "of a file", fds=lambda place: {0: place.reader}, stdin=None)
row(
    "fds: nothing else",
    "ls /proc/self/fd",
    str.split,
    ["0", "1", "2", "3", "4", "9"],
    fds=lambda place: {4: place.room, 9: place.room},
)
row("open_fds", ("sh", "-c", "cat <&5"), words, "of a file", open_fds=lambda place: {5: (place.file, os.O_RDONLY)})
row(
    "open_fds: made",
    lambda place: ("stat", "-c", "%a %s", place.directory / "made"),
    words,
    "640 0",
    open_fds=lambda place: {6: (place.directory / "made", os.O_WRONLY | os.O_CREAT, 0o640)},
)
row("pty", "tty", lambda output: output.startswith("/dev/pts/"), True, pty=True)
row("pty: with a size", "stty size", words, "33 111", pty=(33, 111))
row(
    "chroot",
    ("/bin/sh", "-c", "pwd; echo /*"),
    lambda output: (output.split()[0], "/bin" in output.split(), "/proc" in output.split()),
    ("/", True, False),
    chroot=lambda place: place.root,
    needs="sys_chroot",
)
row(
    "chroot: with a directory",
    ("/bin/sh", "-c", "pwd"),
    words,
    "/bin",
    chroot=lambda place: place.root,
    cwd="/bin",
    needs="sys_chroot",
)
row(
    "controlling_terminal",
    STAT,
    stat(TERMINAL),
    lambda place: (device(place.terminal),),
    controlling_terminal=lambda place: place.terminal,
    start_new_session=True,
)
row(
    "foreground",
    STAT,
    lambda output: stat(FOREGROUND)(output) == stat(GROUP)(output),
    True,
    foreground=lambda place: place.terminal,
    controlling_terminal=lambda place: place.terminal,
    start_new_session=True,
)
row("sigmask", STATUS, signals("SigBlk", 10, 12, 34), [True, False, True], sigmask=[signal.SIGUSR1, 34])
row("sigmask: by name", STATUS, signals("SigBlk", 10, 12), [True, True], sigmask=["SIGUSR1", "usr2"])
row("sigmask: empty", STATUS, status("SigBlk"), "0" * 16, sigmask=[])
row(
    "sigdefault",
    STATUS,
    signals("SigIgn", signal.SIGUSR2, signal.SIGPIPE),
    [False, True],
    sigdefault=lambda place: {place.ignored},
    restore_signals=False,
)
row(
    "sigignore",
    STATUS,
    signals("SigIgn", signal.SIGUSR1, 40, signal.SIGPIPE),
    [True, True, True],
    sigignore={signal.SIGUSR1, 40, 13},
)
row(
    "rlimits",
    "cat /proc/self/limits",
    limit("Max open files"),
    ["100", "200"],
    rlimits={resource.RLIMIT_NOFILE: (100, 200), resource.RLIMIT_CORE: (0, 0)},
)
row(
    "rlimits: both at once",
    "cat /proc/self/limits",
    limit("Max open files"),
    ["64", "64"],
    rlimits={resource.RLIMIT_NOFILE: 64},
)
row("nice", STAT, stat(NICE), lambda _: (os.getpriority(os.PRIO_PROCESS, 0) + 5,), nice=5)
row("scheduler", STAT, stat(POLICY), (os.SCHED_BATCH,), scheduler=(os.SCHED_BATCH, 0))
row("scheduler: by name", STAT, stat(POLICY), (os.SCHED_BATCH,), scheduler=("batch", 0))
row("scheduler: real time", STAT, stat(POLICY, PRIORITY), (os.SCHED_RR, 7), scheduler=(os.SCHED_RR, 7), needs="sys_nice")
row(
    "affinity",
    STATUS,
    status("Cpus_allowed_list"),
    lambda _: str(max(os.sched_getaffinity(0))),
    affinity=lambda _: {max(os.sched_getaffinity(0))},
)
row("ioprio", "ionice", words, "best-effort: prio 3", ioprio=(2, 3))
row("oom_score_adj", "cat /proc/self/oom_score_adj", words, "321", oom_score_adj=321)
row("timer_slack_ns", "cat /proc/self/timerslack_ns", words, "123456", timer_slack_ns=123456)
row(
    "pdeathsig",
    "setpriv --dump",
    lambda output: output.splitlines()[-1],
    "Parent death signal: USR1",
    pdeathsig=signal.SIGUSR1,
)
row(
    "cgroup",
    "cat /proc/self/cgroup",
    lambda output: output.strip().rpartition("/")[2],
    lambda place: place.cgroup.name,
    cgroup=lambda place: place.cgroup,
    needs="sys_admin",
)
row(
    "cgroup: a descriptor",
    "cat /proc/self/cgroup",
    lambda output: output.strip().rpartition("/")[2],
    lambda place: place.cgroup.name,
    cgroup=lambda place: place.cgroup_descriptor,
    needs="sys_admin",
)
row(
    "setns",
    ("readlink", "/proc/self/ns/uts", "/proc/self/ns/ipc"),
    str.split,
    lambda place: [os.readlink(f"/proc/self/fd/{fd}") for fd in place.namespaces],
    setns=lambda place: place.namespaces,
    needs="sys_admin",
)
row(
    "unshare",
    "readlink /proc/self/ns/uts /proc/self/ns/ipc",
    lambda output: [here == os.readlink(f"/proc/self/ns/{here[:3]}") for here in output.split()],
    [False, True],
    unshare=NEW_UTS,
    needs="sys_admin",
)
row(
    "uid_map",
    "cat /proc/self/uid_map",
    lambda output: [[*map(int, line.split())] for line in output.splitlines()],
    [[0, 0, 1], [1000, 2000, 10]],
    unshare=NEW_USER,
    uid_map=[(0, 0, 1), (1000, 2000, 10)],
    needs="setuid",
)
row(
    "gid_map",
    "cat /proc/self/gid_map",
    lambda output: [[*map(int, line.split())] for line in output.splitlines()],
    [[0, 0, 5]],
    unshare=NEW_USER,
    uid_map=[(0, 0, 1)],
    gid_map=[(0, 0, 5)],
    needs="setgid",
)
row(
    "capabilities",
    STATUS,
    bits("CapEff", 5, 13, 0),
    [False, False, True],
    capabilities={"drop": ["kill", "CAP_NET_RAW"]},
    needs="setpcap",
)
row("capabilities: none left", STATUS, status("CapEff"), "0" * 16, capabilities={"drop": "all"}, needs="setpcap")
row(
    "capabilities: ambient",
    STATUS,
    lambda output: (status("CapEff")(output), status("CapAmb")(output)),
    (f"{1 << 5:016x}", f"{1 << 5:016x}"),
    capabilities={"ambient": ["kill"]},
    user=1000,
    needs="setuid",
)
row("no_new_privs", STATUS, status("NoNewPrivs"), "1", no_new_privs=True)
row("thp_disable", STATUS, status("THP_enabled"), "0", thp_disable=True)
row(
    "mdwe",
    (*CHECK, "import mmap\ntry: mmap.mmap(-1, 1, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)\nexcept OSError as exc: print(exc)"),
    words,
    f"[Errno {errno.EACCES}] {os.strerror(errno.EACCES)}",
    mdwe=True,
    needs="mdwe",
)
row(
    "landlock",
    lambda place: ("sh", "-c", f"cat {place.file}; echo; echo text >{place.directory}/refused || echo refused"),
    words,
    "of a file\nrefused",
    landlock=lambda place: place.ruleset,
    no_new_privs=True,
)
row(
    "sandbox",
    lambda place: ("sh", "-c", f"cat {place.file}; echo; echo text >{place.file} || echo refused; cat {place.other}"),
    words,
    "of a file\nrefused",
    sandbox=lambda place: aiospawn.Sandbox(read=[place.file]),
    needs="sandbox",
)
row(
    "seccomp",
    ("sh", "-c", "uname || echo refused; grep Seccomp: /proc/self/status"),
    str.split,
    ["refused", "Seccomp:", "2"],
    seccomp=refusing(UNAME, 13),
    no_new_privs=True,
)
