"""Every option with a value, a command, and what the command prints of itself: for tests, and for programs of `fresh`.

`ROWS` is the table and `Place` what its values refer to. `together` is all of it in one launch.
"""

import contextlib
import ctypes
import fcntl
import functools
import os
import pathlib
import platform
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

import aiospawn

__all__ = ["ROWS", "Place", "Row", "cgroup", "options_of", "refusing", "shown", "together"]

_LIBC = ctypes.CDLL(None, use_errno=True)
NEW_UTS, NEW_IPC, NEW_USER = 0x04000000, 0x08000000, 0x10000000
_LANDLOCK_CREATE = 444  # the same on every processor
_LANDLOCK_WRITE_FILE, _LANDLOCK_MAKE_REG = 2, 256
_UNAME = {"x86_64": 63, "aarch64": 160}[platform.machine()]


def system_call(number: int, *arguments: object) -> int:
    result: int = _LIBC.syscall(ctypes.c_long(number), *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def refusing(number: int, error: int, argument: int | None = None, *, place: int = 0) -> bytes:
    """A seccomp program: the system call fails, if need be only with that value as its argument of that place."""
    load_argument = struct.pack("=HBBIHBBI", 0x20, 0, 0, 16 + 8 * place, 0x15, 0, 1, argument or 0)
    return b"".join(
        [
            struct.pack("=HBBI", 0x20, 0, 0, 0),
            struct.pack("=HBBI", 0x15, 0, 1 if argument is None else 3, number),
            load_argument if argument is not None else b"",
            struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | error),
            struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000),
        ]
    )


# ---- what the options refer to ----------------------------------------------------------------------------------------


def _cgroup_mount(stack: contextlib.ExitStack, directory: pathlib.Path) -> pathlib.Path:
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return pathlib.Path(place)
    mount = directory / "cgroup2"
    mount.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", mount], check=True, capture_output=True)
    stack.callback(subprocess.run, ["umount", mount], check=True)
    return mount


@contextlib.contextmanager
def cgroup(directory: pathlib.Path, name: str = "one") -> Iterator[pathlib.Path]:
    """A cgroup of version 2 of our own; afterwards what still runs there is killed."""
    with contextlib.ExitStack() as stack:
        group = _cgroup_mount(stack, directory) / f"aiospawn-test-{os.getpid()}-{name}"
        group.mkdir()
        try:
            yield group
        finally:
            if group.exists():
                (group / "cgroup.kill").write_text("1")
                empty(group)
                group.rmdir()


def empty(group: pathlib.Path) -> None:
    """Waits until nothing runs in the cgroup: its killed processes die a moment later."""
    with open(group / "cgroup.events") as events:
        waiter = select.poll()
        waiter.register(events, select.POLLPRI)
        while "populated 1" in events.read():
            waiter.poll()
            events.seek(0)


class Place(contextlib.ExitStack):
    """Files, descriptors, a cgroup, a terminal, namespaces: made when asked for, taken back when it is left."""

    def __init__(self, directory: pathlib.Path) -> None:
        super().__init__()
        self.directory = directory

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def owned(self, fd: int) -> int:
        """The descriptor under a number out of the way, closed in the end."""
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 40)
        os.close(fd)
        self.callback(os.close, moved)
        return moved

    @functools.cached_property
    def file(self) -> pathlib.Path:
        path = self.directory / "file"
        path.write_text("of a file")
        return path

    @functools.cached_property
    def other(self) -> pathlib.Path:
        path = self.directory / "other"
        path.write_text("of another")
        return path

    @functools.cached_property
    def reader(self) -> int:
        return self.owned(os.open(self.file, os.O_RDONLY))

    @functools.cached_property
    def other_reader(self) -> int:
        return self.owned(os.open(self.other, os.O_RDONLY))

    @functools.cached_property
    def inheritable(self) -> int:
        os.set_inheritable(self.reader, True)
        return self.reader

    @functools.cached_property
    def room(self) -> int:
        return self.owned(os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY))

    @functools.cached_property
    def root(self) -> pathlib.Path:
        """A root with a shell and nothing else."""
        shell = os.path.realpath("/bin/sh")
        libraries = subprocess.run(["ldd", shell], check=True, capture_output=True, text=True).stdout.split()
        for path in (*filter(os.path.isabs, libraries), "/bin/sh"):
            copy = self.directory / "root" / path[1:]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        return self.directory / "root"

    @functools.cached_property
    def program(self) -> int:
        """`readlink`, in memory."""
        fd = os.memfd_create("program")
        os.write(fd, pathlib.Path(shutil.which("readlink")).read_bytes())  # type: ignore[arg-type]
        return self.owned(fd)

    @functools.cached_property
    def terminal(self) -> int:
        leader, follower = os.openpty()
        self.owned(leader)
        return self.owned(follower)

    @functools.cached_property
    def group(self) -> int:
        """A process group of another child."""
        leader = subprocess.Popen(["sleep", "1000"], process_group=0)
        self.callback(leader.wait)
        self.callback(leader.kill)
        return leader.pid

    @functools.cached_property
    def namespaces(self) -> tuple[int, int]:
        """A UTS and an IPC namespace: a thread may have its own."""
        opened = []

        def make() -> None:
            assert _LIBC.unshare(NEW_UTS | NEW_IPC) == 0, os.strerror(ctypes.get_errno())
            opened.extend(os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY) for name in ("uts", "ipc"))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        uts, ipc = opened
        return self.owned(uts), self.owned(ipc)

    @functools.cached_property
    def cgroup(self) -> pathlib.Path:
        return self.enter_context(cgroup(self.directory))

    @functools.cached_property
    def cgroup_descriptor(self) -> int:
        self.cgroup  # noqa: B018 - left later than the descriptor
        return self.owned(os.open(self.cgroup, os.O_PATH | os.O_DIRECTORY))

    @functools.cached_property
    def ruleset(self) -> int:
        """No file may be written or made."""
        handled = struct.pack("=Q", _LANDLOCK_WRITE_FILE | _LANDLOCK_MAKE_REG)
        return self.owned(system_call(_LANDLOCK_CREATE, handled, ctypes.c_size_t(8), 0))

    @functools.cached_property
    def ignored(self) -> signal.Signals:
        """A signal that this process ignores."""
        self.callback(signal.signal, signal.SIGUSR2, signal.signal(signal.SIGUSR2, signal.SIG_IGN))
        return signal.SIGUSR2


# ---- how a child's output is read -------------------------------------------------------------------------------------


def words(output: str) -> str:
    return output.strip()


def status(name: str) -> Callable[[str], str]:
    """A line of /proc/self/status."""
    return lambda output: dict(line.split(":\t") for line in output.splitlines() if ":\t" in line)[name].strip()


def bits(name: str, *wanted: int) -> Callable[[str], list[bool]]:
    """Of a mask in /proc/self/status: is the bit set?"""
    return lambda output: [bool(int(status(name)(output), 16) >> bit & 1) for bit in wanted]


def signals(name: str, *wanted: int) -> Callable[[str], list[bool]]:
    return bits(name, *(number - 1 for number in wanted))


def stat(*fields: int) -> Callable[[str], tuple[int, ...]]:
    """Fields of /proc/self/stat, numbered as in proc_pid_stat(5); from the fourth on."""
    return lambda output: tuple(int(output.rpartition(")")[2].split()[field - 3]) for field in fields)


PID, PARENT, GROUP, SESSION, TERMINAL, FOREGROUND, NICE, PRIORITY, POLICY = 1, 4, 5, 6, 7, 8, 19, 40, 41


def leads(output: str) -> tuple[bool, bool]:
    """Does it lead its process group, its session?"""
    pid = int(output.split()[0])
    group, session = stat(GROUP, SESSION)(output)
    return group == pid, session == pid


def limit(name: str) -> Callable[[str], list[str]]:
    def read(output: str) -> list[str]:
        (line,) = (line for line in output.splitlines() if line.startswith(name))
        return line.removeprefix(name).split()[:2]

    return read


def device(fd: int) -> int:
    """As /proc/PID/stat has it."""
    number = os.fstat(fd).st_rdev
    return (os.minor(number) & 0xFF) | os.major(number) << 8 | (os.minor(number) & ~0xFF) << 12


# ---- the table --------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """`options`, `command` and `shows` may hold functions of the place, for what is made there."""

    name: str
    options: dict[str, Any]
    command: Any
    reading: Callable[[str], Any]
    shows: Any
    needs: str
    direct_only: bool


ROWS: list[Row] = []


def row(
    name: str,
    command: Any,
    reading: Callable[[str], Any],
    shows: Any,
    *,
    needs: str = "",
    direct_only: bool = False,
    **options: Any,
) -> None:
    ROWS.append(Row(name, options, command, reading, shows, needs, direct_only))


def _made(value: Any, place: Place) -> Any:
    return value(place) if callable(value) else value


def options_of(row: Row, place: Place) -> dict[str, Any]:
    return {name: _made(value, place) for name, value in row.options.items()}


async def shown(row: Row, place: Place, **more: Any) -> tuple[Any, Any]:
    """What the child shows, and what it should."""
    command = _made(row.command, place)
    command = command.split() if isinstance(command, str) else command
    options = {"stderr": aiospawn.DEVNULL, **options_of(row, place), **more}
    if not options.get("pty"):
        options = {"stdin": aiospawn.DEVNULL, "stdout": aiospawn.PIPE, **options}
    else:
        del options["stderr"]
    process = await aiospawn.create_subprocess_exec(*command, **options)
    output, _ = await process.communicate()
    await process.wait()
    return row.reading(output.decode().replace("\0", " ")), _made(row.shows, place)


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
row("preexec_fn: setsid", STAT, leads, (True, True), preexec_fn=lambda _: os.setsid)
row("preexec_fn: setpgrp", STAT, leads, (True, False), preexec_fn=lambda _: os.setpgrp)
row(
    "close_fds",
    lambda place: ("sh", "-c", f"test -e /proc/self/fd/{place.inheritable} || echo closed"),
    words,
    "closed",
    close_fds=True,
)
row("close_fds: False", lambda place: ("sh", "-c", f"cat <&{place.inheritable}"), words, "of a file", close_fds=False)
row("cwd", "readlink /proc/self/cwd", words, lambda place: str(place.directory), cwd=lambda place: place.directory)
row(
    "cwd: bytes",
    "readlink /proc/self/cwd",
    words,
    lambda place: str(place.directory),
    cwd=lambda place: os.fsencode(place.directory),
)
row("cwd: a descriptor", "readlink /proc/self/cwd", words, lambda place: str(place.directory), cwd=lambda place: place.room)
row("env", "/usr/bin/env", words, "NAME=a value", env={"NAME": "a value"})
row("startupinfo", "echo text", words, "text", startupinfo=None)
row("creationflags", "echo text", words, "text", creationflags=0)
row("restore_signals", STATUS, signals("SigIgn", *UNTIL), [False, False], restore_signals=True)
row("restore_signals: False", STATUS, signals("SigIgn", *UNTIL), [True, True], restore_signals=False)
row("start_new_session", STAT, leads, (True, True), start_new_session=True)
row(
    "pass_fds",
    lambda place: ("sh", "-c", f"cat <&{place.reader}"),
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
    lambda place: ("sh", "-c", f"cat <&{place.reader}; echo; cat <&{place.other_reader}"),
    words,
    "of another\nof a file",
    fds=lambda place: {place.reader: place.other_reader, place.other_reader: place.reader},
)
row(
    "fds: the same number",
    lambda place: ("sh", "-c", f"cat <&{place.reader}"),
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
    open_fds=lambda place: {6: (place.directory / "made", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)},
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
row(
    "landlock",
    lambda place: ("sh", "-c", f"cat {place.file}; echo; echo text >{place.directory}/refused || echo refused"),
    words,
    "of a file\nrefused",
    landlock=lambda place: place.ruleset,
    no_new_privs=True,
)
row(
    "seccomp",
    ("sh", "-c", "uname || echo refused; grep Seccomp: /proc/self/status"),
    str.split,
    ["refused", "Seccomp:", "2"],
    seccomp=refusing(_UNAME, 13),
    no_new_privs=True,
)


# ---- all of it --------------------------------------------------------------------------------------------------------

TOGETHER_COMMAND = (
    "cat",
    *(f"/proc/self/{name}" for name in ("stat", "status", "limits", "oom_score_adj", "timerslack_ns", "cgroup")),
)


def together(place: Place) -> dict[str, Any]:
    """Every option that goes with the others, in one launch of `cat`."""
    return {
        "executable": place.owned(os.open(shutil.which("cat"), os.O_RDONLY)),  # type: ignore[arg-type]
        "cwd": place.room,
        "chroot": "/",
        "env": {"NAME": "value"},
        "start_new_session": True,
        "controlling_terminal": place.terminal,
        "foreground": place.terminal,
        "pass_fds": [place.reader],
        "fds": {3: place.other_reader},
        "open_fds": {4: (place.file, os.O_RDONLY)},
        "umask": 0o027,
        "sigmask": {signal.SIGUSR1},
        "sigdefault": {place.ignored},
        "sigignore": {signal.SIGHUP},
        "rlimits": {resource.RLIMIT_NOFILE: (100, 200)},
        "nice": 5,
        "scheduler": (os.SCHED_BATCH, 0),
        "affinity": {max(os.sched_getaffinity(0))},
        "ioprio": (2, 3),
        "oom_score_adj": 321,
        "timer_slack_ns": 123456,
        "pdeathsig": signal.SIGUSR1,
        "cgroup": place.cgroup,
        "setns": [place.namespaces[1]],
        "unshare": NEW_USER | NEW_UTS,
        "uid_map": [(0, 0, 1), (1000, 2000, 10)],
        "gid_map": [(0, 0, 1), (1000, 2000, 10)],
        "user": 1000,
        "group": 1001,
        "extra_groups": [1002, 1003],
        "capabilities": {"drop": ["net_raw"], "ambient": ["kill"]},
        "no_new_privs": True,
        "landlock": place.ruleset,
        "seccomp": refusing(_UNAME, 13),
    }
