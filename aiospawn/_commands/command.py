"""A command as it is given to `run` and the like: checked, and ready to be launched in either way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn._asyncio import launch
from aiospawn._options.child_functions import LeadingGroup, is_step
from aiospawn._options.names import of_function, renamed
from aiospawn._options.options import DEFAULTS, GROUPED
from aiospawn._options.validation import validated, with_added_environment

from .mistakes import named

if TYPE_CHECKING:
    from aiospawn._options.options import Options

__all__ = ["CheckedCommand", "arguments", "command", "refuse_terminal", "repeatable", "understood"]

_NO_KEYWORDS: dict[str, Any] = {}
_COLLECTIONS = frozenset({"pass_fds", "extra_groups"})  # that may be iterators


class CheckedCommand(NamedTuple):
    """What is launched, but for its standard streams."""

    shown: Any
    """As it was given: the `args` of results and errors."""
    argv: list[Any]
    options: Options | None
    """None: it is for the loop's own implementation."""
    keywords: dict[str, Any]


def command(
    args: Any, *, shell: bool, stdin: Any, keywords: Any, function: Callable[..., Any] | None = None
) -> CheckedCommand:
    """Checks a command.

    Without a word of the caller's about it, the child leads a process group of its own, so that its descendants can be
    stopped with it; not where its standard input is a terminal, from which only the foreground group may read.

    `function` is whose keywords they are. Raises ValueError for a str or bytes without `shell` and for an empty command,
    TypeError for an unknown option, and what `validated` raises.
    """
    argv = arguments(args, shell=shell, executable=keywords.get("executable") if keywords else None)
    leads = keywords.get("start_new_session") or keywords.get("pty") or keywords.get("process_group") is not None
    if not leads and not _reads_terminal(stdin):
        if not keywords:
            handed_over = launch.must_hand_over(_NO_KEYWORDS)
            return CheckedCommand(args, argv, None if handed_over else GROUPED, {"process_group": 0})
        keywords = _leading(keywords)
    if not _COLLECTIONS.isdisjoint(keywords):
        keywords = repeatable(keywords)
    try:
        if "env_add" in keywords:
            keywords = with_added_environment(keywords)
        options = None if launch.must_hand_over(keywords) else validated(keywords)
    except (TypeError, ValueError) as error:
        if isinstance(error, TypeError) and function is not None:
            known = (*of_function(function), *DEFAULTS._fields)
            error = renamed(error, function.__name__, known)
        raise named(error, argv, keywords, (None, None, None)) from None
    return CheckedCommand(args, argv, options, keywords)


def _leading(keywords: dict[str, Any]) -> dict[str, Any]:
    """With a process group of the child's own; made after `preexec_fn`, which may make a session, as a leader cannot."""
    preexec_fn = keywords.get("preexec_fn")
    if preexec_fn is None:
        return {**keywords, "process_group": 0}
    if is_step(preexec_fn) or not callable(preexec_fn):
        return keywords
    return {**keywords, "preexec_fn": LeadingGroup(preexec_fn)}


def arguments(args: Any, *, shell: bool, executable: Any) -> list[Any]:
    """What is executed. Raises as `command`."""
    given: list[Any]
    if type(args) is list and args:
        given = [*args]
    elif isinstance(args, (str, bytes)):
        if not shell:
            raise ValueError(f"args must be a list of arguments, or a command with shell=True, got {args!r}")
        given = [args]
    elif isinstance(args, os.PathLike):
        if shell:
            raise TypeError(f"args with shell=True must be a command, not the path {args!r}")
        given = [args]
    else:
        try:
            arguments = iter(args)
        except TypeError:
            raise TypeError(f"args must be a list of arguments, got {args!r}") from None
        given = [*arguments]
    if not given:
        raise ValueError(f"args must name a program, got {args!r}")
    return [executable or "/bin/sh", "-c", *given] if shell else given


def refuse_terminal(keywords: Mapping[str, object]) -> None:
    """Raises ValueError for `pty` where nothing would use the terminal's other side."""
    if keywords.get("pty"):
        raise ValueError(f"pty={keywords['pty']!r} is for create_subprocess_exec, ProcessGroup and TerminalSession")


def repeatable(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The options as each of several launches reads them: an iterator, as Popen takes it, would be empty at the second.

    Only of options that are collections: a file is an iterator too.
    """
    return {
        name: [*value] if name in _COLLECTIONS and isinstance(value, Iterator) else value for name, value in keywords.items()
    }


def _reads_terminal(stdin: Any) -> bool:
    """Is the child's standard input a terminal?"""
    if stdin is None:
        return os.isatty(0)
    try:
        fd = stdin if isinstance(stdin, int) else stdin.fileno()
        return isinstance(fd, int) and fd >= 0 and os.isatty(fd)
    except (AttributeError, OSError, OverflowError, ValueError):  # refused where the streams are looked at
        return False


def understood(keywords: dict[str, Any], loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """As the loop's own implementation takes it: uvloop's knows no `process_group`, and forks."""
    if keywords.get("process_group") != 0 or isinstance(loop, asyncio.BaseEventLoop):
        return keywords
    preexec_fn = keywords.get("preexec_fn")

    def lead_group() -> None:
        os.setpgid(0, 0)
        if preexec_fn is not None:
            preexec_fn()

    return {name: value for name, value in keywords.items() if name != "process_group"} | {"preexec_fn": lead_group}
