"""What an option's value may be: one function an option, which gives the value in its final form or raises.

TypeError for a wrong type and ValueError for a wrong value name the option and the value; for `subprocess.Popen`'s own
options they are the stdlib's, word for word.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from .child_functions import NativeHook
from .kernel_names import policy_number, resource_number, signal_number
from .values import INT_MAX, number, own_path, pair, whole

__all__ = [
    "SilentTerminal",
    "affinity",
    "env",
    "env_add",
    "hook",
    "init",
    "init_cgroup",
    "init_cgroup_limits",
    "init_lease",
    "init_namespace",
    "pdeathsig",
    "preexec_fn",
    "pty",
    "rlimits",
    "scheduler",
    "seccomp",
    "signals",
    "via",
    "windows_only",
]

_SIGNALS = 64
_SHORTEST_LEASE, _LONGEST_LEASE = 0.05, 2_000_000  # seconds: milliseconds of 32 bits
_INFINITY = 2**64 - 1  # RLIM_INFINITY, which the resource module has as -1


def windows_only(name: str, unset: object) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value != unset:
            raise ValueError(f"{name} is only supported on Windows platforms")
        return value

    return check


def preexec_fn(value: Any) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"preexec_fn must be callable, not {type(value).__name__}")
    return value


def env_add(value: Any) -> Any:
    if value is not None and not hasattr(value, "items"):
        raise TypeError(f"env_add must be a mapping, not {type(value).__name__}")
    return value


def env(value: Any) -> Any:
    """What it maps is looked at when it is compiled. Not in the text: an environment has secrets."""
    if value is not None and not hasattr(value, "items"):
        raise TypeError(f"env must be a mapping, not {type(value).__name__}")
    return value


class SilentTerminal(NamedTuple):
    """A checked value of `pty`: the size of a terminal that does not write back what is typed; 0: as the kernel gives it."""

    rows: int
    columns: int


def pty(value: Any) -> bool | tuple[int, int]:
    if isinstance(value, (bool, SilentTerminal)):
        return value
    if isinstance(value, os.terminal_size):  # a tuple the other way round
        value = value.lines, value.columns
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"pty must be a bool or (rows, columns), got {value!r}")
    return number("pty rows", value[0], 1, 65535), number("pty columns", value[1], 1, 65535)


# ---- signals ----------------------------------------------------------------------------------------------------------


def _signal(name: str, value: Any) -> int:
    return number(f"a signal in {name}", signal_number(name, value), 1, _SIGNALS)


def signals(name: str, *, catchable: bool) -> Callable[[Any], int | None]:
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


def pdeathsig(value: Any) -> int | None:
    return None if value is None else _signal("pdeathsig", value)


# ---- limits and scheduling --------------------------------------------------------------------------------------------


def rlimits(value: Any) -> dict[int, tuple[int, int]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"rlimits must map resource.RLIMIT_* to (soft, hard), not {value!r}")
    limits = {}
    for resource, limit in value.items():
        kind = number("a resource in rlimits", resource_number("rlimits", resource), 0, 15)
        soft, hard = limit if isinstance(limit, tuple) and len(limit) == 2 else (limit, limit)
        name = f"rlimits[{kind}]"
        limits[kind] = _limit(name, soft), _limit(name, hard)
        if limits[kind][0] > limits[kind][1]:
            raise ValueError(f"{name}: the soft limit {soft} is above the hard limit {hard}")
    return limits


def _limit(name: str, value: Any) -> int:
    return _INFINITY if whole(name, value) == -1 else number(name, value, 0, _INFINITY)


def scheduler(value: Any) -> tuple[int, int] | None:
    if isinstance(value, tuple) and len(value) == 2:
        value = policy_number("scheduler", value[0]), value[1]
    return pair("scheduler", "(policy, priority)", ((0, INT_MAX), (0, 99)))(value)


def affinity(value: Any) -> frozenset[int] | None:
    if value is None:
        return None
    if isinstance(value, (int, str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"affinity must be a set of CPU numbers, not {value!r}")
    cpus = frozenset(number("a CPU in affinity", cpu, 0, 8191) for cpu in value)
    if not cpus:
        raise ValueError("affinity must name at least one CPU")
    return cpus


# ---- the rest ---------------------------------------------------------------------------------------------------------


def seccomp(value: Any) -> bytes | None:
    if value is None:
        return None
    program = bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else None
    if program is None:
        raise TypeError(f"seccomp must be the bytes of a BPF program, not {type(value).__name__}")
    if not program or len(program) % 8 or len(program) // 8 > 4096:
        raise ValueError(f"seccomp must be 1 to 4096 instructions of 8 bytes, got {len(program)} bytes")
    return program


def via(value: Any) -> str | None:
    if value not in (None, "launcher"):
        raise ValueError(f'via must be None or "launcher", got {value!r}')
    return None if value is None else "launcher"


def init(value: Any) -> str | None:
    if value is None or value is False:
        return None
    if value is True:
        return "kill"
    if not isinstance(value, str) or value not in ("kill", "wait", "leave"):
        raise ValueError(f'init must be a bool, "kill", "wait" or "leave", got {value!r}')
    return value


def init_lease(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"init_lease must be a number of seconds or None, got {value!r}")
    if not _SHORTEST_LEASE <= value <= _LONGEST_LEASE:
        raise ValueError(f"init_lease must be from {_SHORTEST_LEASE} to {_LONGEST_LEASE} seconds, got {value!r}")
    return float(value)


def init_namespace(value: Any) -> str | None:
    if value not in (None, "pid"):
        raise ValueError(f'init_namespace must be None or "pid", got {value!r}')
    return None if value is None else "pid"


def init_cgroup(value: Any) -> Any:
    """False: none; True: below this process's own; a path: below that."""
    if value is None or isinstance(value, bool):
        return bool(value)
    path = own_path("init_cgroup")(value)
    if not path:
        raise ValueError(f"init_cgroup must be a bool or a directory, got {value!r}")
    return path


_LIMIT_FILE = re.compile(r"[a-z][a-z0-9_]*(\.[A-Za-z0-9_]+)+")
_CGROUP_LIMITS = frozenset({"cgroup.max.depth", "cgroup.max.descendants"})  # of the files that are no controller's


def init_cgroup_limits(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f'init_cgroup_limits must map names of cgroup v2 files, as "memory.max", to values, got {value!r}')
    limits = {}
    for name, limit in value.items():
        is_limit = isinstance(name, str) and _LIMIT_FILE.fullmatch(name)
        if not is_limit or (name.startswith("cgroup.") and name not in _CGROUP_LIMITS):
            raise ValueError(f'init_cgroup_limits: a name must be a limit\'s of cgroup v2, as "memory.max", got {name!r}')
        if isinstance(limit, bool) or not isinstance(limit, (int, str)):
            raise TypeError(f"init_cgroup_limits[{name!r}] must be a whole number or a string, got {limit!r}")
        if limit == "" or (isinstance(limit, int) and limit < 0) or (isinstance(limit, str) and "\0" in limit):
            raise ValueError(f"init_cgroup_limits[{name!r}] must be 0 or more, or what the file takes, got {limit!r}")
        limits[name] = str(limit)
    return limits


def hook(value: Any) -> NativeHook | None:
    """Raises TypeError for another type or no pointer, ValueError for a number that is no address."""
    if value is None:
        return None
    if not isinstance(value, NativeHook):
        raise TypeError(f"hook must be a NativeHook, not {value!r}")
    for name, lowest in (("function", 1), ("argument", 0)):
        address = getattr(value, name)
        if isinstance(address, int) and not lowest <= address < 2**64:
            raise ValueError(f"hook: the {name}'s address must be between {lowest} and 2**64 - 1, got {address}")
        if not isinstance(address, int) and type(address).__module__ != "_cffi_backend":
            raise TypeError(f"hook: the {name} must be an address or a pointer of cffi's, not {address!r}")
    return value
