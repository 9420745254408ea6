"""What a process is besides its memory: everything that an option changes in a child, looked at in this process."""

import ctypes
import os
import pathlib
import resource
import signal
from typing import Any

import fresh

__all__ = ["difference", "snapshot"]

_LIBC = ctypes.CDLL(None, use_errno=True)
_PRCTLS = {
    "dumpable": 3,
    "keepcaps": 7,
    "securebits": 27,
    "timer slack": 30,
    "thp disable": 42,
    "mdwe": 66,
    "no_new_privs": 39,
    "seccomp": 21,
}
_GET_PDEATHSIG, _AMBIENT, _AMBIENT_IS_SET = 2, 47, 1
_IOPRIO_GET = {"x86_64": 252, "aarch64": 31}[os.uname().machine]
_STATUS = """
    Name Umask Tgid Pid PPid Uid Gid Groups NStgid NSpid NSpgid NSsid SigBlk SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb
    NoNewPrivs Seccomp Seccomp_filters Cpus_allowed_list Mems_allowed_list THP_enabled
""".split()  # noqa: SIM905 - as a list it would be a screen long
_FILES = (
    *("oom_score_adj", "oom_adj", "coredump_filter", "cgroup", "limits"),
    *("uid_map", "gid_map", "setgroups", "timerslack_ns", "personality"),
)


def _read(path: pathlib.Path) -> str | None:
    return path.read_text() if path.exists() else None


def _thread(directory: pathlib.Path) -> dict[str, Any]:
    lines = dict(line.split(":\t") for line in (directory / "status").read_text().splitlines() if ":\t" in line)
    stat = (directory / "stat").read_text().rpartition(")")[2].split()
    return {
        **{name: lines[name] for name in _STATUS if name in lines},
        "group, session, terminal, foreground": stat[2:6],
        "nice": stat[16],
        "priority, policy": stat[37:39],
        "namespaces": {name: os.readlink(directory / "ns" / name) for name in os.listdir(directory / "ns")},
    }


def snapshot() -> dict[str, Any]:
    """All of it, by name; equal if nothing has changed."""
    here = pathlib.Path("/proc/self")
    death = ctypes.c_int()
    _LIBC.prctl(_GET_PDEATHSIG, ctypes.byref(death))
    return {
        "threads": {name: _thread(here / "task" / name) for name in os.listdir(here / "task")},
        "files": {name: _read(here / name) for name in _FILES},
        "prctl": {name: _LIBC.prctl(number, 0, 0, 0, 0) for name, number in _PRCTLS.items()},
        "pdeathsig": death.value,
        "ambient": [_LIBC.prctl(_AMBIENT, _AMBIENT_IS_SET, number, 0, 0) for number in range(41)],
        "ioprio": _LIBC.syscall(_IOPRIO_GET, 1, 0),
        "ids": (os.getresuid(), os.getresgid(), sorted(os.getgroups())),
        "place": (os.readlink("/proc/self/cwd"), os.readlink("/proc/self/root")),
        "limits": [resource.getrlimit(number) for number in range(16)],
        "handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "descriptors": {fd: (target, os.get_inheritable(fd)) for fd, target in fresh.descriptors().items()},
        "children": fresh.children(),
    }


def difference(before: Any, after: Any) -> Any:
    """What is not the same in two snapshots."""
    if not isinstance(before, dict):
        return before, after
    return {
        name: difference(before.get(name), after.get(name))
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }
