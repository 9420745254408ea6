"""What a sandbox restricts, what of the kernel that takes, and whether this kernel has it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from aiospawn._binding import restrictions as kernel

__all__ = ["Kernel", "Restriction", "checked_names", "found", "missing", "table"]


class Kernel(NamedTuple):
    """What this kernel has."""

    landlock: int
    """The ABI, 0 for none."""
    filters: bool
    views: bool = True
    """Namespaces of users (or the rights to do without), PIDs, mounts, networks; `mount_setattr`."""


class Restriction(NamedTuple):
    """One restriction of a `Sandbox`, and whether this kernel can enforce it.

    Attributes:
        name: As `at_least` of `Sandbox` takes it.
        stops: What it stops, in words.
        need: What it needs of the kernel, with the Linux version that has it.
        have: What this kernel has.
        enforced: Whether that is enough.
    """

    name: str
    stops: str
    need: str
    have: str
    enforced: bool


class _Row(NamedTuple):
    name: str
    stops: str
    abi: int
    linux: str


_VIEW: Final = -1
# Linux versions: landlock(7) and the kernel's Documentation/userspace-api/landlock.rst.
_ROWS: Final = (
    _Row("files", "opening, making, removing, renaming and executing files that are not named", 1, "5.13"),
    _Row("truncate", "truncating files that are not writable", 3, "6.2"),
    _Row("tcp_ports", "TCP connections and listeners on ports that are not named", 4, "6.7"),
    _Row("device_ioctls", "ioctl on devices that are not named", 5, "6.10"),
    _Row("abstract_sockets", "connections to abstract Unix sockets of others", 6, "6.12"),
    _Row("signals", "signals to processes outside", 6, "6.12"),
    _Row("view", "with `hide`: seeing what is not named, and other processes", _VIEW, "5.12"),
    _Row("network_alone", 'with `network="loopback"`: every network but that of its own', _VIEW, "5.12"),
    _Row("system_calls", "dangerous system calls, sockets of other families", 0, "3.17"),
)
_NAMES: Final = tuple(row.name for row in _ROWS)


def found() -> Kernel:
    return Kernel(kernel.landlock_abi(), kernel.seccomp_filters(), kernel.views())


def table(have: Kernel) -> tuple[Restriction, ...]:
    return tuple(_judged(row, have) for row in _ROWS)


def _judged(row: _Row, have: Kernel) -> Restriction:
    if row.abi == _VIEW:
        need = f"user namespaces or CAP_SYS_ADMIN, a /proc that nothing covers (Linux {row.linux})"
        return Restriction(row.name, row.stops, need, "them" if have.views else "not all of them", have.views)
    if row.abi:
        shown = f"Landlock ABI {have.landlock}" if have.landlock else "no Landlock"
        return Restriction(
            row.name, row.stops, f"Landlock ABI {row.abi} (Linux {row.linux})", shown, have.landlock >= row.abi
        )
    shown = "them" if have.filters else "none"
    return Restriction(row.name, row.stops, f"seccomp filters (Linux {row.linux})", shown, have.filters)


def missing(names: Collection[str], have: Kernel) -> list[Restriction]:
    """Those of these restrictions that the kernel cannot enforce."""
    return [row for row in table(have) if row.name in names and not row.enforced]


def checked_names(value: Any) -> frozenset[str] | None:
    """The value of `at_least`."""
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"at_least must be a collection of restrictions, not {value!r}")
    for name in value:
        if name not in _NAMES:
            raise ValueError(f"at_least: unknown restriction {name!r}, known are {', '.join(_NAMES)}")
    return frozenset(value)
