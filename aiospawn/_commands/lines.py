"""`lines`: the output of a command, line by line, whatever its length, while the command runs."""

from __future__ import annotations

import asyncio
import codecs
import collections
import contextlib
import io
import math
import subprocess
import sys
from collections.abc import AsyncGenerator  # noqa: TC003 - typing.get_type_hints(lines) looks for it here
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from aiospawn._options.keywords import Args, Stream
from aiospawn._options.values import seconds

from .command import command, refuse_terminal
from .events import observer
from .keywords import AnyLines, BytesLines, LinesKeywords, OnEvent, TextLines
from .observed_process import observed
from .results import LineTooLong, text_mode
from .run import number_of_bytes

if TYPE_CHECKING:
    from aiospawn._asyncio.process import Process

    from .command import Command
    from .events import Observer
    from .results import Text

__all__ = ["LineReader", "end_unread", "lines"]

_PIPE = asyncio.subprocess.PIPE
_BLOCK = 64 * 1024  # bytes of one read; the stream stops reading the pipe when twice as much waits

# Of a child that was stopped, pipe and stream hold no more bytes than this, and they end at once: only somebody outside of
# its tree writes more, or lets us wait longer.
_MOST_LEFT, _LEFT_S = 1024 * 1024, 1.0


class LineReader:
    """Lines of a stream, in bytes or text; `limit` is the most of one, without its end."""

    __slots__ = ("_codec", "_decoder", "_end", "_length", "_limit", "_lines", "_rest", "_stream", "received")

    def __init__(self, stream: asyncio.StreamReader, mode: Text | None, limit: int | None = None) -> None:
        self._stream = stream
        self._limit = limit
        self._codec: codecs.IncrementalDecoder | None = None
        self._decoder: Any = None
        self._end: Any = b"\n"
        if mode is not None:
            self._codec = codecs.getincrementaldecoder(mode.encoding)(mode.errors)
            self._decoder = io.IncrementalNewlineDecoder(self._codec, translate=True)
            self._end = "\n"
        self._lines: collections.deque[Any] = collections.deque()
        self._rest: list[Any] = []  # of a line whose end has not come
        self._length = 0  # of that
        self.received = 0  # bytes

    async def readline(self) -> Any:
        """The next line, with its end, which the last may lack; empty when there is none. OverflowError: above the limit."""
        return await self.whole_line() or self.rest()

    def has_line(self) -> bool:
        """Is there one that need not be waited for?"""
        return bool(self._lines)

    async def whole_line(self) -> Any:
        """The next line that has an end; empty when there is none. OverflowError: above the limit."""
        while not self._lines:
            if not await self._more() and not self._lines:  # a carriage return is a line's end only at the output's
                return self._end[:0]
        line = self._lines.popleft()
        if self._limit is not None and len(line) > self._limit + 1:
            raise OverflowError
        return line

    def rest(self) -> Any:
        """What came behind the last end of a line, when nothing more is read."""
        if self._decoder is not None:
            self._rest.append(self._decoder.decode(b"", final=True))
        rest = self._end[:0].join(self._rest)
        self._rest.clear()
        return rest

    def tolerate(self) -> None:
        """From now on bytes that are none in the encoding do not raise: escapes take their place."""
        if self._codec is not None and self._codec.errors == "strict":
            self._codec.errors = "backslashreplace"

    async def read(self, size: int = -1) -> Any:
        """So many bytes or characters, fewer at the end; all there are if it is negative."""
        parts = []
        length = 0
        while size < 0 or length < size:
            part = await self.readline() if size < 0 else await self._some(size - length)
            if not part:
                break
            parts.append(part)
            length += len(part)
        return self._end[:0].join(parts)

    async def discard(self) -> None:
        """Reads to the end, for nobody; or leaves that to another task, which reads already."""
        with contextlib.suppress(OSError, RuntimeError):
            while await self._stream.read(_BLOCK):
                pass

    async def _some(self, size: int) -> Any:
        part = await self.readline()
        if len(part) > size:
            self._lines.appendleft(part[size:])
        return part[:size]

    async def _more(self) -> bool:
        """Reads on. False at the end."""
        data = await self._stream.read(_BLOCK)
        self.received += len(data)
        part = data if self._decoder is None else self._decoder.decode(data, final=not data)
        first, *others = part.split(self._end)
        self._rest.append(first)
        self._length += len(first)
        if self._limit is not None and self._length > self._limit:
            raise OverflowError
        if others:
            self._lines.append(self._end[:0].join([*self._rest, self._end]))
            self._lines.extend([line + self._end for line in others[:-1]])
            self._rest = [others[-1]]
            self._length = len(others[-1])
        return bool(data)


@overload
def lines(args: Args, *, text: Literal[True], **keywords: Unpack[TextLines]) -> AsyncGenerator[str, None]: ...
@overload
def lines(args: Args, *, universal_newlines: Literal[True], **keywords: Unpack[TextLines]) -> AsyncGenerator[str, None]: ...
@overload
def lines(
    args: Args, *, encoding: str, errors: str | None = None, **keywords: Unpack[LinesKeywords]
) -> AsyncGenerator[str, None]: ...
@overload
def lines(args: Args, *, errors: str, **keywords: Unpack[LinesKeywords]) -> AsyncGenerator[str, None]: ...
@overload
def lines(args: Args, **keywords: Unpack[BytesLines]) -> AsyncGenerator[bytes, None]: ...
@overload
def lines(args: Args, **keywords: Unpack[AnyLines]) -> AsyncGenerator[Any, None]: ...
def lines(
    args: Args,
    *,
    max_line: int | None = None,
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
    **options: Any,
) -> AsyncGenerator[Any, None]:
    """Runs a command and iterates over the lines of its output, each with its newline, as they come.

    A line may have any length, or `max_line` bytes (characters in text mode) without its end. When the consumer is slow the
    child waits: about 256 KiB are kept. The iteration ends when the output has ended and the child has, whose failure raises
    subprocess.CalledProcessError with `check`.

    Leaving the loop earlier stops the child as `run` does, soon; `async with contextlib.aclosing(lines(...))` waits for
    that. Arguments are as with `run`; `stderr` may not be PIPE.

    `timeout` (seconds) is for all of it, and looked at when the output is read. Then the child is stopped; the lines that it
    still writes are iterated over as well, and subprocess.TimeoutExpired follows. Its `output` is what came behind the last
    newline, such as a prompt: bytes or str, as the lines are, or None.

    Raises what `run` raises, with no other output in it, and LineTooLong. Only a bad argument raises here, the rest where
    the iteration begins.
    """
    mode = text_mode(text, universal_newlines, encoding, errors)
    if stderr == _PIPE:
        raise ValueError(f"stderr={stderr!r} (PIPE): nobody would read it")
    number_of_bytes("max_line", max_line)
    seconds("timeout", timeout, optional=True)
    seconds("grace", grace)
    refuse_terminal(options)
    checked = command(args, shell=shell, stdin=stdin, keywords=options)
    watcher = observer(on_event, args, arguments=event_arguments)
    return _lines(checked, (stdin, stderr), mode, max_line, timeout, grace, watcher, check=check)


async def _lines(
    command: Command,
    streams: tuple[Any, Any],
    mode: Text | None,
    max_line: int | None,
    timeout: float | None,
    grace: float,
    watcher: Observer | None,
    *,
    check: bool,
) -> AsyncGenerator[Any, None]:
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    process = await observed(watcher, command, stdin=streams[0], stdout=_PIPE, stderr=streams[1])
    assert process.stdout is not None
    reader = LineReader(process.stdout, mode, max_line)
    output = _Output(process, reader, deadline, grace)
    over = False
    try:
        while line := await output.line():
            yield line
        if not await output.is_complete():
            assert timeout is not None
            raise subprocess.TimeoutExpired(command.shown, timeout, reader.rest() or None)
        over = True
    except OverflowError:
        assert max_line is not None
        raise LineTooLong(command.shown, max_line) from None
    finally:
        if not over:
            await output.end(sys.exception())
        if watcher is not None and process.returncode is not None:
            watcher.exited(process.returncode, process.rusage)
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command.shown)


class _Output:
    """The lines of a process until a time of the loop's. Then it is stopped, and what it still writes are lines as well."""

    def __init__(self, process: Process, reader: LineReader, deadline: float | None, grace: float) -> None:
        self._process = process
        self._reader = reader
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._stopping: asyncio.Task[int] | None = None
        self._waiting: asyncio.Timeout | None = None  # for a line, while the process is being stopped
        self._most = math.inf  # bytes that are read
        self._left_s = _LEFT_S

    async def line(self) -> Any:
        """The next one; empty at the end."""
        if self._reader.has_line():
            return await self._reader.whole_line()  # which does not wait, and a timeout costs more than a line
        if self._stopping is None:
            try:
                async with asyncio.timeout_at(self._deadline):  # not around the yield: the consumer's time is its own
                    await _a_turn()
                    return await self._reader.readline()
            except TimeoutError:
                self._stop()
        await _a_turn()
        return await self._left_line()

    async def is_complete(self) -> bool:
        """Waits for the exit of the process. False if it had to be stopped."""
        if self._stopping is None:
            try:
                async with asyncio.timeout_at(self._deadline):
                    await self._process.wait()
            except TimeoutError:
                self._stop()
        return self._stopping is None

    def _stop(self) -> None:
        self._reader.tolerate()
        self._stopping = self._loop.create_task(self._process.stop(self._grace))
        self._stopping.add_done_callback(self._stopped)

    def _stopped(self, _: asyncio.Task[int]) -> None:
        self._most = self._reader.received + _MOST_LEFT
        if self._waiting is not None:
            self._waiting.reschedule(self._loop.time() + (0 if self._goes_on() else _LEFT_S))

    async def _left_line(self) -> Any:
        assert self._stopping is not None
        is_stopped, began = self._stopping.done(), self._loop.time()
        if is_stopped and (self._goes_on() or self._reader.received > self._most):
            return b""
        try:
            async with asyncio.timeout(self._left_s if is_stopped else None) as self._waiting:
                line = await self._reader.whole_line()
        except TimeoutError:
            return b""
        finally:
            self._waiting = None
        if is_stopped:
            self._left_s -= self._loop.time() - began
        return line

    def _goes_on(self) -> bool:
        """May the process not be signalled? Then it is not waited for."""
        assert self._stopping is not None
        return self._stopping.cancelled() or self._stopping.exception() is not None

    async def end(self, exc: BaseException | None) -> None:
        """Where the iteration ends by `exc`."""
        await end_unread(self._process, self._reader, exc, self._grace, self._stopping)


async def _a_turn() -> None:
    """Neither a time-out nor a scope of anyio's cancels a task whose data has come, which is always so with some output."""
    await asyncio.sleep(0)


async def end_unread(
    process: Process,
    reader: LineReader,
    exc: BaseException | None,
    grace: float = 5.0,
    stopping: asyncio.Task[int] | None = None,
) -> None:
    """`Process.end`, where nobody wants the output any more. It is read, for a process that waits in a write may not end."""
    if process.abandoned(exc):
        return
    reading = asyncio.get_running_loop().create_task(reader.discard())
    try:
        await process.end(grace, exc, stopping)
    finally:
        reading.cancel()
