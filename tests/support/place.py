"""What options refer to: files, descriptors, a cgroup, a terminal, namespaces; for tests, and for programs of `fresh`."""

import contextlib
import ctypes
import fcntl
import functools
import os
import pathlib
import platform
import select
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator
from typing import Self

from readings import status

import aiospawn

__all__ = [
    "ALL_CAPABILITIES",
    "NEW_USER",
    "NEW_UTS",
    "UNAME",
    "Place",
    "cgroup",
    "empty",
    "lacks",
    "refusing",
]

_LIBC = ctypes.CDLL(None, use_errno=True)
NEW_UTS, NEW_USER = 0x04000000, 0x10000000
_LANDLOCK_CREATE = 444  # the same on every processor
_LANDLOCK_WRITE_FILE, _LANDLOCK_MAKE_REG = 2, 256
UNAME = {"x86_64": 63, "aarch64": 160}[platform.machine()]


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
    mount = directory / "cgroup2"
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        is_anothers = not place.startswith("/sys/") and place != str(mount)  # of a test that takes it away again
        if kind == "cgroup2" and "rw" in options.split(",") and not is_anothers:
            return pathlib.Path(place)
    mount.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", mount], check=True, capture_output=True)
    stack.callback(subprocess.run, ["umount", "--lazy", mount], check=True)
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
    def head(self) -> int:
        return self.owned(os.open(shutil.which("head"), os.O_RDONLY))  # type: ignore[arg-type]

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
        """A UTS and an IPC namespace."""
        command = ["unshare", "--uts", "--ipc", "cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdin
            assert holder.stdout
            holder.stdin.write(b"there?\n")
            holder.stdin.flush()
            holder.stdout.readline()
            uts, ipc = (os.open(f"/proc/{holder.pid}/ns/{name}", os.O_RDONLY) for name in ("uts", "ipc"))
        return self.owned(uts), self.owned(ipc)

    @functools.cached_property
    def namespace(self) -> int:
        """The UTS namespace of this process."""
        return self.owned(os.open("/proc/self/ns/uts", os.O_RDONLY))

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


_CAPABILITIES = {"setgid": 6, "setuid": 7, "setpcap": 8, "sys_chroot": 18, "sys_admin": 21, "sys_nice": 23}


ALL_CAPABILITIES = tuple(_CAPABILITIES)


def lacks(*needs: str) -> list[str]:
    """Which of these are missing: capabilities, "mdwe" (Linux 6.3), "sandbox", all restrictions of one (6.12), "view"."""
    held = int(status("CapEff")(pathlib.Path("/proc/self/status").read_text()), 16)
    missing = [name for name in needs if name in _CAPABILITIES and not held >> _CAPABILITIES[name] & 1]
    get_mdwe = 66
    if "mdwe" in needs and ctypes.CDLL(None).prctl(get_mdwe, 0, 0, 0, 0) < 0:
        missing.append("mdwe")
    if "sandbox" in needs and not all(restriction.enforced for restriction in aiospawn.Sandbox.restrictions()):
        missing.append("sandbox")
    views = (restriction.enforced for restriction in aiospawn.Sandbox.restrictions() if restriction.name == "view")
    if "view" in needs and not all(views):
        missing.append("view")
    return missing
