"""The limits of this system that bound how many children can run at once."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Limit", "limits"]


class Limit(NamedTuple):
    """A limit of the system, and how many children that run at once it allows: None where it sets no bound."""

    name: str
    value: str
    children: int | None
    note: str


# A running child holds a pidfd and one end of each of its pipes; while it is launched, a status pipe as well.
_DESCRIPTORS_BARE, _DESCRIPTORS_PIPED = 2, 5
_NO_PROC = "what of it is used stands in /proc, which is not there"


def limits() -> Iterator[Limit]:
    yield _open_files()
    yield _processes_of_user()
    threads = _running_threads()
    for name, path in (("pid_max", "/proc/sys/kernel/pid_max"), ("threads-max", "/proc/sys/kernel/threads-max")):
        value = _read(path)
        if value is not None:
            yield Limit(name, value, max(0, int(value) - threads), f"{threads:,} threads run on this machine")
    yield _cgroup()
    overcommit = _read("/proc/sys/vm/overcommit_memory")
    if overcommit is not None:
        note = {
            "0": "a fork of a very large process can fail; a native launch copies no memory",
            "1": "never refuses memory",
            "2": "strict: a fork of a large process fails with ENOMEM; a native launch copies no memory",
        }
        yield Limit("vm.overcommit_memory", overcommit, None, note.get(overcommit, ""))


def _open_files() -> Limit:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    value = f"{_amount(soft)} (hard {_amount(hard)})"
    if soft == resource.RLIM_INFINITY:
        return Limit("RLIMIT_NOFILE", value, None, "")
    try:
        free = max(0, soft - len(os.listdir("/proc/self/fd")))
    except OSError:
        return Limit("RLIMIT_NOFILE", value, None, _NO_PROC)
    bare, piped = free // _DESCRIPTORS_BARE, free // _DESCRIPTORS_PIPED
    return Limit("RLIMIT_NOFILE", value, piped, f"with three pipes each; {bare:,} without pipes")


def _processes_of_user() -> Limit:
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    value = f"{_amount(soft)} (hard {_amount(hard)})"
    if soft == resource.RLIM_INFINITY:
        return Limit("RLIMIT_NPROC", value, None, "")
    if os.geteuid() == 0:
        return Limit("RLIMIT_NPROC", value, None, "does not bind root")
    if not os.path.exists("/proc/self"):
        return Limit("RLIMIT_NPROC", value, None, _NO_PROC)
    mine = _threads_of(os.getuid())
    return Limit("RLIMIT_NPROC", value, max(0, soft - mine), f"{mine:,} threads of this user run")


def _cgroup() -> Limit:
    """The tightest of the cgroup's and its ancestors' limits."""
    tightest: tuple[int, int] | None = None
    for directory in _cgroup_directories():
        limit, current = _read(directory / "pids.max"), _read(directory / "pids.current")
        if limit is None or current is None or limit == "max":
            continue
        found = int(limit), max(0, int(limit) - int(current))
        tightest = min(tightest or found, found, key=lambda pair: pair[1])
    if tightest is None:
        known = os.path.exists("/proc/self/cgroup")
        return Limit("cgroup pids.max", *(("no limit", None, "") if known else ("unknown", None, _NO_PROC)))
    return Limit("cgroup pids.max", _amount(tightest[0]), tightest[1], "tasks of the whole cgroup")


def _cgroup_directories() -> Iterator[Path]:
    for line in (_read("/proc/self/cgroup") or "").splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if "pids" in controllers.split(","):
            root = Path("/sys/fs/cgroup/pids")
        elif hierarchy == "0":
            root = Path("/sys/fs/cgroup")
        else:
            continue
        directory = root / path.lstrip("/")
        while directory.is_relative_to(root):
            yield directory
            directory = directory.parent


def _running_threads() -> int:
    # proc(5): the fourth field is "runnable/existing scheduling entities".
    fields = (_read("/proc/loadavg") or "").split()
    return int(fields[3].partition("/")[2]) if len(fields) > 3 else 0


def _threads_of(uid: int) -> int:
    threads = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if process.stat().st_uid == uid:
                threads += len(os.listdir(process / "task"))
        except OSError:  # gone meanwhile
            continue
    return threads


def _read(path: str | Path) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _amount(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else f"{value:,}"
