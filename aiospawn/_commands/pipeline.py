"""`pipeline`: commands joined by the kernel's pipes; the data does not pass through this process."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from aiospawn._options.keywords import Args, CommandOptions, Stream

from .command import refuse_terminal, repeatable
from .command_value import Command  # noqa: TC001 - typing.get_type_hints(pipeline) looks for it here
from .completed_pipeline import CompletedPipeline
from .keywords import OnEvent
from .pipeline_block import Block, RunningPipeline
from .pipeline_run import PipelineRun
from .pipeline_stages import checked_stages
from .results import text_mode
from .run import captured, check_times, number_of_bytes, written
from .typed import typed

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from . import signatures  # noqa: TC004 - in a lambda that nobody calls
    from .pipeline_stages import Stage

__all__ = ["CompletedPipeline", "Pipeline", "pipeline"]

_PIPE_GRACE = 5.0
_AnyOutput = TypeVar("_AnyOutput")  # str, bytes, or None where nothing is captured


@typed(lambda: signatures.pipeline)
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
    **options: Unpack[CommandOptions],
) -> Pipeline[Any]:
    """Runs commands joined by pipes: the output of each is the input of the next. Awaited, it returns when all have ended.

    A command that cannot be launched, a time-out, too much output and a cancellation stop all commands, and then raise what
    `run` raises. `async with pipeline(...) as running:` has the ends as streams instead, see `RunningPipeline`; there
    `input`,
    `capture_output`, text mode, `timeout`, `pipe_grace` and `max_output` are refused.

    Args:
        *commands: Each a list of arguments, or a `Command`, which may have options of a launch, `shell` and `stderr`; the
        first
            one also `stdin`, the last one `stdout`.
        input: As that of `run`, for the first command; no asynchronous iterable.
        stdin: As that of `run`, of the first command.
        stdout: As that of `run`, of the last command.
        stderr: As that of `run`, of every command.
        capture_output: Captures the output of the last command, and the standard error of each.
        check: Raise CalledProcessError for the stage that failed (`CompletedPipeline.failed`).
        timeout: Seconds for all of it. None: no limit.
        text: As that of `run`, and so the three that follow.
        encoding: As that of `run`.
        errors: As that of `run`.
        universal_newlines: As that of `run`.
        grace: As that of `run`, in seconds.
        pipe_grace: As that of `run`, in seconds.
        max_output: As that of `run`, in bytes, for each command by itself.
        on_event: As that of `run`, for each command.
        event_arguments: As that of `run`.
        **options: As those of `run`, for each command.

    Returns:
        A `Pipeline`; awaited, a `CompletedPipeline`.

    Raises:
        TypeError: A bad argument, at once. The following are raised where it is awaited.
        ValueError: Likewise.
        OSError: As `run`.
        TimeoutExpired: Its `cmd` is the list of commands.
        CalledProcessError: As `check` says.
        OutputLimitExceeded: Of one of the commands.
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
    """Commands that are not launched yet: awaited, they run to their end; `async with` has their ends as streams.

    Made by `pipeline`. To asyncio it is a coroutine, and like one it can be used once.
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
        """As that of a coroutine, for asyncio's tasks.

        Args:
            value: None to begin; what is awaited gets it later.

        Returns:
            What is awaited.
        """
        return self._begun().send(value)

    def throw(self, *exception: Any) -> Any:
        """As that of a coroutine, for asyncio's tasks.

        Args:
            *exception: What is raised where it waits.

        Returns:
            What is awaited.
        """
        return self._begun().throw(*exception)

    def close(self) -> None:
        """As that of a coroutine: stops what runs, and waits for nothing."""
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
        try:
            await self._block.launch(self._stages)
            return self._block.running
        except BaseException:
            self._block.drop()
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._block is not None
        try:
            await self._block.left(exc)
        except BaseException:
            self._block.drop()
            raise
