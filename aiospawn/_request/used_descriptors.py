"""Which of this process's descriptors the steps of a launch use, and the steps that close all others before them."""

from __future__ import annotations

import os
import posixpath
import re
from types import NoneType
from typing import TYPE_CHECKING

from aiospawn._binding.library import END_REQUEST, END_STATUS, Step
from aiospawn._options import descriptors

from .descriptor_plan import closing

if TYPE_CHECKING:
    from aiospawn._options.options import Options

    from .descriptor_plan import Plan, StepTuple

__all__ = ["closing_first", "may_use_any", "named_by_path", "needed_descriptors", "prelude", "read_by_steps"]


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


def read_by_steps(options: Options, plan: Plan) -> set[int]:
    """The descriptors that steps need, and not only the program."""
    return {*plan.sources, *needed_descriptors(options), *named_by_path(options)}


def closing_first(options: Options, plan: Plan) -> list[StepTuple]:
    """The steps that come before all others. A hook or a preexec_fn may use any descriptor: all are closed behind it."""
    closes = (options.close_fds or options.pass_fds) and not may_use_any(options)
    return [*closing(read_by_steps(options, plan))] if closes else []


def may_use_any(options: Options) -> bool:
    """Does the program's own code run among the steps?"""
    return options.hook is not None or options.forks


def prelude(options: Options, plan: Plan) -> tuple[list[StepTuple], list[StepTuple]]:
    """For the way to the launcher: what must survive its execve, and how it puts the flags back."""
    used = read_by_steps(options, plan)
    through = {fd for fd in used if fd < 0 or (descriptors.is_open(fd) and not os.get_inheritable(fd))}
    opened = [(int(Step.CLOEXEC), fd, 0, b"") for fd in (-1 - END_STATUS, -1 - END_REQUEST, *through)]
    return [*closing_first(options, plan), *opened], [(int(Step.CLOEXEC), fd, 1, b"") for fd in through]
