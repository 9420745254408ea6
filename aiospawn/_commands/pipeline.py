"""`pipeline`: commands joined by pipes of the kernel's; nothing that goes through them comes by here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, Unpack, overload

from aiospawn._options.keywords import Args, Stream
from aiospawn._termination.terminate import all_ended

from .capture import Ending
from .command import CheckedCommand, command, refuse_terminal, repeatable
from .command_value import Command, own_options
from .events import observer
from .failures import CalledProcessError, TimeoutExpired
from .keywords import AnyPipeline, BytesPipeline, OnEvent, PipelineKeywords, TextPipeline
from .pipeline_block import Block, RunningPipeline, failed_stage, launch_all
from .results import CompletedProcess, OutputLimitExceeded, text_mode
from .run import captured, check_times, completed, launched, number_of_bytes, written

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import TracebackType

    from .capture import Capture
    from .events import Observer
    from .results import Text

__all__ = ["CompletedPipeline", "Pipeline", "pipeline"]

_PIPE = asyncio.subprocess.PIPE
_PIPE_GRACE = 5.0
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
        at = failed_stage([stage.returncode for stage in self.stages])
        return None if at is None else self.stages[at]

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
        parts: Any = [stage.stderr for stage in self.stages if stage.stderr is not None]
        return parts[0][:0].join(parts) if parts else None  # type: ignore[return-value] # as CompletedProcess has it

    @property
    def elapsed(self) -> float:
        """Of the stage that took longest, in seconds."""
        return max(stage.elapsed for stage in self.stages)

    def check_returncode(self) -> None:
        """Raises subprocess.CalledProcessError for the stage that failed."""
        if self.failed is not None:
            raise CalledProcessError(self.failed.returncode, self.failed.args, self.stdout, self.failed.stderr)


@overload
def pipeline(*commands: Args | Command, text: Literal[True], **keywords: Unpack[TextPipeline]) -> Pipeline[str]: ...
@overload
def pipeline(
    *commands: Args | Command, universal_newlines: Literal[True], **keywords: Unpack[TextPipeline]
) -> Pipeline[str]: ...
@overload
def pipeline(
    *commands: Args | Command,
    encoding: str,
    errors: str | None = None,
    input: str | None = None,
    **keywords: Unpack[PipelineKeywords],
) -> Pipeline[str]: ...
@overload
def pipeline(
    *commands: Args | Command, errors: str, input: str | None = None, **keywords: Unpack[PipelineKeywords]
) -> Pipeline[str]: ...
@overload
def pipeline(*commands: Args | Command, **keywords: Unpack[BytesPipeline]) -> Pipeline[bytes]: ...
@overload
def pipeline(*commands: Args | Command, **keywords: Unpack[AnyPipeline]) -> Pipeline[Any]: ...
def pipeline(
    *commands: Args | Command,
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
    pipe_grace: float | None = _PIPE_GRACE,
    max_output: int | None = None,
    on_event: OnEvent | None = None,
    event_arguments: bool = False,
    **options: Any,
) -> Pipeline[Any]:
    """Runs commands, each a list of arguments, the output of each being the input of the next. Returns when all have ended.

    `input` and `stdin` are the first command's, `stdout` the last's, `stderr` is every one's. `capture_output` collects
    the last one's output and the errors of each. `max_output` (bytes) counts for each by itself, and `options` are for each;
    the rest is as with `run`. `check` raises subprocess.CalledProcessError for the stage that `CompletedPipeline.failed`
    tells. A `Command` may have options of a launch, `shell` and `stderr`; the first one `stdin`, the last `stdout`.

    A command that could not be launched, a timeout, too much output and a cancellation stop all of them, and then raise what
    `run` raises; the `cmd` of TimeoutExpired is the list of commands. A bad argument is refused at once.

    `async with pipeline(...) as running:` gives the ends as streams instead, see `RunningPipeline`; there `input`,
    `capture_output`, text, `timeout`, `pipe_grace` and `max_output` have no meaning, and are refused.
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
    not_in_a_block = {
        "input": input, "text": mode, "timeout": timeout, "max_output": limit, "capture_output": capture_output or None,
        "pipe_grace": None if pipe_grace == _PIPE_GRACE else pipe_grace,
    }  # fmt: skip
    return Pipeline(
        _stages(commands, (stdin, stdout, stderr), repeatable(options), on_event, arguments=event_arguments),
        _Whole(data, mode, limit, timeout, grace, pipe_grace, check=check),
        [name for name, value in not_in_a_block.items() if value is not None],
    )


class _Stage(NamedTuple):
    """One command of a pipeline; its streams are what was asked for, a pipe to a neighbour is None."""

    shown: Any
    tag: Any
    command: CheckedCommand
    streams: tuple[Any, Any, Any]
    watcher: Observer | None


def _stages(
    commands: Sequence[Any], streams: tuple[Any, Any, Any], options: dict[str, Any], on_event: Any, *, arguments: bool
) -> list[_Stage]:
    stages: list[_Stage] = []
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
        checked = command(args, shell=shell, stdin=leading, keywords={**options, **own}, function=pipeline)
        stages.append(_Stage(args, tag, checked, (stdin, stdout, stderr), observer(on_event, args, arguments=arguments)))
    return stages


class Pipeline(Coroutine[Any, Any, CompletedPipeline[_AnyOutput]]):
    """Commands that are not launched yet: awaited they run to their end, `async with` has their ends as streams.

    Made by `pipeline`. A coroutine to asyncio, which can be used once.
    """

    __slots__ = ("_block", "_coroutine", "_not_in_a_block", "_stages", "_whole")

    def __init__(self, stages: list[_Stage], whole: _Whole, not_in_a_block: list[str]) -> None:
        self._stages = stages
        self._whole = whole
        self._not_in_a_block = not_in_a_block
        self._coroutine: Coroutine[Any, Any, CompletedPipeline[_AnyOutput]] | None = None
        self._block: Block | None = None

    def __repr__(self) -> str:
        return f"<Pipeline {[stage.shown for stage in self._stages]!r}>"

    # ---- awaited ------------------------------------------------------------------------------------------------------

    def _begun(self) -> Coroutine[Any, Any, CompletedPipeline[_AnyOutput]]:
        if self._block is not None:
            raise RuntimeError("the pipeline's block was entered: it cannot be awaited as well")
        if self._coroutine is None:
            self._coroutine = self._whole.run(self._stages)
        return self._coroutine

    def __await__(self) -> Generator[Any, Any, CompletedPipeline[_AnyOutput]]:
        return self._begun().__await__()

    def send(self, value: Any) -> Any:
        """As any coroutine's; for asyncio's tasks."""
        return self._begun().send(value)

    def throw(self, *exception: Any) -> Any:
        """As `send`."""
        return self._begun().throw(*exception)

    def close(self) -> None:
        """As `send`."""
        if self._coroutine is not None:
            self._coroutine.close()

    # ---- a block ------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> RunningPipeline:
        if self._coroutine is not None or self._block is not None:
            raise RuntimeError("the pipeline was used already")
        if self._not_in_a_block:
            raise ValueError(
                f"async with pipeline({self._not_in_a_block[0]}=...): its ends are streams, of bytes, for the block"
            )
        self._block = Block(self._whole.grace, check=self._whole.check)
        await self._block.launch(self._stages)
        return self._block.running

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._block is not None
        await self._block.left(exc)


class _Whole:
    """How a pipeline is run to its end."""

    def __init__(
        self,
        data: Any,
        mode: Text | None,
        limit: int | None,
        timeout: float | None,
        grace: float,
        pipe_grace: float | None,
        *,
        check: bool,
    ) -> None:
        self._data = data
        self._mode = mode
        self._limit = limit
        self._timeout = timeout
        self.grace = grace
        self._pipe_grace = pipe_grace
        self.check = check

    async def run(self, stages: Sequence[_Stage]) -> CompletedPipeline[Any]:
        children: list[Capture] = []

        async def launch(stage: _Stage, streams: tuple[Any, Any, Any]) -> None:
            children.append(
                await launched(
                    stage.command,
                    streams,
                    data=b"" if children else self._data,
                    limit=self._limit,
                    pipe_grace=self._pipe_grace,
                    observer=stage.watcher,
                )
            )

        try:
            await launch_all(stages, launch)
            ending = await _concluded(children, self._timeout)
        except GeneratorExit:
            for child in children:
                child.abandon()
            raise
        except BaseException as exc:
            await _stop_all(children, self.grace)
            _noted(children, exc)
            raise
        if ending is not Ending.COMPLETE:
            await _stop_all(children, self.grace, read_out=ending is Ending.TIMED_OUT)
        collected = _Collected(children, stages)
        if ending is Ending.TIMED_OUT:
            raise _noted(children, collected.timed_out(self._timeout))
        if ending is Ending.TOO_MUCH:
            raise _noted(children, collected.too_much(self._limit))
        result = CompletedPipeline(collected.results(self._mode))
        if self.check:
            result.check_returncode()
        return result


class _Collected:
    """What came of the stages."""

    def __init__(self, children: Sequence[Capture], stages: Sequence[_Stage]) -> None:
        self._children = children
        self._stages = stages
        pairs = [*zip(children, stages, strict=True)]
        self._outputs = [child.output(1) if stage.streams[1] == _PIPE else None for child, stage in pairs]
        self._errors = [child.output(2) if stage.streams[2] == _PIPE else None for child, stage in pairs]

    def timed_out(self, timeout: Any) -> TimeoutExpired:
        said = b"".join(filter(None, self._errors))
        return TimeoutExpired([stage.shown for stage in self._stages], timeout, self._outputs[-1] or None, said or None)

    def too_much(self, limit: Any) -> OutputLimitExceeded:
        # Where somebody holds a pipe of a stage that was stopped, that one's future is not done.
        over = [child.over.result() if child.over.done() else None for child in self._children]
        at = over.index(Ending.TOO_MUCH)
        return OutputLimitExceeded(self._stages[at].shown, limit, self._outputs[at] or None, self._errors[at] or None)

    def results(self, mode: Text | None) -> tuple[CompletedProcess[Any], ...]:
        parts = zip(self._children, self._stages, self._outputs, self._errors, strict=True)
        results = []
        for child, stage, output, error in parts:
            result = completed(child, stage.shown, (output, error), mode, check=False)
            result.tag = stage.tag
            results.append(result)
        return tuple(results)


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
