"""Options into one flat request for the native part. Pure: no loop, no descriptor opened, nothing launched."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from . import _clib, _errors, _stdio
from ._clib import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ._options import Options

__all__ = ["Request", "compiled"]

_SIGPIPE, _SIGXFSZ = 13, 25  # what Python ignores at start-up, and restore_signals puts back
_PYTHON_IGNORES = 1 << (_SIGPIPE - 1) | 1 << (_SIGXFSZ - 1)
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_CREDENTIALS = frozenset({Step.SETGROUPS, Step.SETGID, Step.SETUID})

_StepTuple = tuple[int, int, int, bytes]


class Request:
    """A launch as the native part reads it, and what its errors are to name."""

    __slots__ = ("cwd", "data", "program", "steps")

    def __init__(self, data: bytes, program: Any, cwd: Any, steps: list[_StepTuple]) -> None:
        self.data = data
        self.program = program
        self.cwd = cwd
        self.steps = steps

    def failure(self, errno: int, kind: int, index: int) -> OSError:
        """The exception for a child that reported this error at this step."""
        if kind == Step.EXECVE:
            return _errors.step_failed(errno, "execve", "", self.program)
        if kind == Step.CHDIR:
            return _errors.step_failed(errno, "chdir", "", self.cwd)
        name, operand = _TOLD[kind]
        return _errors.step_failed(errno, name, operand(self.steps[index]), None)


def _two(step: _StepTuple) -> str:
    return f"{step[1]}, {step[2]}"


def _value(step: _StepTuple) -> str:
    return str(step[2])


def _nothing(_: _StepTuple) -> str:
    return ""


# How an error names a step and its operand.
_TOLD: dict[int, tuple[str, Callable[[_StepTuple], str]]] = {
    Step.SAVE: ("dup", lambda step: str(step[1])),
    Step.DUP: ("dup2", _two),
    Step.DUP_SAVED: ("dup2", _two),
    Step.OPEN: ("open", lambda step: os.fsdecode(step[3][:-1])),
    Step.CLOSE: ("close_range", _two),
    Step.UMASK: ("umask", _value),
    Step.SETSID: ("setsid", _nothing),
    Step.SETPGID: ("setpgid", _value),
    Step.SIGDEFAULT: ("sigaction", _nothing),
    Step.SETGROUPS: ("setgroups", lambda step: str([*memoryview(step[3]).cast("I")])),
    Step.SETGID: ("setresgid", _value),
    Step.SETUID: ("setresuid", _value),
}


def compiled(arguments: Iterable[Any], plan: _stdio.Plan, options: Options) -> Request:
    """The request for a program with its arguments, the first of which is its name.

    Raises TypeError for what is no string, bytes or path, ValueError for a NUL byte or a bad variable name.
    """
    given = [*arguments]
    program = given[0] if options.executable is None else options.executable
    argv = [_encoded(argument) for argument in given]
    paths = _candidates(argv[0] if options.executable is None else _encoded(program), options.env)
    count, environment = _clib.inherited_environment() if options.env is None else _environment(options.env)
    strings = b"\0".join([*paths, *argv, b""])
    if strings.count(b"\0") != len(paths) + len(argv):
        raise ValueError("embedded null byte")
    steps = [*plan.steps, *_option_steps(options)]
    packed, data = [], b""
    for kind, fd, value, operand in steps:
        packed.append(_clib.pack_step(kind, fd, value, len(data), len(operand)))
        data += operand
    header = _clib.request_header(
        private_memory=not _CREDENTIALS.isdisjoint([step[0] for step in steps]),
        steps=len(steps),
        candidates=len(paths),
        arguments=len(argv),
        variables=count,
        data_size=len(data),
        top=plan.top,
        pipe_size=max(options.pipesize, 0),
        pipes=plan.pipes,
    )
    return Request(b"".join([header, *packed, data, strings, environment]), program, options.cwd, steps)


# ---- steps ------------------------------------------------------------------------------------------------------------


def _option_steps(options: Options) -> Iterator[_StepTuple]:
    """In the order of CPython's child_exec, which programs have come to rely on; docs/options.md gives the reasons."""
    for_group = -1 if options.process_group is None else options.process_group
    if options.cwd is not None:
        yield Step.CHDIR, 0, 0, _terminated(options.cwd)
    if options.umask >= 0:
        yield Step.UMASK, 0, options.umask, b""
    if options.restore_signals:
        yield Step.SIGDEFAULT, 0, _PYTHON_IGNORES, b""
    if options.start_new_session or options.preexec_fn is os.setsid:
        yield Step.SETSID, 0, 0, b""
    if for_group >= 0 or options.preexec_fn is os.setpgrp:
        yield Step.SETPGID, 0, max(for_group, 0), b""
    if options.extra_groups is not None:
        groups = [*options.extra_groups]
        yield Step.SETGROUPS, 0, len(groups), b"".join([int(gid).to_bytes(4, sys.byteorder) for gid in groups])
    if options.group is not None:
        yield Step.SETGID, 0, int(options.group), b""
    if options.user is not None:
        yield Step.SETUID, 0, int(options.user), b""
    # The last: whatever came before may need a descriptor, also by way of /proc/self/fd.
    yield from _stdio.closing(tuple(options.pass_fds), close_others=options.close_fds or bool(options.pass_fds))


def _terminated(path: Any) -> bytes:
    encoded = _encoded(path)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded + b"\0"


# ---- strings ----------------------------------------------------------------------------------------------------------


def _encoded(value: Any) -> bytes:
    return value.encode(_ENCODING, _ERRORS) if type(value) is str else os.fsencode(value)


def _environment(env: Mapping[Any, Any]) -> tuple[int, bytes]:
    entries = []
    for key, value in env.items():
        name = _encoded(key)
        if b"=" in name:
            raise ValueError("illegal environment variable name")
        entries.append(b"%b=%b\0" % (name, _encoded(value)))
    joined = b"".join(entries)
    if joined.count(b"\0") != len(entries):
        raise ValueError("embedded null byte")
    return len(entries), joined


def _candidates(program: bytes, env: Mapping[Any, Any] | None) -> list[bytes]:
    """The paths to try, as CPython has it: the child's PATH, each directory, unless the program is a path itself."""
    if b"/" in program:
        return [program]
    search = (os.environ if env is None else env).get("PATH")
    if search is None and env is not None:
        search = env.get(b"PATH")
    return [prefix + program for prefix in _prefixes(os.defpath if search is None else search)]


@functools.lru_cache(maxsize=32)
def _prefixes(search: str | bytes) -> tuple[bytes, ...]:
    return tuple(os.path.join(directory, b"") for directory in os.fsencode(search).split(b":"))
