"""`ProcessGroup`: processes that end with a block."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack

from aiospawn._asyncio.process import Process  # noqa: TC001 - typing.get_type_hints(ProcessGroup.spawn) looks for it here
from aiospawn._options.keywords import LaunchOptions, Stream, StrOrBytesPath
from aiospawn._options.names import unexpected
from aiospawn._options.options import DEFAULTS
from aiospawn._options.values import seconds
from aiospawn._termination.terminate import all_ended, is_thrown_away

from .command import command, repeatable
from .command_value import Command, own_options
from .events import observer
from .failures import CalledProcessError
from .keywords import OnEvent, SuperviseKeywords
from .observed_process import observed
from .supervise import Supervised, supervision

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from .events import Observer

__all__ = ["ProcessGroup"]

_LIMIT = 64 * 1024  # asyncio.streams' default


class Failures:
    """Processes of a group that have failed. The first one cancels the block, as a task of a TaskGroup does."""

    def __init__(self) -> None:
        self._errors: list[CalledProcessError] = []
        self._block: asyncio.Task[Any] | None = None
        self._has_cancelled = False

    def __bool__(self) -> bool:
        return bool(self._errors)

    def begin(self) -> None:
        """The block was entered."""
        self._errors.clear()
        self._has_cancelled = False
        self._block = asyncio.current_task()

    def add(self, error: CalledProcessError) -> None:
        self._errors.append(error)
        if self._block is not None and not self._has_cancelled:
            self._has_cancelled = self._block.cancel()

    def of_block(self, exc: BaseException | None) -> BaseException | None:
        """By what the block is left; nothing, if that is our own cancellation."""
        block, self._block = self._block, None
        is_ours = self._has_cancelled and block is not None and not block.uncancel()
        if is_ours and isinstance(exc, asyncio.CancelledError):
            return None
        if exc is not None:
            for error in self._errors:
                exc.add_note(str(error))
        return exc

    def exception(self) -> Exception:
        if len(self._errors) == 1:
            return self._errors[0]
        return ExceptionGroup(f"{len(self._errors)} processes of the group failed", self._errors)


class ProcessGroup:
    """The processes of a block: leaving it waits for all of them, an exception or a cancellation stops all of them.

    Iterating gives the processes that are running, `len` their number.

    Args:
        check: True: a process that fails stops the rest. The block, which is cancelled, then raises its CalledProcessError,
        or
            an ExceptionGroup where several have failed. A process that was stopped by `Process.stop` or by the group's has
            not
            failed. An exception of the block's own propagates, with a note of what failed. The default is False.
        grace: Seconds that each process has between SIGTERM and SIGKILL: 5.
        on_event: As that of `run`, for each process. The default is None.
        event_arguments: As that of `run`.
        **options: Those of every launch (docs/options.md).

    Raises:
        TypeError: A bad argument.
        ValueError: Likewise.
    """

    def __init__(
        self,
        *,
        check: bool = False,
        grace: float = 5.0,
        on_event: OnEvent | None = None,
        event_arguments: bool = False,
        **options: Unpack[LaunchOptions],
    ) -> None:
        if not isinstance(check, bool):
            raise TypeError(f"check must be a bool, got {check!r}")
        for name in options:
            if name not in DEFAULTS._fields:
                raise unexpected("ProcessGroup", name, ("check", "grace", "on_event", "event_arguments", *DEFAULTS._fields))
        seconds("grace", grace)
        self._failing = Failures() if check else None
        observer(on_event, None, arguments=False)
        self._grace = grace
        self._on_event = on_event
        self._event_arguments = event_arguments
        self._options = repeatable(options)
        self._running: dict[Process, asyncio.Task[None]] = {}
        self._supervised: set[asyncio.Task[Supervised]] = set()
        self._open = False
        self._loop: asyncio.AbstractEventLoop | None = None  # of the block

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Process]:
        return iter([*self._running])

    async def spawn(
        self,
        program: StrOrBytesPath | Command,
        *args: StrOrBytesPath,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        limit: int = _LIMIT,
        **options: Unpack[LaunchOptions],
    ) -> Process:
        """Launches a process of the group: `create_subprocess_exec`, with a process group of its own as with `run`.

        Reading its pipes is up to the caller: leaving the block waits for a child that waits for its reader.

        Args:
            program: As that of `create_subprocess_exec`; or a `Command`, with options of a launch, `shell` and the standard
                streams, whose tag the process has.
            *args: Its arguments; none beside a `Command`.
            stdin: As that of `create_subprocess_exec`.
            stdout: As that of `create_subprocess_exec`.
            stderr: As that of `create_subprocess_exec`.
            limit: As that of `create_subprocess_exec`, in bytes.
            **options: Those of a launch, before the group's.

        Returns:
            The `Process`, whose program is running.

        Raises:
            RuntimeError: Outside of the block.
            OSError: As `create_subprocess_exec`, and so TypeError and ValueError.
        """
        self._check_open()
        tag, shell, given, own = None, False, [program, *args], {}
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        if isinstance(program, Command):
            if args:
                raise TypeError(f"spawn() takes a Command, or a program and its arguments, got {program!r} and {args!r}")
            own = own_options(program, "spawn", (*streams, "shell"), "a process has none")
            tag, given, shell = program.tag, program.args, own.pop("shell", False)
            streams = {name: own.pop(name, stream) for name, stream in streams.items()}
        keywords = {**self._options, **options, **own}
        checked = command(given, shell=shell, stdin=streams["stdin"], keywords=keywords, function=self.spawn)
        watcher = observer(self._on_event, checked.argv, arguments=self._event_arguments)
        process = await observed(watcher, checked, limit=limit, **streams)
        try:
            process.tag = tag
            self._running[process] = asyncio.get_running_loop().create_task(self._followed(process, watcher, given))
            if not self._open:  # left meanwhile: this one is nobody's
                await process.end(self._grace)
                self._check_open()
        except BaseException:  # a signal's handler raised before it was the group's
            process.abandon()
            raise
        return process

    def supervise(
        self, program: StrOrBytesPath, *args: StrOrBytesPath, **keywords: Unpack[SuperviseKeywords]
    ) -> asyncio.Task[Supervised]:
        """Keeps a command running, as `aiospawn.supervise` does, in a task of the group. Cancelling that stops the command.

        Leaving the block waits for the task as well. If it fails meanwhile, by StartLimitHit or as the command cannot be
        launched,
        the rest is stopped and the block raises that.

        Args:
            program: As that of `create_subprocess_exec`.
            *args: Its arguments.
            **keywords: `aiospawn.supervise`'s. `grace`, `on_event`, `event_arguments` and the options of a launch are the
            group's
                where they are not given.

        Returns:
            The task, whose result is a `Supervised`.

        Raises:
            RuntimeError: Outside of the block.
            TypeError: A bad argument.
            ValueError: Likewise.
        """
        self._check_open("supervise")
        common: dict[str, Any] = {
            "grace": self._grace,
            "on_event": self._on_event,
            "event_arguments": self._event_arguments,
            **self._options,
        }
        run = supervision([program, *args], **{**common, **keywords}).run()
        task = asyncio.get_running_loop().create_task(run)
        self._supervised.add(task)
        task.add_done_callback(self._supervision_over)
        return task

    def _supervision_over(self, task: asyncio.Task[Supervised]) -> None:
        """One that has failed is kept for the end of the block, where it is raised."""
        if task.cancelled() or task.exception() is None:
            self._supervised.discard(task)

    def _check_open(self, method: str = "spawn") -> None:
        if not self._open:
            raise RuntimeError(f"{method}() outside of the ProcessGroup's block")

    async def _followed(self, process: Process, watcher: Observer | None, args: Any) -> None:
        returncode = await process.wait()
        del self._running[process]
        if self._failing is not None and returncode and not process.was_stopped:
            self._failing.add(CalledProcessError(returncode, args))
        if watcher is not None:
            watcher.exited(returncode, process.rusage)

    async def stop(self) -> None:
        """Stops what runs. Cancelled meanwhile, it kills at once, and the cancellation propagates.

        Raises:
            PermissionError: A program that this process may not signal keeps running; raised when the others have ended.
        """
        await self._stop(None)

    async def _stop(self, exc: BaseException | None) -> None:
        for task in self._supervised:
            task.cancel()
        supervised = [self._supervision_ended(task) for task in self._supervised]
        await all_ended([*supervised, *[self._ended(*running) for running in self._running.items()]], exc)

    async def _supervision_ended(self, task: asyncio.Task[Supervised]) -> None:
        """Waits until it has stopped its command; cancelled, it kills it."""
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        if not task.cancelled():
            task.exception()  # it is not the one that the block raises: looked at, so that asyncio does not warn of it

    async def _ended(self, process: Process, following: asyncio.Task[None]) -> None:
        await process.end(self._grace)
        if process.returncode is not None:
            await asyncio.wait([following])

    async def __aenter__(self) -> Self:
        if self._open:
            raise RuntimeError("the ProcessGroup's block was entered already")
        self._open = True
        self._loop = asyncio.get_running_loop()
        if self._failing is not None:
            self._failing.begin()
        return self

    async def _all_over(self) -> None:
        """Waits until all have ended, or one of them has failed, which is raised."""
        while not self._failing and (self._running or self._supervised):
            await asyncio.wait({*self._running.values(), *self._supervised}, return_when=asyncio.FIRST_COMPLETED)
            for following in [task for task in self._running.values() if task.done()]:
                following.result()  # a signal's handler has raised in it
            for task in [task for task in self._supervised if task.done()]:
                self._supervised.discard(task)
                task.result()
        if self._failing:
            raise self._failing.exception()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._failing is not None:
            exc = self._failing.of_block(exc)
        try:
            if exc is None:
                await self._all_over()
        except BaseException as error:
            exc = error
            raise
        finally:
            self._open = False
            if is_thrown_away(exc, self._loop):
                for process in self:
                    process.abandon()
                for task in self._supervised:
                    if not task.get_loop().is_closed():
                        task.cancel()
            else:
                await self._stop(exc)
