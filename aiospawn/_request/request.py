"""Options into one flat request for the native part. Pure: no loop, no descriptor opened, nothing launched."""

from __future__ import annotations

import functools
import operator
import os
import sys
from errno import E2BIG, ENOENT, EPROTO, EXDEV
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from aiospawn import _errors
from aiospawn._binding import environ, library, support
from aiospawn._binding.library import NO_FD, Step
from aiospawn._options.checks import SilentTerminal
from aiospawn._options.child_functions import makes_group
from aiospawn._options.options import DEFAULTS
from aiospawn._options.values import ENCODING, ERRORS, encoded

from .descriptor_plan import DEVNULL, PIPE, STDOUT, planned
from .step_errors import name_and_operand
from .steps import option_steps, runs_alone
from .used_descriptors import closing_first, may_use_any, named_by_path, needed_descriptors, prelude

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping, Sequence

    from aiospawn._options.confinement import Confinement
    from aiospawn._options.options import Options

    from .belongings import Belongings
    from .descriptor_plan import Plan, StepTuple

__all__ = ["Program", "Request", "candidates", "compiled", "is_reusable", "lease_in_ms", "program"]

_SLASH = ord("/")  # in bytes a number is found at once; bytes are looked for behind an exception
_INITS = {EXDEV: "/proc is that of another PID namespace", ENOENT: "/proc is not mounted"}
_LAUNCHERS = {EPROTO: "is of another version than this process's aiospawn"}


class Request:
    """A launch as the native part reads it, and what its errors are to name."""

    __slots__ = ("belongings", "data", "executable", "options", "program")

    def __init__(self, data: bytes, executable: Any, options: Options, program: Program) -> None:
        self.data = data
        self.executable = executable
        self.options = options  # kept alive for the memory that a hook points to
        self.program = program
        self.belongings: Belongings | None = None

    def failure(self, errno: int, kind: int, index: int) -> OSError | subprocess.SubprocessError:
        """The exception for a child that reported this error at this step. The launcher is given the program's arguments."""
        if kind == Step.PREEXEC_FN:
            return _errors.preexec_fn_raised()
        if kind == Step.EXECVE or (kind == Step.LAUNCHER and errno == E2BIG):
            named = self.executable
            if sys.version_info >= (3, 13) and isinstance(named, os.PathLike) and not self.options.forks:
                named = os.fspath(named)  # as the stdlib's posix_spawn has it, which knows no preexec_fn
            return _errors.step_failed(errno, "execve", "", named)
        if kind == Step.CHDIR:
            return _errors.step_failed(errno, "chdir", "", cast("str | bytes", self.options.cwd))
        name, operand = self._named(errno, kind, index)
        return _errors.step_failed(errno, name, operand, None)

    def _named(self, errno: int, kind: int, index: int) -> tuple[str, str]:
        """The name of what failed, and its operand for the error's text."""
        if kind == Step.LAUNCHER:
            return "launcher", _LAUNCHERS.get(errno, "")
        if kind == Step.INIT:
            return "init", _INITS.get(errno, "")
        if kind == Step.INHERIT:
            return "dup2", str(index)  # the stream
        return name_and_operand(self._as_given(self.program.steps[index]))

    def _as_given(self, step: StepTuple) -> StepTuple:
        """With the descriptor's own number, where it was set aside."""
        numbers = {operand: fd for fd, operand in self.program.plan.moved.items()}
        return step[0], numbers.get(step[1], step[1]), *step[2:]


def leads_group(options: Options) -> bool:
    """Does the child lead a process group, and so a tree that can be signalled?"""
    return bool(options.start_new_session or options.pty or options.process_group == 0 or makes_group(options.preexec_fn))


class Program(NamedTuple):
    """What the child is to do: everything of a request that does not depend on the arguments and the environment."""

    plan: Plan
    steps: list[StepTuple]
    prelude: int
    """So many of the steps are only for the way to the launcher, and first."""
    via_launcher: bool
    leads_group: bool
    forks: bool
    """Is the child one that CPython forks?"""
    head: bytes
    """The request's, as the native part reads it, but for the counts of the strings."""
    packed: bytes
    """The steps and their data, likewise."""


def program(streams: tuple[Any, Any, Any], options: Options, *, collected: bool = False) -> Program:
    """The program for these standard streams and options. Raises what `planned` of `descriptor_plan` raises.

    `collected`: nobody reads its pipes one by one, or waits until it runs: that is not reported, and the end of a
    pipe perhaps before the data of another.
    """
    if is_reusable(streams, options):
        return _known_program(streams, options if options.env is None else options._replace(env=None), collected)
    if options.sandbox is not None:
        return _sandboxed_program(options.sandbox, streams, options, collected)
    return _program(streams, options, collected)


_SYMBOLS = (None, PIPE, STDOUT, DEVNULL)

# Options that refer to what may be another thing the next time (a descriptor, this process), or cannot be compared.
_REFERRING = (
    *("pass_fds", "fds", "open_fds", "pty", "controlling_terminal", "foreground", "cgroup", "setns", "landlock"),
    *("init_cgroup", "init_cgroup_limits"),
    *("preexec_fn", "pdeathsig", "hook", "rlimits", "capabilities", "seccomp", "chroot"),
)
_referring = operator.attrgetter(*_REFERRING)
_NOTHING_REFERRED_TO = _referring(DEFAULTS)


def is_reusable(streams: tuple[Any, Any, Any], options: Options) -> bool:
    """Is the program the same for every launch with these streams and options?

    Not where it refers to a descriptor of this process, which may be another one the next time. Standard error into a
    standard output that is inherited is such a reference.
    """
    stdin, stdout, stderr = streams
    if stdin not in _SYMBOLS or stdout not in _SYMBOLS or stderr not in _SYMBOLS or (stdout is None and stderr == STDOUT):
        return False
    if options is DEFAULTS:
        return True
    return (
        _referring(options) == _NOTHING_REFERRED_TO
        and (options.cwd is None or (type(options.cwd) is str and "/fd/" not in options.cwd))  # that names a descriptor
        and type(options.executable) in (str, NoneType)
    )


@functools.lru_cache(maxsize=256)
def _known_program(streams: tuple[Any, Any, Any], options: Options, collected: bool) -> Program:
    """Programs launch the same way again and again."""
    return _program(streams, options, collected)


_MOST_SANDBOXED = 64


def _sandboxed_program(
    confinement: Confinement, streams: tuple[Any, Any, Any], options: Options, collected: bool
) -> Program:
    """As above, kept by the sandbox: its ruleset's descriptor is the same one as long as the sandbox lives."""
    bare = options._replace(env=None, sandbox=None, landlock=None, seccomp=None, capabilities=None)
    if confinement.makes_directory() or not is_reusable(streams, bare):
        return _program(streams, options, collected)
    known = confinement.programs()
    bounding = bool(options.capabilities and options.capabilities["bounding"])  # all else that applied() sets is constant
    key = (streams, bare, collected, bounding)
    found: Program | None = known.get(key)
    if found is None:
        if len(known) >= _MOST_SANDBOXED:
            known.clear()
        found = known[key] = _program(streams, options, collected)
    return found


def _program(streams: tuple[Any, Any, Any], options: Options, collected: bool) -> Program:
    needed = needed_descriptors(options)
    plan = planned(streams, options, needed)
    steps = [*closing_first(options, plan), *plan.steps, *option_steps(options, plan)]
    alone = runs_alone(steps)
    via_launcher = (alone and options.hook is None and not options.forks) or options.via == "launcher"
    via_launcher = via_launcher or options.init is not None
    before: list[StepTuple] = []
    joining: list[StepTuple] = []
    if via_launcher:
        before, first = prelude(options, plan)
        view = _view(options)
        joining = [step for step in view if step[0] == Step.SETNS]  # what they need is closed like everything else
        before = [*joining, *before, *view[len(joining) :]]
        steps = [*before, *first, *steps]
    packed, data = _packed(steps)
    inherited = [stream for stream in range(3) if stream not in plan.kept]
    leader = leads_group(options)
    rows, columns = options.pty if isinstance(options.pty, tuple) else (0, 0)
    head = library.request_head(
        forked=options.forks,
        private_memory=options.hook is not None and (alone or not support.hooks_may_share_memory()),
        via_launcher=via_launcher,
        keep_pidfd=leader and options.init is None,
        init=options.init,
        init_namespace=options.init_namespace,
        init_cgroup=bool(options.init_cgroup),
        steps=len(steps),
        prelude=len(before),
        data_size=len(data),
        top=plan.top,
        pipe_size=max(options.pipesize, 0),
        program=plan.operand(options.executable) if isinstance(options.executable, int) else NO_FD,
        sigmask=options.sigmask,
        rows=rows,
        columns=columns,
        no_echo=isinstance(options.pty, SilentTerminal),
        pipes=plan.pipes,
        may_share_table=not joining and _may_share_table(options, plan, inherited),
        collected=collected,
        inherits=sum(1 << stream for stream in inherited),
    )
    return Program(plan, steps, len(before), via_launcher, leader, options.forks, head, packed + data)


def _view(options: Options) -> list[StepTuple]:
    if options.sandbox is None:
        return []
    return [*options.sandbox.view(cast("int | None", options.user), cast("int | None", options.group))]


def _may_share_table(options: Options, plan: Plan, inherited: list[int]) -> bool:
    """Does the child need no descriptor of the parent's but the streams that it inherits?"""
    if not options.close_fds or may_use_any(options):
        return False
    if needed_descriptors(options) or named_by_path(options):
        return False
    return all(fd < 0 or fd in inherited for fd in plan.sources)


def _packed(steps: Iterable[StepTuple]) -> tuple[bytes, bytes]:
    packed, data = [], b""
    for kind, fd, value, operand in steps:
        packed.append(library.pack_step(kind, fd, value, len(data), len(operand)))
        data += operand
    return b"".join(packed), data


def compiled(arguments: Iterable[Any], program: Program, options: Options) -> Request:
    """The request for a program with its arguments, the first of which is its name.

    Raises TypeError for what is no string, bytes or path, ValueError for a NUL byte or a bad variable name.
    """
    given = [*arguments]
    argv = [each.encode(ENCODING, ERRORS) if type(each) is str else encoded(each) for each in given]
    executable = options.executable
    by_descriptor = isinstance(executable, int)
    path = argv[0] if executable is None or by_descriptor else encoded(executable)
    if options.env is None:
        count, environment = environ.inherited()
    else:
        count, environment = environ.given(options.env, by_path=_SLASH in path and not by_descriptor and not options.forks)
    paths = () if by_descriptor else candidates(path, options.env)
    strings = b"\0".join([*paths, *argv, b""])
    if strings.count(b"\0") != len(paths) + len(argv):
        raise ValueError("embedded null byte")
    counts = library.pack_counts(len(paths), len(argv), count, lease_in_ms(options))
    shown = given[0] if executable is None or by_descriptor else executable  # as given: the errors' filename
    return Request(b"".join((program.head, counts, program.packed, strings, environment)), shown, options, program)


def lease_in_ms(options: Options) -> int:
    """The lease of its init, as the native part reads it; 0: there is none."""
    return 0 if options.init_lease is None else max(1, round(1000 * options.init_lease))


# ---- the program's path -----------------------------------------------------------------------------------------------


def candidates(program: bytes, env: Mapping[Any, Any] | None) -> Sequence[bytes]:
    """The paths to try, as CPython has it: the child's PATH, each directory, unless the program is a path itself."""
    if _SLASH in program:
        return [program]
    search = environ.own_search_path() if env is None else environ.search_path(env)
    return _in_directories(program, encoded(os.defpath if search is None else search))


@functools.lru_cache(maxsize=256)
def _in_directories(program: bytes, search: bytes) -> tuple[bytes, ...]:
    return tuple(os.path.join(directory, b"") + program for directory in search.split(b":"))
