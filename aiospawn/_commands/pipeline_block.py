"""`async with pipeline(...)`: a pipeline whose ends are streams, while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence  # noqa: TC003 - typing.get_type_hints(RunningPipeline) looks for it here
from typing import TYPE_CHECKING, Any, TypeVar

from aiospawn._asyncio.process import Process  # noqa: TC001 - typing.get_type_hints(RunningPipeline) looks for it here
from aiospawn._termination.terminate import all_ended, is_thrown_away

from .failures import CalledProcessError
from .observed_process import observed
from .pipeline_stages import failed_stage, launch_all

if TYPE_CHECKING:
    from .events import Observer
    from .pipeline_stages import Stage

__all__ = ["Block", "RunningPipeline"]

_PIPE = asyncio.subprocess.PIPE


class RunningPipeline:
    """A pipeline in its block: `stdin` writes to its first command, `stdout` reads from its last.

    `stderr=PIPE` gives each process its own `stderr` to be read. Leaving the block closes `stdin`. Where `stdout` was read
    to
    its end, the block waits for all commands, and `check` raises subprocess.CalledProcessError; otherwise, and when it is
    left
    by an exception, it stops all. No process is left behind.
    """

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    @property
    def processes(self) -> tuple[Process, ...]:
        """The processes, one for each command, in order."""
        return tuple(self._processes)

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """The standard input of the first command. Raises ValueError where the pipeline was given another stream for it."""
        return _given("stdin", self._processes[0].stdin)

    @property
    def stdout(self) -> asyncio.StreamReader:
        """The standard output of the last command. Raises ValueError where the pipeline was given another stream for it."""
        return _given("stdout", self._processes[-1].stdout)

    @property
    def returncode(self) -> int | None:
        """The return code of the stage that failed (`CompletedPipeline.failed`), or 0; None while a command is running."""
        codes = [process.returncode for process in self._processes]
        known = [code for code in codes if code is not None]
        if len(known) < len(codes):
            return None
        at = failed_stage(known)
        return 0 if at is None else known[at]

    async def wait(self) -> int:
        """Waits until all have ended. It does not read their pipes: a command that waits for its reader does not end.

        Returns:
            The return code, as `returncode`.
        """
        for process in self._processes:
            await process.wait()
        returncode = self.returncode
        assert returncode is not None
        return returncode


class Block:
    """The block of a pipeline: launches it, and ends it."""

    def __init__(self, grace: float, *, check: bool) -> None:
        self._grace = grace
        self._check = check
        self._processes: list[Process] = []
        self.running = RunningPipeline(self._processes)
        self._following: list[asyncio.Task[None]] = []
        self._stages: list[Stage] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def launch(self, stages: Sequence[Stage]) -> None:
        """Raises what the launch of a command raises, when the others are stopped."""
        self._loop = asyncio.get_running_loop()
        self._stages = [*stages]
        first, last = stages[0], stages[-1]

        async def launch(stage: Stage, streams: tuple[Any, Any, Any]) -> None:
            stdin, stdout, stderr = streams
            process = await observed(
                stage.watcher,
                stage.command,
                stdin=_PIPE if stage is first and stdin is None else stdin,
                stdout=_PIPE if stage is last and stdout is None else stdout,
                stderr=stderr,
            )
            self._processes.append(process)
            if stage.watcher is not None:
                self._following.append(asyncio.get_running_loop().create_task(_followed(process, stage.watcher)))

        try:
            await launch_all(stages, launch)
        except BaseException as exc:
            await self._end(exc)
            raise

    async def left(self, exc: BaseException | None) -> None:
        """By this exception, or by none. Raises CalledProcessError where that is asked for."""
        if exc is None and self._is_read():
            try:
                self._close_input()
                await self.running.wait()
            except BaseException as error:
                await self._end(error)
                raise
            await self._reported()
            self._check_returncodes()
            return
        await self._end(exc)

    def drop(self) -> None:
        """Kills what still runs: a signal's handler may have raised anywhere."""
        for process in self._processes:
            if process.returncode is None:
                process.abandon()

    def _is_read(self) -> bool:
        output = self._processes[-1].stdout
        return output is None or output.at_eof()

    def _close_input(self) -> None:
        if self._processes and self._processes[0].stdin is not None:
            self._processes[0].stdin.close()

    async def _end(self, exc: BaseException | None) -> None:
        if is_thrown_away(exc, self._loop):
            for process in self._processes:
                process.abandon()
            return
        self._close_input()
        if self._processes:
            self._processes[-1].close_output()
        await all_ended([process.end(self._grace) for process in self._processes], exc)
        await self._reported()

    async def _reported(self) -> None:
        """Waits until all exits were reported to the observers."""
        for following in self._following:
            await following

    def _check_returncodes(self) -> None:
        for process in self._processes:
            process._transport.close()  # noqa: SLF001 - its pipes are at their end, its input may not be
        at = failed_stage([process.returncode or 0 for process in self._processes])
        if self._check and at is not None:
            returncode = self._processes[at].returncode
            assert returncode is not None
            raise CalledProcessError(returncode, self._stages[at].shown)


async def _followed(process: Process, watcher: Observer) -> None:
    watcher.exited(await process.wait(), process.rusage)


_T = TypeVar("_T")


def _given(name: str, stream: _T | None) -> _T:
    if stream is None:
        raise ValueError(f"{name} is no pipe of this program: the pipeline was given another {name}")
    return stream
