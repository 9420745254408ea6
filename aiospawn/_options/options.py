"""Keyword arguments of a launch, checked: what can be refused without making anything is refused here.

The first options and their defaults are `subprocess.Popen`'s
(https://docs.python.org/3/library/subprocess.html#popen-constructor); docs/options.md has a row for each.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .checks import CHECKS
from .names import UnknownOptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "DEFAULTS",
    "GROUPED",
    "SETPGRP",
    "SETSID",
    "LeadingGroup",
    "NativeHook",
    "Options",
    "StrOrBytesPath",
    "is_step",
    "makes_group",
    "only_native",
    "refuse_text",
    "validated",
]

StrOrBytesPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
SETSID, SETPGRP = getattr(os, "setsid", None), getattr(os, "setpgrp", None)  # as preexec_fn they are steps
_NEW_USER = 0x10000000  # CLONE_NEWUSER


@dataclass(frozen=True, slots=True)
class NativeHook:
    """A C function that runs in the child, just before the program: `int function(void *argument)`.

    `function` and `argument` are addresses: ints, or cffi pointers. Zero means success, anything else is the errno of the
    failure. The function must not be one of libc's or call any but for raw system calls, write memory other than its own
    stack (59 KiB, a guard page below), take a lock, or return by other means than `return`: the child shares the memory and
    the thread-local storage of a thread that goes on running. docs/options.md has the whole contract.
    """

    function: Any
    argument: Any = 0


class LeadingGroup:
    """A preexec_fn after which the child leads a process group, unless it has left the parent's itself.

    In this order, for `os.setsid` fails in a leader (setsid(2)).
    """

    __slots__ = ("_preexec_fn",)

    def __init__(self, preexec_fn: Callable[[], object]) -> None:
        self._preexec_fn = preexec_fn

    def __repr__(self) -> str:
        return repr(self._preexec_fn)

    def __call__(self) -> None:
        parents = os.getpgrp()
        self._preexec_fn()
        if os.getpgrp() == parents:
            os.setpgid(0, 0)


class Options(NamedTuple):
    """How the child is set up, besides its standard streams. Built by `validated`."""

    executable: StrOrBytesPath | int | None = None
    preexec_fn: Callable[[], Any] | None = None
    close_fds: bool = True
    cwd: StrOrBytesPath | int | None = None
    env: Mapping[Any, Any] | None = None
    startupinfo: Any = None
    creationflags: int = 0
    restore_signals: bool = True
    start_new_session: bool = False
    pass_fds: Sequence[int] = ()
    user: str | int | None = None
    group: str | int | None = None
    extra_groups: Iterable[str | int] | None = None
    umask: int = -1
    pipesize: int = -1
    process_group: int | None = None
    # From here on aiospawn's own.
    fds: Mapping[int, int] | None = None
    open_fds: Mapping[int, tuple[bytes, int, int]] | None = None
    pty: bool | tuple[int, int] = False
    chroot: StrOrBytesPath | None = None
    controlling_terminal: int | None = None
    foreground: int | None = None
    sigmask: int | None = None
    sigdefault: int | None = None
    sigignore: int | None = None
    rlimits: Mapping[int, tuple[int, int]] | None = None
    nice: int | None = None
    scheduler: tuple[int, int] | None = None
    affinity: frozenset[int] | None = None
    ioprio: tuple[int, int] | None = None
    oom_score_adj: int | None = None
    timer_slack_ns: int | None = None
    pdeathsig: int | None = None
    cgroup: StrOrBytesPath | int | None = None
    setns: tuple[int, ...] | None = None
    unshare: int | None = None
    uid_map: bytes | None = None
    gid_map: bytes | None = None
    capabilities: Mapping[str, int] | None = None
    no_new_privs: bool = False
    landlock: int | None = None
    seccomp: bytes | None = None
    hook: NativeHook | None = None
    via: str | None = None
    init: str | None = None

    @property
    def forks(self) -> bool:
        """Does Python code run in the child, which only a fork allows?"""
        return not is_step(self.preexec_fn)


def is_step(preexec_fn: Any) -> bool:
    """Is there no such function, or one that becomes a step?"""
    return preexec_fn is None or preexec_fn is SETSID or preexec_fn is SETPGRP


def makes_group(preexec_fn: Any) -> bool:
    """Does the child lead a process group by this function, as far as is known?"""
    return preexec_fn is not None and (is_step(preexec_fn) or isinstance(preexec_fn, LeadingGroup))


DEFAULTS = Options()
GROUPED = Options(process_group=0)
_POPENS = frozenset(Options._fields[: Options._fields.index("fds")])


def refuse_text(universal_newlines: Any, bufsize: Any, encoding: Any, errors: Any, text: Any) -> None:
    """Raises ValueError for text mode and buffering, which asyncio's streams do not have."""
    if universal_newlines:
        raise ValueError("universal_newlines must be False")
    if bufsize != 0:
        raise ValueError("bufsize must be 0")
    if text:
        raise ValueError("text must be False")
    if encoding is not None:
        raise ValueError("encoding must be None")
    if errors is not None:
        raise ValueError("errors must be None")


def only_native(keywords: Mapping[str, Any]) -> list[str]:
    """The options among these that no other launcher has."""
    return sorted(name for name in keywords if name in Options._fields and name not in _POPENS)


def validated(keywords: dict[str, Any]) -> Options:
    """The options of a launch, each in its final form: names turned into ids, collections into masks.

    Raises TypeError for an unknown option or a wrong type, ValueError for a wrong value or options that contradict each
    other, KeyError for an unknown user or group, OSError (EBADF) for a closed descriptor.
    """
    if not keywords:
        return DEFAULTS
    unknown = keywords.keys() - DEFAULTS._fields
    if unknown:
        name = next(name for name in keywords if name in unknown)
        raise UnknownOptionError(name)
    checked = {name: CHECKS[name](value) for name, value in keywords.items() if name in CHECKS}
    options = Options(**{**keywords, **checked})
    for contradicts in _CONTRADICTIONS:
        contradicts(options)
    return options


# ---- options that contradict each other -------------------------------------------------------------------------------


def _twice(options: Options) -> None:
    numbers: dict[int, str] = {}
    for name, given in (("fds", options.fds or ()), ("open_fds", options.open_fds or ()), ("pass_fds", options.pass_fds)):
        for number in given:
            other = numbers.setdefault(number, name)
            if other != name and not (name == "pass_fds" and options.fds and options.fds.get(number) == number):
                raise ValueError(f"descriptor {number} is in both {other} and {name}")


def _maps(options: Options) -> None:
    for name in ("uid_map", "gid_map"):
        if getattr(options, name) is not None and not (options.unshare or 0) & _NEW_USER:
            raise ValueError(f"{name} needs unshare with CLONE_NEWUSER, got unshare={options.unshare!r}")


def _sessions(options: Options) -> None:
    if options.pty and options.controlling_terminal is not None:
        raise ValueError(f"pty and controlling_terminal={options.controlling_terminal!r}: a session has one terminal")
    if options.pty and options.process_group not in (None, -1):
        raise ValueError(f"pty makes a new session, whose leader cannot join process_group={options.process_group!r}")


def _hooks(options: Options) -> None:
    if options.hook is None:
        return
    if not isinstance(options.hook, NativeHook):
        raise TypeError(f"hook must be a NativeHook, not {options.hook!r}")
    for name, lowest in (("function", 1), ("argument", 0)):
        value = getattr(options.hook, name)
        if isinstance(value, int) and not lowest <= value < 2**64:
            raise ValueError(f"hook: the {name}'s address must be between {lowest} and 2**64 - 1, got {value}")
        if not isinstance(value, int) and type(value).__module__ != "_cffi_backend":
            raise TypeError(f"hook: the {name} must be an address or a pointer of cffi's, not {value!r}")
    if options.via is not None:
        raise ValueError(f"hook is a function of this program, it cannot run via={options.via!r}")


def _forks(options: Options) -> None:
    if options.forks and options.via is not None:
        raise ValueError(
            f"via={options.via!r} cannot be combined with preexec_fn={options.preexec_fn!r}, which needs a fork"
        )


def _keepers(options: Options) -> None:
    if options.init is None:
        return
    if options.forks:
        raise ValueError(
            f"init={options.init!r} cannot be combined with preexec_fn={options.preexec_fn!r}, which needs a fork"
        )
    if options.hook is not None:
        raise ValueError(f"init={options.init!r} cannot be combined with hook, a function of this program")
    if options.pdeathsig is not None:
        raise ValueError(
            f"init={options.init!r} cannot be combined with pdeathsig={options.pdeathsig}: the tree ends with its parent"
        )


def _signal_plans(options: Options) -> None:
    both = (options.sigdefault or 0) & (options.sigignore or 0)
    if both:
        raise ValueError(f"signal {both.bit_length()} is in both sigdefault and sigignore")


def _death(options: Options) -> None:
    # The kernel ties the signal to the launching thread: its end would count as the parent's (prctl(2)).
    if options.pdeathsig is not None and threading.current_thread() is not threading.main_thread():
        raise ValueError(f"pdeathsig={options.pdeathsig} works from the main thread only: it is sent when the thread ends")


_CONTRADICTIONS = (_twice, _maps, _sessions, _hooks, _forks, _keepers, _signal_plans, _death)
