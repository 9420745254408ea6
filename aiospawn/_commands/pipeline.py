"""`pipeline`: commands joined by pipes of the kernel's; nothing that goes through them comes by here."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from aiospawn._options.keywords import Args, Stream

from .command import refuse_terminal, repeatable
from .command_value import Command  # noqa: TC001 - typing.get_type_hints(pipeline) looks for it here
from .completed_pipeline import CompletedPipeline
from .keywords import AnyPipeline, BytesPipeline, OnEvent, PipelineKeywords, TextPipeline
from .pipeline_block import Block, RunningPipeline
from .pipeline_run import PipelineRun
from .pipeline_stages import checked_stages
from .results import text_mode
from .run import captured, check_times, number_of_bytes, written

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from .pipeline_stages import Stage

__all__ = ["CompletedPipeline", "Pipeline", "pipeline"]

_PIPE_GRACE = 5.0
_AnyOutput = TypeVar("_AnyOutput", str, bytes)


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
        checked_stages(
            commands,
            (stdin, stdout, stderr),
            repeatable(options),
            on_event,
            arguments=event_arguments,
            function=pipeline,
        ),
        PipelineRun(data, mode, limit, timeout, grace, pipe_grace, check),
        [name for name, value in not_in_a_block.items() if value is not None],
    )


class Pipeline(Coroutine[Any, Any, CompletedPipeline[_AnyOutput]]):
    """Commands that are not launched yet: awaited they run to their end, `async with` has their ends as streams.

    Made by `pipeline`. A coroutine to asyncio, which can be used once.
    """

    __slots__ = ("_block", "_coroutine", "_not_in_a_block", "_run", "_stages")

    def __init__(self, stages: list[Stage], run: PipelineRun, not_in_a_block: list[str]) -> None:
        self._stages = stages
        self._run = run
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
            self._coroutine = self._run.completed(self._stages)
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
        self._block = Block(self._run.grace, check=self._run.check)
        await self._block.launch(self._stages)
        return self._block.running

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._block is not None
        await self._block.left(exc)
