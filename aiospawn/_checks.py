"""What an option's value may be: one function an option, which gives the value in its final form or raises.

TypeError for a wrong type and ValueError for a wrong value name the option and the value; for `subprocess.Popen`'s own
options they are the stdlib's, word for word.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import _errors

__all__ = ["CHECKS", "descriptor", "is_open"]

_ID_LIMIT = 2**32 - 1
_INT_MAX = 2**31 - 1
_SIGNALS = 64
_INFINITY = 2**64 - 1  # RLIM_INFINITY, which the resource module has as -1
_CAPABILITIES = (  # <linux/capability.h>, by number
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
)


# ---- numbers, descriptors, paths --------------------------------------------------------------------------------------


def _number(name: str, value: Any, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}: {value!r}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be between {lowest} and {highest}, got {value}")
    return value


def _integer(
    name: str, lowest: int, highest: int, *, unset: int | None = None, optional: bool = True
) -> Callable[[Any], int | None]:
    def check(value: Any) -> int | None:
        if (optional and value is None) or (unset is not None and value == unset):
            return unset
        return _number(name, value, lowest, highest)

    return check


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def descriptor(name: str, value: Any) -> int:
    """A descriptor, or what has a `fileno()`. Open now: the child could only tell later."""
    fd = value if isinstance(value, int) else value.fileno()
    if not is_open(fd):
        raise _errors.bad_descriptor(name, value)
    return int(fd)


def _own_descriptor(name: str, value: Any) -> int:
    """For an option that the stdlib does not have: the wrong type is told in our words."""
    if isinstance(value, bool) or not (isinstance(value, int) or hasattr(value, "fileno")):
        raise TypeError(f"{name} must be a descriptor or a file, not {value!r}")
    return descriptor(name, value)


def _descriptor(name: str) -> Callable[[Any], int | None]:
    return lambda value: None if value is None else _own_descriptor(name, value)


def _path(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, bytes)) else os.fspath(value)


def _path_or_descriptor(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        is_descriptor = isinstance(value, int) or hasattr(value, "fileno")
        if is_descriptor:
            return descriptor(name, value)
        _path(value)
        return value  # as given: the errors' filename

    return check


def _own_path(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value is None:
            return None
        try:
            path = os.fspath(value)
        except TypeError:
            raise TypeError(f"{name} must be a path, not {value!r}") from None
        if b"\0" in os.fsencode(path):
            raise ValueError(f"{name}: embedded null byte in {value!r}")
        return path

    return check


def _own_path_or_descriptor(name: str) -> Callable[[Any], Any]:
    check_path = _own_path(name)

    def check(value: Any) -> Any:
        is_descriptor = isinstance(value, int) or hasattr(value, "fileno")
        return _own_descriptor(name, value) if is_descriptor else check_path(value)

    return check


def _flag(name: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, (bool, int)):
            raise TypeError(f"{name} must be a bool, not {type(value).__name__}: {value!r}")
        return bool(value)

    return check


def _windows_only(name: str, unset: object) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value != unset:
            raise ValueError(f"{name} is only supported on Windows platforms")
        return value

    return check


def _preexec_fn(value: Any) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"preexec_fn must be callable, not {type(value).__name__}")
    return value


# ---- descriptors ------------------------------------------------------------------------------------------------------


def _pass_fds(value: Any) -> tuple[int, ...]:
    fds = tuple(sorted({int(fd) for fd in value}))
    for fd in fds:
        if not 0 <= fd <= _INT_MAX:
            raise ValueError("bad value(s) in fds_to_keep")
        if not is_open(fd):
            raise _errors.bad_descriptor("pass_fds", fd)
    return fds


def _child_number(name: str, value: Any) -> int:
    _number(f"a descriptor in {name}", value, 0, _INT_MAX)
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and value >= soft:
        raise ValueError(f"{name}[{value}]: descriptors are below {soft}, the soft RLIMIT_NOFILE")
    return int(value)


def _fds(value: Any) -> dict[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"fds must map child descriptors to descriptors or files, not {value!r}")
    return {_child_number("fds", number): _own_descriptor(f"fds[{number}]", source) for number, source in value.items()}


def _open_fds(value: Any) -> dict[int, tuple[bytes, int, int]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"open_fds must map child descriptors to (path, flags, mode), not {value!r}")
    opened = {}
    for number, specification in value.items():
        _child_number("open_fds", number)
        if not isinstance(specification, tuple) or len(specification) not in (2, 3):
            raise TypeError(f"open_fds[{number}] must be (path, flags) or (path, flags, mode), got {specification!r}")
        path, flags, mode = specification if len(specification) == 3 else (*specification, 0o666)
        _number(f"open_fds[{number}] flags", flags, 0, _INT_MAX)
        _number(f"open_fds[{number}] mode", mode, 0, 0o7777)
        opened[number] = (_terminated(f"open_fds[{number}]", path), flags & ~os.O_CLOEXEC, mode)
    return opened


def _terminated(name: str, path: Any) -> bytes:
    return os.fsencode(_own_path(name)(path)) + b"\0"


def _pty(value: Any) -> bool | tuple[int, int]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"pty must be a bool or (rows, columns), got {value!r}")
    return _number("pty rows", value[0], 1, 65535), _number("pty columns", value[1], 1, 65535)


# ---- ids --------------------------------------------------------------------------------------------------------------


def _identity(what: str, value: int) -> int:
    if value < 0:
        raise ValueError(f"{what} ID cannot be negative, got {value}")
    if value >= _ID_LIMIT:  # (uid_t)-1 means "leave as it is" to the kernel
        raise ValueError(f"{what} ID must be below {_ID_LIMIT}, got {value}")
    return value


def _user(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str):
        import pwd

        return pwd.getpwnam(value).pw_uid
    if not isinstance(value, int):
        raise TypeError("User must be a string or an integer")
    return _identity("User", value)


def _group_id(value: Any, what: str) -> int:
    if isinstance(value, str):
        import grp

        return grp.getgrnam(value).gr_gid
    if not isinstance(value, int):
        raise TypeError(f"{what} integer, not {type(value)}")
    return _identity("Group", value)


def _group(value: Any) -> int | None:
    return None if value is None else _group_id(value, "Group must be a string or an")


def _extra_groups(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        raise ValueError("Groups must be a list, not a string")
    return tuple(_group_id(item, "Items in extra_groups must be a string or") for item in value)


def _id_map(name: str) -> Callable[[Any], bytes | None]:
    def check(value: Any) -> bytes | None:
        if value is None:
            return None
        lines = []
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise TypeError(f"{name} must be a list of (inside, outside, count), got {value!r}")
        for line in value:
            if not isinstance(line, tuple) or len(line) != 3:
                raise TypeError(f"{name} must be a list of (inside, outside, count), got {line!r}")
            inside, outside, count = (_number(f"a number in {name}", number, 0, _ID_LIMIT) for number in line)
            lines.append(f"{inside} {outside} {count}\n")
        if not lines:
            raise ValueError(f"{name} must not be empty")
        return "".join(lines).encode()

    return check


# ---- signals ----------------------------------------------------------------------------------------------------------


def _signal(name: str, value: Any) -> int:
    return _number(f"a signal in {name}", int(value) if isinstance(value, signal.Signals) else value, 1, _SIGNALS)


def _signals(name: str, *, catchable: bool) -> Callable[[Any], int | None]:
    """As the kernel's mask: signal n is bit n - 1."""

    def check(value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, (int, str, bytes)) or not isinstance(value, Iterable):
            raise TypeError(f"{name} must be a collection of signals, not {value!r}")
        numbers = {_signal(name, number) for number in value}
        if catchable and numbers & {signal.SIGKILL, signal.SIGSTOP}:
            raise ValueError(f"{name} cannot hold SIGKILL or SIGSTOP")
        return sum(1 << (number - 1) for number in numbers)

    return check


def _pdeathsig(value: Any) -> int | None:
    return None if value is None else _signal("pdeathsig", value)


# ---- limits and scheduling --------------------------------------------------------------------------------------------


def _rlimits(value: Any) -> dict[int, tuple[int, int]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"rlimits must map resource.RLIMIT_* to (soft, hard), not {value!r}")
    limits = {}
    for number, limit in value.items():
        _number("a resource in rlimits", number, 0, 15)
        soft, hard = limit if isinstance(limit, tuple) and len(limit) == 2 else (limit, limit)
        name = f"rlimits[{number}]"
        limits[number] = _limit(name, soft), _limit(name, hard)
        if limits[number][0] > limits[number][1]:
            raise ValueError(f"{name}: the soft limit {soft} is above the hard limit {hard}")
    return limits


def _limit(name: str, value: Any) -> int:
    return _INFINITY if value in (-1, _INFINITY) else _number(name, value, 0, _INFINITY)


def _pair(name: str, parts: str, ranges: tuple[tuple[int, int], tuple[int, int]]) -> Callable[[Any], tuple[int, int] | None]:
    def check(value: Any) -> tuple[int, int] | None:
        if value is None:
            return None
        if not isinstance(value, tuple) or len(value) != 2:
            raise TypeError(f"{name} must be {parts}, got {value!r}")
        first, second = (_number(f"{name} {parts}", part, *limits) for part, limits in zip(value, ranges, strict=True))
        return first, second

    return check


def _affinity(value: Any) -> frozenset[int] | None:
    if value is None:
        return None
    if isinstance(value, (int, str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"affinity must be a set of CPU numbers, not {value!r}")
    cpus = frozenset(_number("a CPU in affinity", cpu, 0, 8191) for cpu in value)
    if not cpus:
        raise ValueError("affinity must name at least one CPU")
    return cpus


# ---- privileges -------------------------------------------------------------------------------------------------------


def _capability(value: Any) -> int:
    if isinstance(value, str):
        name = value.lower().removeprefix("cap_")
        if name not in _CAPABILITIES:
            raise ValueError(f"capabilities: unknown capability {value!r}")
        return _CAPABILITIES.index(name)
    return _number("a capability in capabilities", value, 0, 62)


def _capabilities(value: Any) -> dict[str, int] | None:
    """As masks. "all" is every bit."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not value.keys() <= {"drop", "ambient"}:
        raise TypeError(f'capabilities must be a mapping with "drop" and "ambient", got {value!r}')
    masks = {}
    for key, names in value.items():
        if names == "all" and key == "drop":
            masks[key] = -1
            continue
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise TypeError(f"capabilities[{key!r}] must be a collection of names, not {names!r}")
        masks[key] = sum(1 << number for number in {_capability(name) for name in names})
    if masks.get("drop", 0) & masks.get("ambient", 0):
        raise ValueError(f"capabilities: the same one in drop and ambient: {value!r}")
    return masks


def _seccomp(value: Any) -> bytes | None:
    if value is None:
        return None
    program = bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else None
    if program is None:
        raise TypeError(f"seccomp must be the bytes of a BPF program, not {type(value).__name__}")
    if not program or len(program) % 8 or len(program) // 8 > 4096:
        raise ValueError(f"seccomp must be 1 to 4096 instructions of 8 bytes, got {len(program)} bytes")
    return program


def _setns(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"setns must be a list of descriptors, not {value!r}")
    return tuple(_own_descriptor("setns", item) for item in value)


def _via(value: Any) -> str | None:
    if value not in (None, "launcher"):
        raise ValueError(f'via must be None or "launcher", got {value!r}')
    return None if value is None else "launcher"


CHECKS: dict[str, Callable[[Any], Any]] = {
    "executable": _path_or_descriptor("executable"),
    "preexec_fn": _preexec_fn,
    "close_fds": bool,
    "restore_signals": bool,
    "start_new_session": bool,
    "startupinfo": _windows_only("startupinfo", None),
    "creationflags": _windows_only("creationflags", 0),
    "pass_fds": _pass_fds,
    "fds": _fds,
    "open_fds": _open_fds,
    "pipesize": _integer("pipesize", 0, _INT_MAX, unset=-1),
    "pty": _pty,
    "cwd": _path_or_descriptor("cwd"),
    "chroot": _own_path("chroot"),
    "umask": _integer("umask", 0, 0o7777, unset=-1, optional=False),
    "process_group": _integer("process_group", 0, _INT_MAX, unset=-1),
    "controlling_terminal": _descriptor("controlling_terminal"),
    "foreground": _descriptor("foreground"),
    "sigmask": _signals("sigmask", catchable=False),
    "sigdefault": _signals("sigdefault", catchable=True),
    "sigignore": _signals("sigignore", catchable=True),
    "rlimits": _rlimits,
    "nice": _integer("nice", -40, 40),
    "scheduler": _pair("scheduler", "(policy, priority)", ((0, _INT_MAX), (0, 99))),
    "affinity": _affinity,
    "ioprio": _pair("ioprio", "(class, level)", ((0, 3), (0, 7))),
    "oom_score_adj": _integer("oom_score_adj", -1000, 1000),
    "timer_slack_ns": _integer("timer_slack_ns", 0, 2**63 - 1),
    "pdeathsig": _pdeathsig,
    "cgroup": _own_path_or_descriptor("cgroup"),
    "setns": _setns,
    "unshare": _integer("unshare", 1, _INT_MAX),
    "uid_map": _id_map("uid_map"),
    "gid_map": _id_map("gid_map"),
    "user": _user,
    "group": _group,
    "extra_groups": _extra_groups,
    "capabilities": _capabilities,
    "no_new_privs": _flag("no_new_privs"),
    "landlock": _descriptor("landlock"),
    "seccomp": _seccomp,
    "via": _via,
}
