"""What an option's value may be: one function an option, which gives the value in its final form or raises.

TypeError for a wrong type and ValueError for a wrong value name the option and the value; for `subprocess.Popen`'s own
options they are the stdlib's, word for word.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Mapping
from typing import Any

from . import capabilities, descriptors, ids
from .values import INT_MAX, flag, integer, number, own_path, pair, whole

__all__ = ["CHECKS"]

_SIGNALS = 64
_INFINITY = 2**64 - 1  # RLIM_INFINITY, which the resource module has as -1


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


def _env(value: Any) -> Any:
    """What it maps is looked at when it is compiled. Not in the text: an environment has secrets."""
    if value is not None and not hasattr(value, "items"):
        raise TypeError(f"env must be a mapping, not {type(value).__name__}")
    return value


def _pty(value: Any) -> bool | tuple[int, int]:
    if isinstance(value, bool):
        return value
    if isinstance(value, os.terminal_size):  # a tuple the other way round
        value = value.lines, value.columns
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"pty must be a bool or (rows, columns), got {value!r}")
    return number("pty rows", value[0], 1, 65535), number("pty columns", value[1], 1, 65535)


# ---- signals ----------------------------------------------------------------------------------------------------------


def _signal(name: str, value: Any) -> int:
    return number(f"a signal in {name}", value, 1, _SIGNALS)


def _signals(name: str, *, catchable: bool) -> Callable[[Any], int | None]:
    """As the kernel's mask: signal n is bit n - 1."""

    def check(value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, (int, str, bytes)) or not isinstance(value, Collection):
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
    for resource, limit in value.items():
        kind = number("a resource in rlimits", resource, 0, 15)
        soft, hard = limit if isinstance(limit, tuple) and len(limit) == 2 else (limit, limit)
        name = f"rlimits[{kind}]"
        limits[kind] = _limit(name, soft), _limit(name, hard)
        if limits[kind][0] > limits[kind][1]:
            raise ValueError(f"{name}: the soft limit {soft} is above the hard limit {hard}")
    return limits


def _limit(name: str, value: Any) -> int:
    return _INFINITY if whole(name, value) == -1 else number(name, value, 0, _INFINITY)


def _affinity(value: Any) -> frozenset[int] | None:
    if value is None:
        return None
    if isinstance(value, (int, str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"affinity must be a set of CPU numbers, not {value!r}")
    cpus = frozenset(number("a CPU in affinity", cpu, 0, 8191) for cpu in value)
    if not cpus:
        raise ValueError("affinity must name at least one CPU")
    return cpus


# ---- the rest ---------------------------------------------------------------------------------------------------------


def _seccomp(value: Any) -> bytes | None:
    if value is None:
        return None
    program = bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else None
    if program is None:
        raise TypeError(f"seccomp must be the bytes of a BPF program, not {type(value).__name__}")
    if not program or len(program) % 8 or len(program) // 8 > 4096:
        raise ValueError(f"seccomp must be 1 to 4096 instructions of 8 bytes, got {len(program)} bytes")
    return program


def _via(value: Any) -> str | None:
    if value not in (None, "launcher"):
        raise ValueError(f'via must be None or "launcher", got {value!r}')
    return None if value is None else "launcher"


def _init(value: Any) -> str | None:
    if value is None or value is False:
        return None
    if value is True:
        return "kill"
    if not isinstance(value, str) or value not in ("kill", "wait", "leave"):
        raise ValueError(f'init must be a bool, "kill", "wait" or "leave", got {value!r}')
    return value


CHECKS: dict[str, Callable[[Any], Any]] = {
    "executable": descriptors.path_or_descriptor("executable"),
    "preexec_fn": _preexec_fn,
    "env": _env,
    "close_fds": bool,
    "restore_signals": bool,
    "start_new_session": bool,
    "startupinfo": _windows_only("startupinfo", None),
    "creationflags": _windows_only("creationflags", 0),
    "pass_fds": descriptors.pass_fds,
    "fds": descriptors.fds,
    "open_fds": descriptors.open_fds,
    "pipesize": integer("pipesize", 0, INT_MAX, unset=-1),
    "pty": _pty,
    "cwd": descriptors.path_or_descriptor("cwd"),
    "chroot": own_path("chroot"),
    "umask": integer("umask", 0, 0o7777, unset=-1, optional=False),
    "process_group": integer("process_group", 0, INT_MAX, unset=-1),
    "controlling_terminal": descriptors.optional("controlling_terminal"),
    "foreground": descriptors.optional("foreground"),
    "sigmask": _signals("sigmask", catchable=False),
    "sigdefault": _signals("sigdefault", catchable=True),
    "sigignore": _signals("sigignore", catchable=True),
    "rlimits": _rlimits,
    "nice": integer("nice", -40, 40),
    "scheduler": pair("scheduler", "(policy, priority)", ((0, INT_MAX), (0, 99))),
    "affinity": _affinity,
    "ioprio": pair("ioprio", "(class, level)", ((0, 3), (0, 7))),
    "oom_score_adj": integer("oom_score_adj", -1000, 1000),
    "timer_slack_ns": integer("timer_slack_ns", 0, 2**63 - 1),
    "pdeathsig": _pdeathsig,
    "cgroup": descriptors.own_path_or_descriptor("cgroup"),
    "setns": descriptors.setns,
    "unshare": integer("unshare", 1, INT_MAX),
    "uid_map": ids.id_map("uid_map"),
    "gid_map": ids.id_map("gid_map"),
    "user": ids.user,
    "group": ids.group,
    "extra_groups": ids.extra_groups,
    "capabilities": capabilities.capabilities,
    "no_new_privs": flag("no_new_privs"),
    "landlock": descriptors.optional("landlock"),
    "seccomp": _seccomp,
    "via": _via,
    "init": _init,
}
