"""How an error names the step that failed: the system call, or the option, and what the step was given."""

from __future__ import annotations

import os
import struct
import sys
from typing import TYPE_CHECKING

from aiospawn._binding.library import IDENTITY_SIZE, Step, ViewOperation

from .steps import PRCTL_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from .descriptor_plan import StepTuple

__all__ = ["OTHER_NAMES", "name_and_operand"]

_LONGEST_OPERAND = 200  # characters

OTHER_NAMES = ("execve", "chdir", "launcher", "init", "dup2")  # failures that are no step of a request, or have a file name


def name_and_operand(step: StepTuple) -> tuple[str, str]:
    """The name of a step, and its operand for the error's text, which is cut off behind 200 characters."""
    kind, _, value, _ = step
    if kind == Step.PRCTL:
        return PRCTL_NAMES[value & 0xFFFFFFFF], ""
    name, operand = _NAMED[kind]
    text = operand(step)
    return name, text if len(text) <= _LONGEST_OPERAND else text[:_LONGEST_OPERAND] + " ..."


def _value(step: StepTuple) -> str:
    return str(step[2])


def _two(step: StepTuple) -> str:
    return f"{step[1]}, {step[2]}"


def _fd(step: StepTuple) -> str:
    return str(step[1])


def _path(step: StepTuple) -> str:
    return os.fsdecode(step[3].rstrip(b"\0"))


def _place(step: StepTuple) -> str:
    """The path that an operation of a view is about; a link's own name."""
    _, operation, _, data = step
    if operation == ViewOperation.LINK:
        return os.fsdecode(b"/".join(data.split(b"\0")[1:3]))
    return os.fsdecode(data[IDENTITY_SIZE if operation == ViewOperation.BIND else 0 :].partition(b"\0")[0])


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


_NAMED: dict[int, tuple[str, Callable[[StepTuple], str]]] = {
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
    Step.LANDLOCK: ("landlock_restrict_self", _fd),
    Step.SECCOMP: ("seccomp", lambda step: f"{len(step[3]) // 8} instructions"),
    Step.LANDLOCK_RULES: ("landlock_restrict_self", _nothing),
    Step.VIEW: ("hide", _place),
    Step.LIMIT: ("limits", _two),
    Step.HOOK: ("hook", lambda step: "{:#x}, {:#x}".format(*struct.unpack("=QQ", step[3]))),
}
