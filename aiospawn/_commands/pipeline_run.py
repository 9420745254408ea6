"""A pipeline that is awaited: launched, waited for, stopped where it has to be, and made into a result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiospawn._termination.terminate import all_ended

from .capture import Ending, drop
from .completed_pipeline import CompletedPipeline
from .conclusion import completed
from .failures import TimeoutExpired
from .pipeline_stages import launch_all
from .results import OutputLimitExceeded
from .run import launched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .capture import Capture
    from .pipeline_stages import Stage
    from .results import CompletedProcess, Text

__all__ = ["PipelineRun"]

_PIPE = asyncio.subprocess.PIPE
_E = TypeVar("_E", bound=BaseException)


class PipelineRun(NamedTuple):
    """How a pipeline is run to its end, all of its commands together."""

    data: Any
    """What is written to the first command."""
    mode: Text | None
    limit: int | None
    """The most bytes that are read of each command."""
    timeout: float | None
    grace: float
    pipe_grace: float | None
    check: bool

    async def completed(self, stages: Sequence[Stage]) -> CompletedPipeline[Any]:
        children: list[Capture] = []
        try:
            return await self._completed(stages, children)
        except BaseException:  # a signal's handler may raise where nobody waits for them
            drop(children)
            raise

    async def _completed(self, stages: Sequence[Stage], children: list[Capture]) -> CompletedPipeline[Any]:
        async def launch(stage: Stage, streams: tuple[Any, Any, Any]) -> None:
            await launched(
                stage.command,
                streams,
                children,
                data=b"" if children else self.data,
                limit=self.limit,
                pipe_grace=self.pipe_grace,
                observer=stage.watcher,
            )

        try:
            await launch_all(stages, launch)
            ending = await _concluded(children, self.timeout)
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
            raise _noted(children, collected.timed_out(self.timeout))
        if ending is Ending.TOO_MUCH:
            raise _noted(children, collected.too_much(self.limit))
        result = CompletedPipeline(collected.results(self.mode))
        if self.check:
            result.check_returncode()
        return result


class _Collected:
    """What came of the stages."""

    def __init__(self, children: Sequence[Capture], stages: Sequence[Stage]) -> None:
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
    """How all came to their end. Raises what a launch failed with."""
    await _until_over(children, timeout)
    for child in children:
        if child.ending is Ending.FAILED:
            raise child.failure()
    endings = {child.over.result() for child in children if child.over.done()}
    for ending in (Ending.TOO_MUCH, Ending.TIMED_OUT):
        if ending in endings:
            return ending
    return Ending.COMPLETE


async def _until_over(children: Sequence[Capture], timeout: float | None) -> None:
    """Waits until all have ended, or one of them otherwise than it should."""
    whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def look(one: asyncio.Future[Ending]) -> None:
        if not whole.done() and (_is_early(one) or all(child.over.done() for child in children)):
            whole.set_result(None)

    try:
        for child in children:
            if timeout is not None:
                child.interrupt_after(timeout, Ending.TIMED_OUT)
            for _ in range(2):  # one may be lost: a signal's handler may raise where it begins
                child.over.add_done_callback(look)
        await whole
    finally:  # a child that is stopped with a pipe still open is never over: `look` and it would be a cycle
        for child in children:
            child.over.remove_done_callback(look)


def _is_early(one: asyncio.Future[Ending]) -> bool:
    return one.cancelled() or one.result() in (Ending.FAILED, Ending.TIMED_OUT, Ending.TOO_MUCH)


async def _stop_all(children: Sequence[Capture], grace: float, *, read_out: bool = False) -> None:
    try:
        await all_ended(child.stop(grace, read_out=read_out) for child in children if child.ending is not Ending.FAILED)
    except asyncio.CancelledError as exc:
        _noted(children, exc)
        raise


def _noted(children: Sequence[Capture], exception: _E) -> _E:
    for child in children:
        child.noted(exception)
    return exception
