"""Options into steps, in the order in which the child takes them: the table at the end.

The order is CPython's where programs have come to rely on it (directory, umask, signals, session, ids), and otherwise the
one that lets each step have what it needs: what takes privileges comes before they go, a filter that could forbid the rest
comes last. Descriptors are closed before everything else, for a step may wait, and a child that lingers must not hold what
its parent has closed; those that steps read are closed behind the last of them. docs/options.md gives the reasons.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import TYPE_CHECKING, Any

from aiospawn._binding import library
from aiospawn._binding.library import Step
from aiospawn._options.child_functions import SETPGRP, SETSID
from aiospawn._options.options import DEFAULTS
from aiospawn._options.values import encoded

from .descriptor_plan import closing
from .used_descriptors import may_use_any, read_by_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiospawn._options.options import Options

    from .descriptor_plan import Plan, StepTuple

__all__ = ["PRCTL_NAMES", "option_steps", "runs_alone"]

_MEMORY_LIMIT = "memory.max"
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25
_PYTHON_IGNORES = 1 << (_SIGPIPE - 1) | 1 << (_SIGXFSZ - 1)  # what restore_signals puts back

# Options that are one prctl(2) with the argument 1: its operation (<linux/prctl.h>). Errors name the option.
_PRCTLS = {
    "no_new_privs": 38,  # PR_SET_NO_NEW_PRIVS, Linux 3.5
    "mdwe": 65,  # PR_SET_MDWE, Linux 6.3: 1 is PR_MDWE_REFUSE_EXEC_GAIN
    "thp_disable": 41,  # PR_SET_THP_DISABLE, Linux 3.15
}
PRCTL_NAMES = {operation: name for name, operation in _PRCTLS.items()}

# Steps that would act on the parent through shared memory (design.md): they run in the launcher. So do these of prctl(2).
_PRCTLS_ON_MEMORY = frozenset({_PRCTLS["mdwe"], _PRCTLS["thp_disable"]})
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
    return any(
        kind in _ALONE or (kind == Step.PRCTL and value & 0xFFFFFFFF in _PRCTLS_ON_MEMORY) for kind, _, value, _ in steps
    )


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


def _prctl(name: str) -> tuple[str, Callable[[Any, Options, Plan], Iterator[StepTuple]]]:
    """The row of an option that is one prctl(2)."""
    step = (int(Step.PRCTL), 0, _PRCTLS[name] | 1 << 32, b"")
    return name, lambda _value, _options, _plan: iter((step,))


def _session(value: Any, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    if value or options.pty or options.preexec_fn is SETSID:
        yield Step.SETSID, 0, 0, b""
    if options.process_group not in (None, -1) or options.preexec_fn is SETPGRP:
        yield Step.SETPGID, 0, options.process_group or 0, b""
    if options.pty:
        yield Step.TIOCSCTTY, 0, 0, b""


def _cgroup(value: Any, options: Options, plan: Plan) -> Iterator[StepTuple]:
    if isinstance(value, int):
        own = _text(os.path.basename(options.init_cgroup)) if isinstance(options.init_cgroup, str) else b""
        yield Step.CGROUP, plan.operand(value), 1, own
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


def _limits(value: Any, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    for number, most in value.process_limits().items():
        yield Step.RLIMIT, 0, number, struct.pack("=QQ", most, most)
    in_cgroup = _MEMORY_LIMIT in (options.init_cgroup_limits or {})  # then nobody gave it but the sandbox
    for number, most in value.tree_limits().items():
        yield Step.LIMIT, number, 0 if in_cgroup and number == library.MEMORY_LIMIT else most, b""


def _rules(value: Any, _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    rules = value.rules()
    if rules:
        yield Step.LANDLOCK_RULES, 0, 0, rules


def _scheduler(value: tuple[int, int], _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.SCHEDULER, 0, value[0] | value[1] << 32, b""


def _affinity(value: frozenset[int], _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    size = 8 * (max(value) // 64 + 1)
    yield Step.AFFINITY, 0, 0, sum(1 << cpu for cpu in value).to_bytes(size, sys.byteorder)


def _ioprio(value: tuple[int, int], _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.IOPRIO, 0, value[0] << 13 | value[1], b""


def _bounding(value: Any, options: Options, _plan: Plan) -> Iterator[StepTuple]:
    if value.get("bounding", value.get("drop")):
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
        yield from ((Step.CLOSE, fd, fd, b"") for fd in sorted(read_by_steps(options, plan) - kept) if fd >= 3)


def _seccomp(value: bytes, _options: Options, _plan: Plan) -> Iterator[StepTuple]:
    yield Step.SECCOMP, 0, 0, value


# They look at other options, too.
_ALWAYS = frozenset({"start_new_session", "restore_signals", "close_fds", "preexec_fn", "pdeathsig"})

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
    ("sandbox", _limits),
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
    _prctl("no_new_privs"),
    _prctl("mdwe"),
    _prctl("thp_disable"),
    ("landlock", _on_descriptor(Step.LANDLOCK)),
    ("sandbox", _rules),
    ("hook", _hook),
    ("close_fds", _close),
    ("seccomp", _seccomp),
)
