"""`lines`: the output of a command, line by line, whatever its length, while the command runs."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncGenerator  # typing.get_type_hints(lines) looks for it here
from typing import TYPE_CHECKING, Any, Unpack

from aiospawn._options.keywords import Args, CommandOptions, Stream
from aiospawn._options.values import seconds
from aiospawn._termination.terminate import is_thrown_away, joined

from .capture import Ending, drop
from .command import command, refuse_terminal
from .command_value import Command, own_options
from .events import observer
from .failures import CalledProcessError, TimeoutExpired
from .feeding import Feeding
from .keywords import OnEvent
from .line_splitter import LineSplitter
from .output_queue import STREAMS, OutputQueue
from .results import LineTooLong, text_mode
from .run import fed, launched, number_of_bytes
from .typed import typed

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator, Sequence

    from . import signatures  # noqa: TC004 - in a lambda that nobody calls
    from .capture import Capture
    from .command import CheckedCommand
    from .output_queue import Piece
    from .results import Text

__all__ = ["lines"]

_PIPE = asyncio.subprocess.PIPE
_OF_COMMAND = frozenset({"input", "stdin", "stderr", "shell", "timeout", "grace"})


@typed(lambda: signatures.lines)
def lines(
    args: Args | Command,
    *,
    both: bool = False,
    max_line: int | None = None,
    input: Any = None,
    stdin: Stream = None,
    stderr: Stream = None,
    check: bool = True,
    timeout: float | None = None,
    text: bool | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    universal_newlines: bool | None = None,
    shell: bool = False,
    grace: float = 5.0,
    on_event: OnEvent | None = None,
    event_arguments: bool = False,
    **options: Unpack[CommandOptions],
) -> AsyncGenerator[Any, None]:
    """Runs a command and iterates over the lines of its output while it runs, each with its newline.

    The iteration ends when the output has ended and the child has exited. When the consumer is slow, the child waits: about
    256 KiB are kept, beside the line that is not complete. Leaving the loop earlier stops the child as `run` does, in the
    background; `async with contextlib.aclosing(lines(...))` waits for that.

    Args:
        args: As that of `run`.
        both: Standard output and error, in the order of arrival, each line with the name of its stream: `("stdout", line)`,
            `("stderr", line)`. A part of a line waits for its newline, and does not hold up the other stream.
        max_line: Bytes of a line without its newline; characters in text mode. None: any length.
        input: As that of `run`, also an asynchronous iterable.
        stdin: As that of `run`.
        stderr: As that of `run`, but PIPE, for which there is `both`.
        check: Raise CalledProcessError at the end for a return code that is not 0; True.
        timeout: Seconds for all of it, checked when a line is waited for. Then the child is stopped, the lines that it still
            writes are iterated over, and TimeoutExpired is raised. Its `output` is what came after the last newline, such as
            a
            prompt: bytes or str, as the lines are, or None; with `both` its `stderr` likewise. None: no limit.
        text: As that of `run`, and so the three that follow.
        encoding: As that of `run`.
        errors: As that of `run`.
        universal_newlines: As that of `run`.
        shell: As that of `run`.
        grace: As that of `run`, in seconds.
        on_event: As that of `run`.
        event_arguments: As that of `run`.
        **options: As those of `run`.

    Returns:
        An asynchronous generator of bytes, or str in text mode; with `both` of pairs. The child is launched when it is
        iterated
        over.

    Raises:
        TypeError: A bad argument, at once. The following are raised where the iteration is.
        ValueError: Likewise.
        OSError: As `run`.
        LineTooLong: A line is longer than `max_line`; the child is stopped.
        TimeoutExpired: See `timeout`.
        CalledProcessError: With no output in it.
    """
    if isinstance(args, Command):
        common = {name: value for name, value in locals().items() if name not in ("args", "options")}
        own = own_options(args, "lines", _OF_COMMAND, "there are the lines of standard output, or of both")
        again: AsyncGenerator[Any, None] = lines(args.args, **{**common, **options, **own})
        return again
    mode = text_mode(text, universal_newlines, encoding, errors)
    if not isinstance(both, bool):
        raise TypeError(f"both must be a bool, got {both!r}")
    if stderr == _PIPE:
        raise ValueError(f"stderr={stderr!r} (PIPE): nobody would read it; both=True has the lines of both streams")
    if both and stderr is not None:
        raise ValueError(f"both=True and stderr={stderr!r}: standard error is one of both streams")
    data, stdin, source = fed(input, stdin, mode)
    number_of_bytes("max_line", max_line)
    seconds("timeout", timeout, optional=True)
    seconds("grace", grace)
    refuse_terminal(options)
    checked = command(args, shell=shell, stdin=stdin, keywords=options, function=lines)
    watcher = observer(on_event, args, arguments=event_arguments)
    streams = (stdin, _PIPE, _PIPE if both else stderr)
    collecting = {"data": data, "observer": watcher, "has_more": source is not None}
    splitters = {stream: LineSplitter(mode, max_line) for stream in ((1, 2) if both else (1,))}
    output = _Output(checked, splitters, timeout, grace, max_line, check=check)
    return _Lines(output, output.blocks(streams, collecting, source, mode))


class _Lines(AsyncGenerator[Any, None]):
    """An asynchronous generator over blocks of lines, line by line: most lines wait for nothing, and cost little.

    Where it is dropped, so is the generator, which the event loop then closes.
    """

    __slots__ = ("_block", "_blocks", "_output")

    def __init__(self, output: _Output, blocks: AsyncGenerator[Iterable[Any], None]) -> None:
        self._output = output
        self._blocks = blocks
        self._block: Iterator[Any] = iter(())

    async def __anext__(self) -> Any:
        for line in self._block:
            return line
        while True:
            self._block = iter(await self._of_blocks(anext(self._blocks)))
            for line in self._block:
                return line

    async def asend(self, value: Any) -> Any:  # noqa: ARG002 - nothing can be sent to this one
        return await self.__anext__()

    async def athrow(self, *exception: Any) -> Any:
        self._block = iter(())
        return await self._of_blocks(self._blocks.athrow(*exception))

    async def aclose(self) -> None:
        self._block = iter(())
        await self._of_blocks(self._blocks.aclose())

    async def _of_blocks(self, step: Awaitable[Any]) -> Any:
        """A signal's handler may raise out here while the generator awaits: CPython takes that for running ever after.

        So nobody can close it then, and what it would have ended is ended here.
        """
        try:
            return await step
        except BaseException:
            self._output.drop()
            raise


class _Output:
    """The output of one command, in blocks of lines."""

    def __init__(
        self,
        command: CheckedCommand,
        splitters: dict[int, LineSplitter],
        timeout: float | None,
        grace: float,
        max_line: int | None,
        *,
        check: bool,
    ) -> None:
        self._command = command
        self._splitters = splitters
        self._timeout = timeout
        self._grace = grace
        self._max_line = max_line
        self._check = check
        self._queue = OutputQueue()
        self._stopping: asyncio.Task[None] | None = None
        self._keeper: list[Capture] = []
        self._feeding: Feeding | None = None

    def drop(self) -> None:
        """What runs, unless the generator has ended it."""
        drop(self._keeper)
        if self._feeding is not None:
            self._feeding.drop()

    async def blocks(
        self, streams: tuple[Any, Any, Any], collecting: dict[str, Any], source: AsyncIterable[Any] | None, mode: Text | None
    ) -> AsyncGenerator[Iterable[Any], None]:
        """Launches it. Stops it where the generator is closed before its end."""
        keeper = self._keeper
        is_over = False
        try:
            child = await launched(self._command, streams, keeper, output_queue=self._queue, **collecting)
            self._queue.follow(child.over)
            if self._timeout is not None:
                child.interrupt_after(self._timeout, Ending.TIMED_OUT)
            self._feeding = Feeding(child, source, mode)
            async with self._feeding as feeding:
                while pieces := await self._pieces(child):
                    for block in self._split(pieces):
                        yield block
                self._check_ending(child, feeding)
            for stream, splitter in self._splitters.items():
                yield self._named(stream, splitter.rest())
            is_over = True
        finally:
            if not is_over and keeper:
                await self._ended(keeper[0], sys.exception())
            keeper.clear()
        if self._check and child.returncode:
            raise CalledProcessError(child.returncode, self._command.shown)

    def _split(self, pieces: Sequence[Piece]) -> Iterator[Iterable[Any]]:
        for stream, data in pieces:
            lines = self._splitters[stream].lines(data)
            place = self._splitters[stream].too_long(lines)
            yield self._named(stream, lines if place is None else lines[:place])
            if place is not None:
                assert self._max_line is not None
                raise LineTooLong(self._command.shown, self._max_line)

    def _check_ending(self, child: Capture, feeding: Feeding) -> None:
        """Raises unless the child has ended by itself."""
        ending = child.over.result()
        if ending is Ending.FAILED:
            raise child.failure()
        if ending is Ending.UNFED:
            raise feeding.fault()
        if ending is Ending.TIMED_OUT:
            raise self._expired()

    def _named(self, stream: int, lines: list[Any]) -> Iterable[Any]:
        return lines if len(self._splitters) == 1 else zip(itertools.repeat(STREAMS[stream]), lines, strict=False)

    async def _pieces(self, child: Capture) -> list[Piece]:
        """What has arrived; empty at the end. Begins to stop a child whose time is over, which still writes then."""
        pieces = await self._queue.take()
        if self._stopping is None and child.over.done() and child.over.result() is Ending.TIMED_OUT:
            for splitter in self._splitters.values():
                splitter.tolerate()
            self._stopping = child.loop.create_task(child.stop(self._grace, read_out=True))
            self._queue.follow(self._stopping)
            return pieces or await self._queue.take()
        return pieces

    def _expired(self) -> TimeoutExpired:
        assert self._timeout is not None
        rests = [splitter.rest() for splitter in self._splitters.values()]
        return TimeoutExpired(
            self._command.shown, self._timeout, *(rest[0][:0].join(rest) if rest else None for rest in rests)
        )

    async def _ended(self, child: Capture, exc: BaseException | None) -> None:
        """Where the iteration ends by `exc`."""
        try:
            await self._end(child, exc)
        except BaseException:
            child.drop()
            raise

    async def _end(self, child: Capture, exc: BaseException | None) -> None:
        if is_thrown_away(exc, child.loop):
            child.abandon()
            return
        self._queue.drop()
        if self._stopping is not None:
            await joined(self._stopping, exc)
        elif child.needs_stop():
            await child.stop(self._grace)
        if exc is not None:
            child.noted(exc)
