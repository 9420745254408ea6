"""Cgroups of version 2, as directories (cgroups(7))."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["Delegated", "WhereThere", "delegated", "enable", "failed", "own", "read", "write"]

_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class WhereThere(str):
    """What is written to a file of a cgroup where there is that file: not every kernel has each."""

    __slots__ = ()


def failed(number: int, text: str) -> OSError:
    """The error, with `.step`."""
    error = OSError(number, f"{os.strerror(number)} ({text})")
    error.step = "cgroup"  # type: ignore[attr-defined]
    return error


def _mounts() -> Iterator[tuple[str, str]]:
    """Of cgroup v2: the directory of it that is mounted, and where (proc_pid_mountinfo(5))."""
    with open("/proc/self/mountinfo") as mountinfo:
        for line in mountinfo:
            before, _, behind = line.partition(" - ")
            if behind.startswith("cgroup2 "):
                root, place = (_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), name) for name in before.split()[3:5])
                yield root, place


def own() -> str:
    """This process's cgroup, as a directory. Raises OSError."""
    try:
        with open("/proc/self/cgroup") as lines:
            name = next((line.rstrip("\n")[3:] for line in lines if line.startswith("0::")), None)
        for root, place in _mounts():
            if name is not None and os.path.commonpath([root, name]) == root:
                return os.path.normpath(os.path.join(place, os.path.relpath(name, root)))
    except (OSError, ValueError) as error:
        raise failed(getattr(error, "errno", None) or errno.ENOENT, f"cgroup {error}") from None
    raise failed(errno.ENOENT, "cgroup: no cgroup v2 is mounted that has this process's")


# ---- files ----------------------------------------------------------------------------------------------------------------


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def write(path: str, text: str) -> None:
    """Not by open(): that may create, which is refused with a less telling error."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
    except OSError as error:
        raise failed(error.errno or 0, f"cgroup {text!r} to {path}") from None


def enable(directory: str, controllers: Collection[str]) -> None:
    """These controllers for what is below. Raises OSError."""
    if not controllers:
        return
    enabled, _ = _controllers(directory)
    for controller in sorted({*controllers} - enabled):
        _refuse_missing(directory, controller)
        try:
            write(os.path.join(directory, "cgroup.subtree_control"), f"+{controller}")
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            raise _has_processes(directory) from None


def _controllers(directory: str) -> tuple[set[str], set[str]]:
    """Those that what is below has, and those that it can have."""
    try:
        names = ("cgroup.subtree_control", "cgroup.controllers")
        enabled, available = ({*read(os.path.join(directory, name)).split()} for name in names)
    except OSError as error:
        raise failed(error.errno or 0, f"cgroup {directory}") from None
    return enabled, available


def _refuse_missing(directory: str, controller: str) -> None:
    _, available = _controllers(directory)
    if controller not in available:
        there = ", ".join(sorted(available)) or "none"
        raise failed(errno.EOPNOTSUPP, f"cgroup {directory} has no {controller} controller; available: {there}")


def _has_processes(directory: str) -> OSError:
    text = f"cgroup {directory} has processes, and so gives its controllers to no cgroup below it (cgroups(7))"
    return failed(errno.EBUSY, f"{text}: name another one by init_cgroup")


# ---- delegation -----------------------------------------------------------------------------------------------------------


class Delegated(NamedTuple):
    """Where cgroups with a memory controller may be made, or why nowhere."""

    directory: str | None
    lack: str


def delegated(named: str | None = None) -> Delegated:
    """The cgroup below which a tree can have one of its own whose memory the kernel bounds.

    Args:
        named: The directory that the caller names. Otherwise this process's cgroup or the one above it, where it was
            delegated: it belongs to this process's user, and for root it is the root of the hierarchy or systemd marked it.
    """
    try:
        place = _its_own(own()) if named is None else named
        if place is None:
            return Delegated(None, "no cgroup is delegated to this process")
        enabled, _ = _controllers(place)
        if "memory" not in enabled:
            _refuse_missing(place, "memory")
            if not _is_root(place) and read(os.path.join(place, "cgroup.procs")):
                raise _has_processes(place)
    except OSError as error:
        return Delegated(None, str(error))
    return Delegated(place, "")


def _its_own(cgroup: str) -> str | None:
    """A cgroup with processes in it gives its controllers to none below, but the root: so it is the one above."""
    if _is_root(cgroup):
        return cgroup if _is_writable(cgroup) else None
    above = os.path.dirname(cgroup)
    is_ours = _is_marked(above) if os.geteuid() == 0 else os.stat(above).st_uid == os.geteuid()
    return above if is_ours and not _is_root(above) and _is_writable(above) else None


def _is_root(cgroup: str) -> bool:
    return not os.path.exists(os.path.join(cgroup, "cgroup.type"))


def _is_writable(cgroup: str) -> bool:
    files = (cgroup, os.path.join(cgroup, "cgroup.procs"))
    return all(os.access(file, os.W_OK, effective_ids=True) for file in files)


def _is_marked(cgroup: str) -> bool:
    """By systemd, as that of a unit with Delegate=."""
    for name in ("trusted.delegate", "user.delegate"):
        try:
            if os.getxattr(cgroup, name) == b"1":
                return True
        except OSError:
            continue
    return False
