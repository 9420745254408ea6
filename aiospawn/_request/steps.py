"""Options into steps, in the order in which the child takes them: the table at the end.

The order is CPython's where programs have come to rely on it (directory, umask, signals, session, ids), and otherwise the
one that lets each step have what it needs: what takes privileges comes before they go, a filter that could forbid the rest
comes last. Descriptors are closed before everything else, for a step may wait, and a child that lingers must not hold what
its parent has closed; those that steps read are closed behind the last of them. docs/options.md gives the reasons.
"""

from __future__ import annotations

import os
import posixpath
import re
import struct
import sys
from types import NoneType
from typing import TYPE_CHECKING, Any

from aiospawn._binding import library
from aiospawn._binding.library import END_REQUEST, END_STATUS, Step
from aiospawn._options import descriptors
from aiospawn._options.options import DEFAULTS, SETPGRP, SETSID
from aiospawn._options.values import encoded

from .descriptor_plan import closing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiospawn._options.options import Options

    from .descriptor_plan import Plan, StepTuple

__all__ = [
    "TOLD",
    "closing_first",
    "may_use_any",
    "named_by_path",
    "needed_descriptors",
    "option_steps",
    "prelude",
    "runs_alone",
]

_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25
_PYTHON_IGNORES = 1 << (_SIGPIPE - 1) | 1 << (_SIGXFSZ - 1)  # what restore_signals puts back

# Steps that would act on the parent through shared memory (design.md): they run in the launcher.
_ALONE = frozenset(
    {
        Step.CGROUP,
        Step.OOM_SCORE_ADJ,
        Step.SETNS,
        Step.UNSHARE,
        Step.BOUNDING,
        Step.KEEPCAPS,
        Step.SETGROUPS,
        Step.SETGID,
        Step.SETUID,
        Step.CAPSET,
        Step.AMBIENT,
        Step.SECCOMP,
    }
)


def runs_alone(steps: list[StepTuple]) -> bool:
    """Is there a step that must not run in memory shared with the parent?"""
    return not _ALONE.isdisjoint([step[0] for step in steps])


def needed_descriptors(options: Options) -> tuple[int, ...]:
    """The descriptors that steps other than the plan's refer to."""
    single = (
        options.cwd,
        options.cgroup,
        options.controlling_terminal,
        options.foreground,
        options.landlock,
        options.executable,
    )
    return tuple(fd for fd in (*single, *(options.setns or ())) if isinstance(fd, int))


_NAMES_A_DESCRIPTOR = re.compile(rb"/{1,2}(?:proc/(?:thread-)?self|dev)/fd/(\d{1,9})(?:/|$)")


def named_by_path(options: Options) -> set[int]:
    """The descriptors that paths of steps name, as `/proc/self/fd/7` does: of the child, when it takes the step."""
    places = (options.cwd, options.chroot, options.cgroup)
    paths = [path for path, *_ in (options.open_fds or {}).values()]
    paths += [os.fsencode(place) for place in places if not isinstance(place, (int, NoneType))]
    found = (_NAMES_A_DESCRIPTOR.match(posixpath.normpath(path.rstrip(b"\0"))) for path in paths if b"/fd/" in path)
    return {int(match[1]) for match in found if match}


def _read(options: Options, plan: Plan) -> set[int]:
    """The descriptors that steps need, and not only the program."""
    return {*plan.sources, *needed_descriptors(options), *named_by_path(options)}


def closing_first(options: Options, plan: Plan) -> list[StepTuple]:
    """The steps that come before all others. A hook or a preexec_fn may use any descriptor: all are closed behind it."""
    closes = (options.close_fds or options.pass_fds) and not may_use_any(options)
    return [*closing(_read(options, plan))] if closes else []


def may_use_any(options: Options) -> bool:
    """Does the program's own code run among the steps?"""
    return options.hook is not None or options.forks


def option_steps(options: Options, plan: Plan) -> list[StepTuple]:
    """The steps behind the plan's."""
    steps: list[StepTuple] = []
    for name, build in _TABLE:
        value = getattr(options, name)
        if name in _ALWAYS or _is_given(value, getattr(DEFAULTS, name)):
            steps += build(value, options, plan)
    return steps


def _is_given(value: Any, default: Any) -> bool:
    """Unlike the default; what is of another type is not asked to compare itself: a path object may be the user's own."""
    return type(value) is not type(default) or value != default


def prelude(options: Options, plan: Plan) -> tuple[list[StepTuple], list[StepTuple]]:
    """For the way to the launcher: what must survive its execve, and how it puts the flags back."""
    used = _read(options, plan)
    through = {fd for fd in used if fd < 0 or (descriptors.is_open(fd) and not os.get_inheritable(fd))}
    opened = [(int(Step.CLOEXEC), fd, 0, b"") for fd in (-1 - END_STATUS, -1 - END_REQUEST, *through)]
    return [*closing_first(options, plan), *opened], [(int(Step.CLOEXEC), fd, 1, b"") for fd in through]


# ---- one builder an option --------------------------------------------------------------------------------------------


def _text(path: Any, *, suffix: bytes = b"") -> bytes:
    text = encoded(path)
    if b"\0" in text:
        raise ValueError("embedded null byte")
    return text + suffix + b"\0"


def _plain(kind: int) -> Callable[[Any, Options, Plan], Iterator[StepTuple]]:
    def build(value: Any, _options: Options, _plan: Plan) -> Iterator[StepTuple]:
        yield kind, 0, int(value), b""

    return build


def _on_descriptor(kind: int) -> Callable[[Any, Options, Plan], Iterator[StepTuple]]:
    def build(value: Any, _options: Options, plan: Plan) -> Iterator[StepTuple]:
        yield kind, plan.operand(value), 0, b""

    return build


def _session(value: Any, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    if value or options.pty or options.preexec_fn is SETSID:
        yield Step.SETSID, 0, 0, b""
    if options.process_group not in (None, -1) or options.preexec_fn is SETPGRP:
        yield Step.SETPGID, 0, options.process_group or 0, b""
    if options.pty:
        yield Step.TIOCSCTTY, 0, 0, b""


def _cgroup(value: Any, _options: Options, plan: Plan) -> Iterator[StepTuple]:
    if isinstance(value, int):
        yield Step.CGROUP, plan.operand(value), 0, b""
    else:
        yield Step.CGROUP, 0, 0, _text(value, suffix=b"/cgroup.procs")


def _oom_score_adj(value: int, _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.OOM_SCORE_ADJ, 0, value, str(value).encode()


def _setns(value: tuple[int, ...], _options: Options, plan: Plan) -> Iterator[StepTuple]:
    for fd in value:
        yield Step.SETNS, plan.operand(fd), 0, b""


def _unshare(value: int, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    mapped = options.uid_map is not None or options.gid_map is not None
    maps = (options.uid_map or b"") + b"\0" + (options.gid_map or b"") + b"\0"
    yield Step.UNSHARE, 0, value, maps if mapped else b""


def _chroot(value: Any, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.CHROOT, 0, 0, _text(value)
    if options.cwd is None:  # a directory outside the new root is a way out of it
        yield Step.CHDIR, 0, 0, b"/\0"


def _cwd(value: Any, _options: Options, plan: Plan) -> Iterator[StepTuple]:
    if isinstance(value, int):
        yield Step.FCHDIR, plan.operand(value), 0, b""
    else:
        yield Step.CHDIR, 0, 0, _text(value)


def _signals(value: bool, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    to_default = (_PYTHON_IGNORES if value else 0) | (options.sigdefault or 0)
    to_default &= ~(options.sigignore or 0)
    if to_default:
        yield Step.SIGDEFAULT, 0, _signed(to_default), b""
    if options.sigignore:
        yield Step.SIGIGNORE, 0, _signed(options.sigignore), b""


def _signed(mask: int) -> int:
    return mask - 2**64 if mask >= 2**63 else mask


def _rlimits(value: Any, _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    for number, (soft, hard) in value.items():
        yield Step.RLIMIT, 0, number, struct.pack("=QQ", soft, hard)


def _scheduler(value: tuple[int, int], _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.SCHEDULER, 0, value[0] | value[1] << 32, b""


def _affinity(value: frozenset[int], _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    size = 8 * (max(value) // 64 + 1)
    yield Step.AFFINITY, 0, 0, sum(1 << cpu for cpu in value).to_bytes(size, sys.byteorder)


def _ioprio(value: tuple[int, int], _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.IOPRIO, 0, value[0] << 13 | value[1], b""


def _bounding(value: Any, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    if value.get("drop"):
        yield Step.BOUNDING, 0, value["drop"], b""
    if value.get("ambient") and options.user is not None:
        yield Step.KEEPCAPS, 0, 0, b""


def _extra_groups(value: tuple[int, ...], _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.SETGROUPS, 0, len(value), struct.pack(f"={len(value)}I", *value)


def _capabilities(value: Any, _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    if value.get("drop"):
        yield Step.CAPSET, 0, value["drop"], b""
    if value.get("ambient"):
        yield Step.AMBIENT, 0, value["ambient"], b""


def _preexec_fn(_value: Any, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    if options.forks:
        yield Step.PREEXEC_FN, 0, 0, b""


def _pdeathsig(value: int | None, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    if options.init is not None:  # nobody else may kill init, but who does must not set the command free
        yield Step.PDEATHSIG, 0, _SIGKILL, b""
    elif value is not None:
        yield Step.PDEATHSIG, 0, value | os.getpid() << 32, b""


def _hook(value: Any, _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.HOOK, 0, 0, struct.pack("=QQ", library.address(value.function), library.address(value.argument))


def _close(value: bool, options: Options, plan: Plan) -> Iterator[StepTuple]:
    if not value and not options.pass_fds:
        return
    program = options.executable if isinstance(options.executable, int) else -1
    kept = {*plan.kept, plan.operand(program)}
    if may_use_any(options):
        yield from closing(kept)
    else:
        yield from ((Step.CLOSE, fd, fd, b"") for fd in sorted(_read(options, plan) - kept) if fd >= 3)


def _seccomp(value: bytes, _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.SECCOMP, 0, 0, value


_ALWAYS = frozenset(
    {"start_new_session", "restore_signals", "close_fds", "preexec_fn", "pdeathsig"}
)  # they look at other options, too

_TABLE: tuple[tuple[str, Callable[[Any, Options, Plan], Iterator[StepTuple]]], ...] = (
    ("cgroup", _cgroup),
    ("oom_score_adj", _oom_score_adj),
    ("setns", _setns),
    ("unshare", _unshare),
    ("chroot", _chroot),
    ("cwd", _cwd),
    ("umask", _plain(Step.UMASK)),
    ("restore_signals", _signals),
    ("start_new_session", _session),
    ("controlling_terminal", _on_descriptor(Step.TIOCSCTTY)),
    ("foreground", _on_descriptor(Step.TCSETPGRP)),
    ("rlimits", _rlimits),
    ("nice", _plain(Step.NICE)),
    ("scheduler", _scheduler),
    ("affinity", _affinity),
    ("ioprio", _ioprio),
    ("timer_slack_ns", _plain(Step.TIMER_SLACK)),
    ("capabilities", _bounding),
    ("extra_groups", _extra_groups),
    ("group", _plain(Step.SETGID)),
    ("user", _plain(Step.SETUID)),
    ("capabilities", _capabilities),
    ("preexec_fn", _preexec_fn),
    ("pdeathsig", _pdeathsig),
    ("no_new_privs", _plain(Step.NO_NEW_PRIVS)),
    ("landlock", _on_descriptor(Step.LANDLOCK)),
    ("hook", _hook),
    ("close_fds", _close),
    ("seccomp", _seccomp),
)


# ---- how an error names a step ----------------------------------------------------------------------------------------


def _value(step: StepTuple) -> str:
    return str(step[2])


def _two(step: StepTuple) -> str:
    return f"{step[1]}, {step[2]}"


def _fd(step: StepTuple) -> str:
    return str(step[1])


def _path(step: StepTuple) -> str:
    return os.fsdecode(step[3].rstrip(b"\0"))


def _nothing(_step: StepTuple) -> str:
    return ""


def _halves(step: StepTuple) -> str:
    return f"{step[2] & 0xFFFFFFFF}, {step[2] >> 32}"


def _limits(step: StepTuple) -> str:
    soft, hard = struct.unpack("=QQ", step[3])
    return f"{step[2]}, soft {soft}, hard {hard}"


def _mask(step: StepTuple) -> str:
    return f"{step[2] & (2**64 - 1):#x}"


def _cpus(step: StepTuple) -> str:
    mask = int.from_bytes(step[3], sys.byteorder)
    return ", ".join(str(cpu) for cpu in range(mask.bit_length()) if mask >> cpu & 1)


TOLD: dict[int, tuple[str, Callable[[StepTuple], str]]] = {
    Step.SAVE: ("dup", _fd),
    Step.DUP: ("dup2", _two),
    Step.DUP_SAVED: ("dup2", _two),
    Step.CLOEXEC: ("fcntl", _two),
    Step.OPEN: ("open", _path),
    Step.CLOSE: ("close_range", _two),
    Step.CHROOT: ("chroot", _path),
    Step.FCHDIR: ("fchdir", _fd),
    Step.UMASK: ("umask", lambda step: f"{step[2]:#o}"),
    Step.SETSID: ("setsid", _nothing),
    Step.SETPGID: ("setpgid", _value),
    Step.TIOCSCTTY: ("controlling_terminal", _fd),
    Step.TCSETPGRP: ("tcsetpgrp", _fd),
    Step.SIGDEFAULT: ("sigaction", _mask),
    Step.SIGIGNORE: ("sigaction", _mask),
    Step.RLIMIT: ("rlimit", _limits),
    Step.NICE: ("nice", _value),
    Step.SCHEDULER: ("sched_setscheduler", _halves),
    Step.AFFINITY: ("sched_setaffinity", _cpus),
    Step.IOPRIO: ("ioprio_set", lambda step: f"{step[2] >> 13}, {step[2] & 0x1FFF}"),
    Step.OOM_SCORE_ADJ: ("oom_score_adj", _value),
    Step.TIMER_SLACK: ("timer_slack", _value),
    Step.PREEXEC_FN: ("preexec_fn", _nothing),
    Step.PDEATHSIG: ("pdeathsig", lambda step: str(step[2] & 0xFFFFFFFF)),
    Step.CGROUP: ("cgroup", lambda step: _path(step).removesuffix("/cgroup.procs") or _fd(step)),
    Step.SETNS: ("setns", _fd),
    Step.UNSHARE: ("unshare", _mask),
    Step.BOUNDING: ("capbset_drop", _mask),
    Step.KEEPCAPS: ("keepcaps", _nothing),
    Step.SETGROUPS: ("setgroups", lambda step: str([*struct.unpack(f"={step[2]}I", step[3])])),
    Step.SETGID: ("setresgid", _value),
    Step.SETUID: ("setresuid", _value),
    Step.CAPSET: ("capset", _mask),
    Step.AMBIENT: ("cap_ambient", _mask),
    Step.NO_NEW_PRIVS: ("no_new_privs", _nothing),
    Step.LANDLOCK: ("landlock_restrict_self", _fd),
    Step.SECCOMP: ("seccomp", lambda step: f"{len(step[3]) // 8} instructions"),
    Step.HOOK: ("hook", lambda step: "{:#x}, {:#x}".format(*struct.unpack("=QQ", step[3]))),
    Step.LAUNCHER: ("launcher", _nothing),
    Step.INIT: ("init", _nothing),
    Step.INHERIT: ("dup2", _nothing),
}
