"""`create_subprocess_exec` and `create_subprocess_shell`, on any running loop, and the Process they return."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
from signal import SIGTERM
from typing import TYPE_CHECKING, Any, Unpack

from aiospawn._options.keywords import ExecKeywords, ShellKeywords, Stream, StrOrBytesPath
from aiospawn._options.names import of_function, renamed
from aiospawn._options.options import DEFAULTS
from aiospawn._options.values import number, seconds
from aiospawn._termination.terminate import ended, is_thrown_away, joined, note, unhurt
from aiospawn._termination.tree import LoopTree

from . import launch
from .running_loop import running_loop
from .stream_protocol import StreamProtocol
from .terminal import Terminal
from .terminal_input import TerminalInput
from .transport import SubprocessTransport

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from aiospawn._termination.tree import Tree

__all__ = ["Process", "create_subprocess_exec", "create_subprocess_shell"]

_LIMIT = 64 * 1024  # asyncio.streams' default


class Process(asyncio.subprocess.Process):
    """An asyncio Process that knows its pidfd and resource use, and can be left safely.

    `async with` stops and reaps the child when the block is left, however it is left.
    """

    tag: Any = None
    """Of the `Command` it was launched by; None of others."""

    was_stopped = False
    """Whether `stop` was called, or a block was left, before its end was seen."""

    _transport: Any
    _protocol: StreamProtocol
    _loop: asyncio.AbstractEventLoop

    @property
    def pidfd(self) -> int | None:
        """The child's pidfd, readable when it has exited; the transport's to close. None once it is reaped."""
        return self._transport.pidfd if isinstance(self._transport, SubprocessTransport) else None

    @property
    def rusage(self) -> resource.struct_rusage | None:
        """The child's resource use as of getrusage(2); None before it has exited, or if somebody else reaped it."""
        return self._transport.rusage if isinstance(self._transport, SubprocessTransport) else None

    @property
    def limit(self) -> str | None:
        """The name of the limit of its `Sandbox` that ended it, as in `Limits`; None of others, and before its end."""
        return self._transport.limit if isinstance(self._transport, SubprocessTransport) else None

    def send_signal(self, signal: int, *, group: bool = False) -> None:
        """Through the pidfd, never to a recycled pid. Raises ProcessLookupError once the exit was seen.

        `group=True` signals the process group that the child leads (`start_new_session`, `process_group=0` or `pty`), also
        what is left of it when the child is gone (Linux 6.9; before that until the child is reaped). Raises ValueError if
        the child leads none, ProcessLookupError when the group is empty.
        """
        if not group:
            super().send_signal(signal)
        elif isinstance(self._transport, SubprocessTransport):
            self._transport.signal_group(signal)
        else:
            raise NotImplementedError("group=True needs a child that was launched natively")

    def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size; the foreground group gets SIGWINCH.

        Raises ValueError for a child without `pty` and for a number that is not 0 to 65535, ProcessLookupError after the
        child's end.
        """
        if not isinstance(self.stdin and self.stdin.transport, TerminalInput):
            raise ValueError("resize() needs a child launched with pty")
        size = number("rows", rows, 0, 65535), number("columns", columns, 0, 65535)
        try:
            Terminal(self._transport.native, self._transport.token).resize(*size)
        except OSError:
            raise ProcessLookupError from None

    async def stop(self, grace: float = 5.0, *, signal: int = SIGTERM) -> int:
        """Ends the child: `signal`, after `grace` seconds SIGKILL. Returns the return code, when it is reaped.

        Where the child leads a process group the signals go to the group, and all of it has the grace, also when the child
        has ended before (Linux 6.9). Where it was launched into a `cgroup`, everything in that is killed in the end
        (`cgroup.kill`, Linux 5.14). Cancelled meanwhile, it kills at once, reaps, and passes the cancellation on.

        Raises TypeError or ValueError for a `grace` that is no number or negative and for a `signal` that is none,
        PermissionError for a program that this process may not signal, which keeps running, RuntimeError on another event
        loop than the child's.
        """
        seconds("grace", grace)
        number("signal", signal, 1, 64)
        self.was_stopped = self.was_stopped or self.returncode is None
        await ended(self._tree(), self._exit(), grace, signal)
        assert self.returncode is not None
        return self.returncode

    def _tree(self) -> Tree:
        return self._transport.tree if isinstance(self._transport, SubprocessTransport) else LoopTree(self._transport)

    def _exit(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        exited = loop.create_future()
        if self.returncode is not None:
            exited.set_result(None)
        elif loop is self._loop:
            self._protocol.exit_waiters.append(exited)
        else:
            raise RuntimeError(f"{self!r} is a child of another event loop")
        return exited

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.end(exc=exc)

    def close_output(self) -> None:
        """Closes the reading end of its standard output: who writes there gets SIGPIPE."""
        pipe = self._transport.get_pipe_transport(1)
        if pipe is not None:
            pipe.close()

    async def end(
        self,
        grace: float = 5.0,
        exc: BaseException | None = None,
        stopping: asyncio.Task[int] | None = None,
        *,
        signal: int = SIGTERM,
    ) -> None:
        """`stop`, and closes the pipes. While `exc` propagates, a program that may not be signalled is a note on it.

        `stopping`: where `stop` runs already, in a task.
        """
        if self.abandoned(exc):
            return
        try:
            await (self.stop(grace, signal=signal) if stopping is None else joined(stopping, exc))
        except PermissionError as refusal:
            if exc is None:
                raise
            note(exc, refusal)
        finally:
            self._transport.close()

    def abandoned(self, exc: BaseException | None) -> bool:
        """Is it left because a coroutine is closed, so that nothing can be awaited? Then it is abandoned."""
        if not is_thrown_away(exc, self._loop):
            return False
        self.abandon()
        return True

    def abandon(self) -> None:
        """Kills it at once and waits for nothing: for a coroutine that is closed, as when its loop was closed before."""
        if not self._loop.is_closed():
            self._tree().kill()
            self._transport.close()


async def create_subprocess_exec(
    program: StrOrBytesPath,
    *args: StrOrBytesPath,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    limit: int = _LIMIT,
    **options: Unpack[ExecKeywords],
) -> Process:
    """`asyncio.create_subprocess_exec` on the running loop, whichever it is.

    Arguments, results and exceptions are asyncio's; `options` are `subprocess.Popen`'s keywords. Raises the OSError of
    what failed, with the failing step as `.step` ("execve", "chdir", ...).
    """
    loop = running_loop()
    try:
        transport, protocol = await launch.subprocess_exec(
            _handing_over(loop.subprocess_exec, loop), loop, _stream_protocol(loop, limit), program, *args,
            stdin=stdin, stdout=stdout, stderr=stderr, **options,
        )  # fmt: skip
    except TypeError as error:
        raise _unexpected(create_subprocess_exec, error) from None
    return Process(transport, protocol, loop)


async def create_subprocess_shell(
    cmd: str | bytes,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    limit: int = _LIMIT,
    **options: Unpack[ShellKeywords],
) -> Process:
    """`asyncio.create_subprocess_shell` on the running loop, whichever it is: `/bin/sh -c cmd`."""
    loop = running_loop()
    try:
        transport, protocol = await launch.subprocess_shell(
            _handing_over(loop.subprocess_shell, loop), loop, _stream_protocol(loop, limit), cmd,
            stdin=stdin, stdout=stdout, stderr=stderr, **options,
        )  # fmt: skip
    except TypeError as error:
        raise _unexpected(create_subprocess_shell, error) from None
    return Process(transport, protocol, loop)


def _unexpected(function: Callable[..., Any], error: TypeError) -> TypeError:
    return renamed(error, function.__name__, (*of_function(function), *DEFAULTS._fields))


def _handing_over(launch: Any, loop: asyncio.AbstractEventLoop) -> Any:
    def owned(launched: tuple[Any, Any]) -> Process:
        return Process(*launched, loop)

    return lambda *args, **keywords: unhurt(launch(*args, **keywords), owned)


def _stream_protocol(loop: asyncio.AbstractEventLoop, limit: int) -> Any:
    return lambda: StreamProtocol(limit, loop)
