"""What of Landlock and seccomp this kernel has, and Landlock's rulesets."""

from __future__ import annotations

import os

from .library import lib
from .support import support

__all__ = [
    "allow_path",
    "allow_port",
    "descriptor_of",
    "empty_network",
    "landlock_abi",
    "listener",
    "listeners",
    "may_drop_bounding",
    "may_make_namespaces",
    "ruleset",
    "seccomp_filters",
    "views",
]


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def landlock_abi() -> int:
    """The version of Landlock's interface (landlock(7)), 0 where there is none."""
    return 0 if lib is None else int(lib.aiospawn_landlock_abi())


def seccomp_filters() -> bool:
    return lib is not None and bool(lib.aiospawn_seccomp_filters())


def listeners() -> bool:
    """Can another process be asked about a call, and let it go on (Linux 5.6, with `descriptor_of`)?"""
    return lib is not None and bool(lib.aiospawn_seccomp_listeners())


def listener(program: bytes) -> int:
    """Puts this thread behind a filter for good, with no new privileges: the descriptor of its listener. Raises OSError."""
    return _checked(lib.aiospawn_seccomp_listener(program, len(program) // 8))


def descriptor_of(pid: int, fd: int) -> int:
    """A duplicate of a process's descriptor. Raises OSError."""
    return _checked(lib.aiospawn_descriptor_of(pid, fd))


def views() -> bool:
    """Can a child be given namespaces, a file system and a /proc of its own? Tried once, in a child."""
    return bool(support()) and bool(lib.aiospawn_views())


def may_drop_bounding() -> bool:
    """Has this thread CAP_SETPCAP in effect?"""
    return bool(lib.aiospawn_may_drop_bounding())


def may_make_namespaces() -> bool:
    """Has this thread CAP_SYS_ADMIN in effect?"""
    return bool(lib.aiospawn_may_make_namespaces())


def empty_network() -> int:
    """The descriptor of a new network namespace, close-on-exec. Raises OSError."""
    return _checked(lib.aiospawn_empty_network())


def ruleset(files: int, ports: int, scopes: int) -> int:
    """The descriptor of a new ruleset that handles these accesses, close-on-exec. Raises OSError."""
    return _checked(lib.aiospawn_landlock_ruleset(files, ports, scopes))


def allow_path(descriptor: int, directory: int, access: int) -> None:
    """Adds a rule for a file, or for a directory and all below it. Raises OSError."""
    _checked(lib.aiospawn_landlock_allow_path(descriptor, directory, access))


def allow_port(descriptor: int, port: int, access: int) -> None:
    """Adds a rule for a TCP port. Raises OSError."""
    _checked(lib.aiospawn_landlock_allow_port(descriptor, port, access))
