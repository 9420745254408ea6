"""`pipeline`: commands joined by pipes of the kernel's; nothing that goes through them comes by here."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, Unpack, overload

from aiospawn._options.keywords import Args, Stream
from aiospawn._termination.terminate import all_ended

from .capture import Ending
from .command import command, refuse_terminal, repeatable
from .events import observer
from .keywords import AnyPipeline, BytesPipeline, OnEvent, PipelineKeywords, TextPipeline
from .results import CompletedProcess, OutputLimitExceeded, text_mode
from .run import captured, check_times, completed, launched, number_of_bytes, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .capture import Capture
    from .command import Command
    from .results import Text

__all__ = ["CompletedPipeline", "pipeline"]

_PIPE = asyncio.subprocess.PIPE
_E = TypeVar("_E", bound=BaseException)
_AnyOutput = TypeVar("_AnyOutput", str, bytes)


@dataclass(frozen=True, slots=True)
class CompletedPipeline(Generic[_AnyOutput]):
    """What came of a pipeline: `stages` has a CompletedProcess for each command, with its own return code and stderr."""

    stages: tuple[CompletedProcess[_AnyOutput], ...]

    @property
    def args(self) -> list[Any]:
        """The commands."""
        return [stage.args for stage in self.stages]

    @property
    def failed(self) -> CompletedProcess[_AnyOutput] | None:
        """The last stage that failed, as a shell's `pipefail` counts; None if none did.

        But a stage before the last that SIGPIPE ended is no failure: whoever reads it had enough (`yes | head -n 1`).
        """
        for stage in reversed(self.stages):
            if stage.returncode and (stage is self.stages[-1] or stage.returncode != -signal.SIGPIPE):
                return stage
        return None

    @property
    def returncode(self) -> int:
        """That of the stage that failed, or 0."""
        return 0 if self.failed is None else self.failed.returncode

    @property
    def stdout(self) -> _AnyOutput:
        """Of the last stage; None unless it was captured."""
        return self.stages[-1].stdout

    @property
    def stderr(self) -> _AnyOutput:
        """Of all stages, one behind the other; None unless it was captured."""
        parts: Any = [stage.stderr for stage in self.stages]
        return None if parts[0] is None else parts[0][:0].join(parts)  # type: ignore[return-value] # as CompletedProcess has it

    @property
    def elapsed(self) -> float:
        """Of the stage that took longest, in seconds."""
        return max(stage.elapsed for stage in self.stages)

    def check_returncode(self) -> None:
        """Raises subprocess.CalledProcessError for the stage that failed."""
        if self.failed is not None:
            raise subprocess.CalledProcessError(self.failed.returncode, self.failed.args, self.stdout, self.failed.stderr)


@overload
async def pipeline(*commands: Args, text: Literal[True], **keywords: Unpack[TextPipeline]) -> CompletedPipeline[str]: ...
@overload
async def pipeline(
    *commands: Args, universal_newlines: Literal[True], **keywords: Unpack[TextPipeline]
) -> CompletedPipeline[str]: ...
@overload
async def pipeline(
    *commands: Args, encoding: str, errors: str | None = None, input: str | None = None, **keywords: Unpack[PipelineKeywords]
) -> CompletedPipeline[str]: ...
@overload
async def pipeline(
    *commands: Args, errors: str, input: str | None = None, **keywords: Unpack[PipelineKeywords]
) -> CompletedPipeline[str]: ...
@overload
async def pipeline(*commands: Args, **keywords: Unpack[BytesPipeline]) -> CompletedPipeline[bytes]: ...
@overload
async def pipeline(*commands: Args, **keywords: Unpack[AnyPipeline]) -> CompletedPipeline[Any]: ...
async def pipeline(
    *commands: Args,
    input: Any = None,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    capture_output: bool = False,
    check: bool = False,
    timeout: float | None = None,
    text: bool | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    universal_newlines: bool | None = None,
    grace: float = 5.0,
    pipe_grace: float | None = 5.0,
    max_output: int | None = None,
    on_event: OnEvent | None = None,
    event_arguments: bool = False,
    **options: Any,
) -> CompletedPipeline[Any]:
    """Runs commands, each a list of arguments, the output of each being the input of the next. Returns when all have ended.

    `input` and `stdin` are the first command's, `stdout` the last's, `stderr` is every one's. `capture_output` collects
    the last one's output and the errors of each. `max_output` (bytes) counts for each by itself, and `options` are for each;
    the rest is as with `run`. `check` raises subprocess.CalledProcessError for the stage that `CompletedPipeline.failed`
    tells.

    A command that could not be launched, a timeout, too much output and a cancellation stop all of them, and then raise what
    `run` raises; the `cmd` of TimeoutExpired is the list of commands.
    """
    mode = text_mode(text, universal_newlines, encoding, errors)
    data, stdin = written(input, stdin, mode)
    if not isinstance(capture_output, bool):
        raise TypeError(f"capture_output must be a bool, got {capture_output!r}")
    stdout, stderr = captured(stdout, stderr, capture_output)
    limit = number_of_bytes("max_output", max_output)
    check_times(timeout, grace, pipe_grace)
    refuse_terminal(options)
    if not commands:
        raise ValueError("pipeline() needs a command")
    options = repeatable(options)
    # The first one's standard input decides for all: a pager at the end shares the terminal with it.
    checked = [command(args, shell=False, stdin=stdin, keywords=options) for args in commands]
    watchers = [observer(on_event, args, arguments=event_arguments) for args in commands]
    collecting = [
        {"pipe_grace": pipe_grace, "limit": limit, "observer": watcher, "data": b"" if number else data}
        for number, watcher in enumerate(watchers)
    ]
    children: list[Capture] = []
    try:
        await _launch_all(children, checked, (stdin, stdout, stderr), collecting)
        ending = await _concluded(children, timeout)
    except GeneratorExit:
        for child in children:
            child.abandon()
        raise
    except BaseException as exc:
        await _stop_all(children, grace)
        _noted(children, exc)
        raise
    if ending is not Ending.COMPLETE:
        await _stop_all(children, grace, read_out=ending is Ending.TIMED_OUT)
    collected = _Collected(children, commands, stdout == _PIPE, stderr == _PIPE)
    if ending is Ending.TIMED_OUT:
        raise _noted(children, collected.timed_out(timeout))
    if ending is Ending.TOO_MUCH:
        raise _noted(children, collected.too_much(limit))
    result = CompletedPipeline(collected.stages(mode))
    if check:
        result.check_returncode()
    return result


class _Collected:
    """What came of the stages."""

    def __init__(self, children: Sequence[Capture], commands: Sequence[Any], has_output: bool, has_errors: bool) -> None:
        self._children = children
        self._commands = commands
        last = len(children) - 1
        self._outputs = [child.output(1) if has_output and at == last else None for at, child in enumerate(children)]
        self._errors = [child.output(2) if has_errors else None for child in children]

    def timed_out(self, timeout: Any) -> subprocess.TimeoutExpired:
        said = b"".join(filter(None, self._errors))
        return subprocess.TimeoutExpired([*self._commands], timeout, self._outputs[-1] or None, said or None)

    def too_much(self, limit: Any) -> OutputLimitExceeded:
        # Where somebody holds a pipe of a stage that was stopped, that one's future is not done.
        over = [child.over.result() if child.over.done() else None for child in self._children]
        at = over.index(Ending.TOO_MUCH)
        return OutputLimitExceeded(self._commands[at], limit, self._outputs[at] or None, self._errors[at] or None)

    def stages(self, mode: Text | None) -> tuple[CompletedProcess[Any], ...]:
        parts = zip(self._children, self._commands, self._outputs, self._errors, strict=True)
        return tuple(completed(child, args, (output, error), mode, check=False) for child, args, output, error in parts)


async def _launch_all(
    children: list[Capture], commands: Sequence[Command], streams: tuple[Any, Any, Any], collecting: list[dict[str, Any]]
) -> None:
    """Launches them in order. The parent's copies of an end are closed as soon as the child has it."""
    source, last_target, stderr = streams
    ends: list[int] = []  # that are open here
    try:
        for number, each in enumerate(commands):
            target = last_target
            if number < len(commands) - 1:
                following, target = os.pipe2(os.O_CLOEXEC)
                ends += [following, target]
            children.append(await launched(each, (source, target, stderr), **collecting[number]))
            if number < len(commands) - 1:
                _close(ends, target)
                if number:
                    _close(ends, source)
                source = following
    finally:
        for end in ends:
            os.close(end)


def _close(ends: list[int], end: int) -> None:
    ends.remove(end)
    os.close(end)


async def _concluded(children: Sequence[Capture], timeout: float | None) -> Ending:
    """Waits until all have ended, or one of them otherwise than it should. Raises what a launch failed with."""
    whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    running = len(children)

    def over(one: asyncio.Future[Ending]) -> None:
        nonlocal running
        running -= 1
        early = one.cancelled() or one.result() in (Ending.FAILED, Ending.TIMED_OUT, Ending.TOO_MUCH)
        if (early or not running) and not whole.done():
            whole.set_result(None)

    for child in children:
        if timeout is not None:
            child.interrupt_after(timeout, Ending.TIMED_OUT)
        child.over.add_done_callback(over)
    await whole
    for child in children:
        if child.has_failed():
            raise child.failure()
    endings = {child.over.result() for child in children if child.over.done()}
    for ending in (Ending.TOO_MUCH, Ending.TIMED_OUT):
        if ending in endings:
            return ending
    return Ending.COMPLETE


async def _stop_all(children: Sequence[Capture], grace: float, *, read_out: bool = False) -> None:
    try:
        await all_ended(child.stop(grace, read_out=read_out) for child in children if not child.has_failed())
    except asyncio.CancelledError as exc:
        _noted(children, exc)
        raise


def _noted(children: Sequence[Capture], exception: _E) -> _E:
    for child in children:
        child.noted(exception)
    return exception
