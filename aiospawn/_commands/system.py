"""`system` and `popen`: the pair of `os`, awaited."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable  # noqa: TC003 - typing.get_type_hints(AsyncPipe.writelines) looks for it here
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from aiospawn._options.keywords import CommandOptions, Stream
from aiospawn._options.names import of_function, renamed
from aiospawn._options.options import DEFAULTS

from .command import command as checked
from .command import refuse_terminal
from .events import observer
from .keywords import OnEvent, SystemKeywords
from .line_reader import LineReader, end_unread
from .observed_process import observed
from .results import text_mode
from .run import run

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from aiospawn._asyncio.process import Process

    from .events import Observer
    from .results import Text

__all__ = ["AsyncPipe", "popen", "system"]

_PIPE = asyncio.subprocess.PIPE


async def system(command: str | bytes, **options: Unpack[SystemKeywords]) -> int:
    """Runs a command in a shell: `os.system`, awaited.

    SIGINT and SIGQUIT are not ignored meanwhile: a Ctrl-C cancels the task, which stops the command as `run` does.

    Args:
        command: For `/bin/sh -c`.
        **options: `run`'s, but for `text`, `encoding`, `errors` and `capture_output`: there is no result to have an output.

    Returns:
        The wait status, as of wait(2), for `os.waitstatus_to_exitcode`.

    Raises:
        TypeError: A command that is no str or bytes.
        OSError: As `run`, which raises the other exceptions as well: those of `timeout`, `max_output` and `check`.
    """
    _shell_command(command)
    try:
        result = await run(command, shell=True, **options)
    except TypeError as error:
        raise renamed(error, "system", (*of_function(run), *DEFAULTS._fields)) from None
    return _wait_status(result.returncode)


def _shell_command(command: Any) -> None:
    if not isinstance(command, (str, bytes)):
        raise TypeError(f"command must be a str or bytes, got {command!r}")


def _wait_status(returncode: int) -> int:
    """As wait(2) has it, for a return code of `subprocess`'s."""
    return returncode << 8 if returncode >= 0 else -returncode


@overload
async def popen(
    command: str,
    mode: Literal["r"] = "r",
    *,
    encoding: str | None = None,
    errors: str | None = None,
    stdin: Stream = None,
    stderr: Stream = None,
    on_event: OnEvent | None = None,
    event_arguments: bool = False,
    **options: Unpack[CommandOptions],
) -> AsyncPipe: ...
@overload
async def popen(
    command: str,
    mode: Literal["w"],
    *,
    encoding: str | None = None,
    errors: str | None = None,
    stdout: Stream = None,
    stderr: Stream = None,
    on_event: OnEvent | None = None,
    event_arguments: bool = False,
    **options: Unpack[CommandOptions],
) -> AsyncPipe: ...
async def popen(
    command: str,
    mode: Literal["r", "w"] = "r",
    *,
    encoding: str | None = None,
    errors: str | None = None,
    on_event: OnEvent | None = None,
    event_arguments: bool = False,
    **options: Any,
) -> AsyncPipe:
    """Runs a command in a shell, with a text pipe to it or from it: `os.popen`, awaited.

    Args:
        command: For `/bin/sh -c`.
        mode: "r", the default: its output is read. "w": its input is written.
        encoding: Of the text; None: the locale's.
        errors: The error handler of the encoding (`codecs`); None: "strict".
        on_event: As that of `run`.
        event_arguments: As that of `run`.
        **options: Those of a launch (docs/options.md) but `pty`, and `stdin`, `stdout`, `stderr` where they are not the
        pipe.

    Returns:
        An `AsyncPipe`.

    Raises:
        TypeError: A command that is no str.
        ValueError: Another mode.
        LookupError: An unknown encoding or error handler.
        OSError: The step that failed, named by its `.step`.
    """
    if not isinstance(command, str):
        raise TypeError(f"command must be a str, got {command!r}")
    if mode not in ("r", "w"):
        raise ValueError(f'mode must be "r" or "w", got {mode!r}')
    refuse_terminal(options)
    for name in ("stdin" if mode == "w" else "stdout",):
        if name in options:
            raise ValueError(f"{name}={options[name]!r}: with mode {mode!r} that is the pipe")
    text = text_mode(True, None, encoding, errors)
    assert text is not None
    streams = {name: options.pop(name, None) for name in ("stdin", "stdout", "stderr")}
    if _PIPE in streams.values():
        raise ValueError("PIPE: a second pipe would have nobody at its end")
    streams["stdin" if mode == "w" else "stdout"] = _PIPE
    watcher = observer(on_event, command, arguments=event_arguments)
    launch = checked(command, shell=True, stdin=streams["stdin"], keywords=options, function=popen)
    return AsyncPipe(await observed(watcher, launch, **streams), text, watcher)


class AsyncPipe:
    """A text file whose methods are awaited: one end of a pipe, at whose other end a command runs. Made by `popen`.

    `async with` closes it; when the block is left by an exception, it stops the command.
    """

    def __init__(self, process: Process, mode: Text, watcher: Observer | None) -> None:
        self._process = process
        self._mode = mode
        self._watcher = watcher
        self._reader = None if process.stdout is None else LineReader(process.stdout, mode)
        self._closed = False

    @property
    def pid(self) -> int:
        """The process id of the shell."""
        return self._process.pid

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _readable(self) -> LineReader:
        if self._closed:
            raise ValueError("I/O operation on closed pipe")
        if self._reader is None:
            raise OSError("not readable: mode is 'w'")
        return self._reader

    async def read(self, size: int = -1) -> str:
        """Reads, and waits until there is so much or the end.

        Args:
            size: How many characters; -1: all up to the end.

        Returns:
            The text, shorter than `size` at the end only.
        """
        text: str = await self._readable().read(size)
        return text

    async def readline(self) -> str:
        """Reads a line.

        Returns:
            The line with its newline, which the last one may lack; "" at the end.
        """
        line: str = await self._readable().readline()
        return line

    async def readlines(self) -> list[str]:
        """All lines up to the end, each with its newline."""
        return [line async for line in self]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def write(self, text: str) -> int:
        """Writes text, and waits while the pipe holds more than it should.

        Args:
            text: What is written; newlines stay as they are.

        Returns:
            The number of characters.

        Raises:
            BrokenPipeError: The command has closed its end.
        """
        if self._closed:
            raise ValueError("I/O operation on closed pipe")
        if self._process.stdin is None:
            raise OSError("not writable: mode is 'r'")
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._process.stdin.write(text.encode(self._mode.encoding, self._mode.errors))
        await self._process.stdin.drain()
        return len(text)

    async def writelines(self, lines: Iterable[str]) -> None:
        """Writes each as `write` does; no newlines are added.

        Args:
            lines: An iterable of str.
        """
        for line in lines:
            await self.write(line)

    async def close(self) -> int | None:
        """Closes the pipe and waits for the command's end. Cancelled meanwhile, it stops the command.

        Returns:
            None for success, otherwise 256 times the return code, as of `os.popen`; negative where a signal ended the
            command.
        """
        self._closed = True
        try:
            await self._close_pipe()
            returncode = await self._process.wait()
        except GeneratorExit:
            self._process.abandon()
            raise
        except BaseException as exc:
            await self._stop(exc)
            raise
        self._tell()
        return returncode << 8 if returncode else None

    async def _close_pipe(self) -> None:
        stdin = self._process.stdin
        if stdin is None:
            self._process.close_output()
            return
        stdin.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody read the rest
            await stdin.wait_closed()

    async def _stop(self, exc: BaseException) -> None:
        self._closed = True
        if self._reader is None:
            await self._process.end(exc=exc)
        else:
            await end_unread(self._process, self._reader, exc)
        self._tell()

    def _tell(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None and self._process.returncode is not None:
            watcher.exited(self._process.returncode, self._process.rusage)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            await self.close()
        else:
            await self._stop(exc)
