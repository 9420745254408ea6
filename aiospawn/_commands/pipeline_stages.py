"""The stages of a pipeline: its commands, checked, and how they are launched with the kernel's pipes between them."""

from __future__ import annotations

import functools
import itertools
import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn._binding.indivisible import exhaust, in_one

from .command import CheckedCommand, command
from .command_value import Command, own_options
from .events import Observer, observer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Stage", "checked_stages", "failed_stage", "launch_all"]


class Stage(NamedTuple):
    """One command of a pipeline; its streams are what was asked for, the pipe between two commands is None."""

    shown: Any
    tag: Any
    command: CheckedCommand
    streams: tuple[Any, Any, Any]
    watcher: Observer | None


def checked_stages(
    commands: Sequence[Any],
    streams: tuple[Any, Any, Any],
    options: dict[str, Any],
    on_event: Any,
    *,
    arguments: bool,
    function: Callable[..., Any],
) -> list[Stage]:
    """The commands as stages. Raises TypeError and ValueError, which name an argument of `function`."""
    stages: list[Stage] = []
    last = len(commands) - 1
    for number, each in enumerate(commands):
        args, tag, own = each, None, {}
        if isinstance(each, Command):
            allowed = {"stderr", "shell", *(["stdin"] if not number else ()), *(["stdout"] if number == last else ())}
            own = own_options(each, "pipeline", allowed, "it is for all, or for the ends; pass it to pipeline() itself")
            args, tag = each.args, each.tag
        elif isinstance(args, (str, bytes)):
            raise TypeError(
                f"pipeline() takes each command as a list of arguments, got {args!r}; "
                "a shell's command is Command(..., shell=True), or run(..., shell=True) for all of it"
            )
        stdin = own.pop("stdin", streams[0]) if not number else None
        stdout = own.pop("stdout", streams[1]) if number == last else None
        stderr = own.pop("stderr", streams[2])
        # The first one's standard input decides for all: a pager at the end shares the terminal with it.
        leading = stages[0].streams[0] if stages else stdin
        shell = own.pop("shell", False)
        checked = command(args, shell=shell, stdin=leading, keywords={**options, **own}, function=function)
        stages.append(Stage(args, tag, checked, (stdin, stdout, stderr), observer(on_event, args, arguments=arguments)))
    return stages


def failed_stage(returncodes: Sequence[int]) -> int | None:
    """The last one that failed, as a shell's `pipefail` counts; but SIGPIPE before the last is no failure."""
    last = len(returncodes) - 1
    for at in range(last, -1, -1):
        if returncodes[at] and (at == last or returncodes[at] != -signal.SIGPIPE):
            return at
    return None


async def launch_all(stages: Sequence[Stage], launch: Callable[[Stage, tuple[Any, Any, Any]], Awaitable[None]]) -> None:
    """Launches them in order. The parent's copies of a pipe's end are closed as soon as the child has it."""
    ends = _Ends()  # that are open here
    source = stages[0].streams[0]
    try:
        for number, stage in enumerate(stages):
            target = stage.streams[1]
            is_last = number == len(stages) - 1
            if not is_last:
                # In one: a signal's handler may raise between the making and the keeping.
                ends.extend(itertools.chain.from_iterable(map(os.pipe2, (os.O_CLOEXEC,))))
                following, target = ends[-2:]
            await launch(stage, (source, target, stage.streams[2]))
            if not is_last:
                ends.close(target)
                if number:
                    ends.close(source)
                source = following
    finally:
        ends.close_all()


class _Ends(list[int]):
    """Descriptors, each closed once; with it, where a signal's handler has kept its owner from that."""

    def close(self, end: int) -> None:
        in_one(functools.partial(self.remove, end), functools.partial(os.close, end))

    def close_all(self) -> None:
        in_one(functools.partial(exhaust, map(os.close, self)), self.clear)

    def __del__(self) -> None:
        self.close_all()
