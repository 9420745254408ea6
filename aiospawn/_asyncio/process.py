"""The Process that `create_subprocess_exec` and `create_subprocess_shell` return."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import functools
import sys
from signal import SIGTERM
from typing import TYPE_CHECKING, Any

from aiospawn._options.kernel_names import signal_number
from aiospawn._options.values import number, seconds
from aiospawn._termination.terminate import ended, is_thrown_away, joined, note
from aiospawn._termination.tree import LoopTree

from .communication import are_read_elsewhere, is_possible, outputs
from .stream_protocol import StreamProtocol  # noqa: TC001 - an annotation of the class, which is evaluated at import
from .terminal import Terminal
from .terminal_input import TerminalInput
from .transport import SubprocessTransport
from .unread_output import make_streams, read_out, taken

if TYPE_CHECKING:
    import resource
    from types import TracebackType
    from typing import Self

    from aiospawn._request.tree_cgroup import CgroupPeak
    from aiospawn._termination.tree import Tree

__all__ = ["GRACE", "Process"]

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL where nothing else was asked for."""
_STREAMS = frozenset(("stdout", "stderr"))
_LOOKS_AT_STDIN = sys.version_info >= (3, 12)  # asyncio's, when it decides what to write and close; before, at the input


class Process(asyncio.subprocess.Process):
    """An asyncio Process that knows its pidfd and resource use, and can be left safely.

    `async with` stops and reaps the child when the block is left, however it is left.
    """

    tag: Any = None
    """Of the `Command` it was launched by; None of others."""

    was_stopped = False
    """Whether `stop` was called, or a block was left, before its end was seen."""

    grace: float = GRACE
    """Seconds between SIGTERM and SIGKILL where its block is left: as it was launched with, or set later."""

    _transport: Any
    _protocol: StreamProtocol
    _loop: asyncio.AbstractEventLoop

    def __init__(self, transport: Any, protocol: StreamProtocol, loop: asyncio.AbstractEventLoop) -> None:
        # As asyncio's, which also asks for the streams of the outputs: `communicate` needs none.
        self._transport = transport
        self._protocol = protocol
        self._loop = loop
        self.stdin = protocol.stdin
        self.pid = transport.get_pid()

    @functools.cached_property
    def stdout(self) -> asyncio.StreamReader | None:  # type: ignore[override]
        """The child's standard output, where that is a pipe; else None."""
        if isinstance(self._transport, SubprocessTransport):
            make_streams(self._transport)
        return self._protocol.stdout

    @functools.cached_property
    def stderr(self) -> asyncio.StreamReader | None:  # type: ignore[override]
        """The child's standard error, where that is a pipe; else None."""
        if isinstance(self._transport, SubprocessTransport):
            make_streams(self._transport)
        return self._protocol.stderr

    @property
    def pidfd(self) -> int | None:
        """The child's pidfd (pidfd_open(2)), readable once it has exited. The transport closes it; None after that."""
        return self._transport.pidfd if isinstance(self._transport, SubprocessTransport) else None

    @property
    def rusage(self) -> resource.struct_rusage | Any:
        """The child's resource use as of getrusage(2); None before it has exited, and where another reaper took it."""
        return self._transport.rusage if isinstance(self._transport, SubprocessTransport) else None

    @property
    def limit(self) -> str | None:
        """The name of the limit of its `Sandbox` that ended it, as in `Limits`; None of others, and before its end."""
        return self._transport.limit if isinstance(self._transport, SubprocessTransport) else None

    @property
    def cgroup_peak(self) -> CgroupPeak | None:
        """The most memory and processes that the tree had; None before its exit was seen, and without `init_cgroup`."""
        return self._transport.cgroup_peak if isinstance(self._transport, SubprocessTransport) else None

    def send_signal(self, signal: int | str, *, group: bool = False) -> None:
        """Sends a signal through the pidfd (pidfd_send_signal(2)): never to another process with the same number.

        Args:
            signal: The number, a `signal.Signals`, or the name: "HUP" or "SIGHUP".
            group: True: to the process group that the child leads (`start_new_session`, `process_group=0` or `pty`). What is
            left
                of it is also reached when the child has ended, from Linux 6.9 on; before that, until the child is reaped.

        Raises:
            ProcessLookupError: The child's exit was seen; with `group`, nobody is left in the group.
            PermissionError: The program runs as another user (set-user-id).
            ValueError: No such name; `group` for a child that leads no process group.
            NotImplementedError: `group` for a child that was not launched natively.
        """
        signum = signal_number("signal", signal)
        if not group:
            super().send_signal(signum)
        elif isinstance(self._transport, SubprocessTransport):
            self._transport.signal_group(signum)
        else:
            raise NotImplementedError("group=True needs a child that was launched natively")

    async def communicate(self, input: bytes | bytearray | memoryview | None = None) -> tuple[bytes, bytes]:
        """asyncio's: writes the input, reads all output, and waits for the exit.

        Cancelled meanwhile, it leaves what was read in the streams, where it can be read.

        Args:
            input: Bytes for stdin, which is closed behind them; None for nothing.

        Returns:
            Stdout and stderr as bytes; None in place of one that is not a pipe.
        """
        transport = self._transport
        if (
            type(transport) is SubprocessTransport
            and transport.unread is not None
            and (input is None or _LOOKS_AT_STDIN)
            and _STREAMS.isdisjoint(self.__dict__)  # else a program has set them
        ):
            resumed = transport.resumed
            if resumed is not None and not resumed.is_read_out():  # else it has exited, and its outputs have ended
                await read_out(transport, self._loop)
            if transport.unread is not None:
                return taken(transport, 1), taken(transport, 2)  # type: ignore[return-value]
        stdout, stderr = self.stdout, self.stderr
        if not isinstance(transport, SubprocessTransport) or not is_possible(transport, self._protocol, stdout, stderr):
            if await are_read_elsewhere(stdout, stderr):
                await self.wait()
                return None if stdout is None else b"", None if stderr is None else b""  # type: ignore[return-value]
            return await super().communicate(input)
        readers = [reader for reader in (stdout, stderr) if reader is not None]
        is_fed = self.stdin is not None if _LOOKS_AT_STDIN else input is not None
        feed = functools.partial(self._feed_stdin, input) if is_fed else None  # type: ignore[attr-defined]
        read: Any = await outputs(transport.resumed, readers, self._loop, feed)
        return None if stdout is None else read[0], None if stderr is None else read[-1]  # type: ignore[return-value]

    def resize(self, rows: int, columns: int) -> None:
        """Sets the size of the terminal of a child launched with `pty` (TIOCSWINSZ); its foreground group gets SIGWINCH.

        Args:
            rows: From 0 to 65535.
            columns: Likewise.

        Raises:
            ValueError: The child has no `pty`, or a number is out of range.
            TypeError: What is no number.
            ProcessLookupError: The child has ended.
        """
        if not isinstance(self.stdin and self.stdin.transport, TerminalInput):
            raise ValueError("resize() needs a child launched with pty")
        size = number("rows", rows, 0, 65535), number("columns", columns, 0, 65535)
        try:
            Terminal(self._transport.native, self._transport.token).resize(*size)
        except OSError:
            raise ProcessLookupError from None

    async def stop(self, grace: float = 5.0, *, signal: int | str = SIGTERM) -> int:
        """Ends the child: `signal` first, SIGKILL when `grace` is over.

        Cancelled meanwhile, it kills and reaps the child before the cancellation propagates.

        Where the child leads a process group, the signals go to the group and all of it has the grace; also when the child
        itself
        has ended before (Linux 6.9). Where it was launched into a `cgroup`, everything in that is killed at the end
        (`cgroup.kill`, Linux 5.14).

        Args:
            grace: Seconds between the two signals: 5.
            signal: The first one, by number or by name ("INT", "SIGINT"): SIGTERM.

        Returns:
            The return code, once the child is reaped; negative for the signal that ended it.

        Raises:
            PermissionError: This process may not signal the program (set-user-id), which keeps running.
            RuntimeError: Called on another event loop than the child's.
            TypeError: A bad argument, before anything is signalled.
            ValueError: Likewise.
        """
        seconds("grace", grace)
        signal = number("signal", signal_number("signal", signal), 1, 64)
        self.was_stopped = self.was_stopped or self.returncode is None
        await ended(self._tree(), self._exit(), grace, signal)
        assert self.returncode is not None
        return self.returncode

    def _tree(self) -> Tree:
        return self._transport.tree if isinstance(self._transport, SubprocessTransport) else LoopTree(self._transport)

    def _exit(self) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if self.returncode is not None:
            exited = loop.create_future()
            exited.set_result(None)
        elif loop is not self._loop:
            raise RuntimeError(f"{self!r} is a child of another event loop")
        elif isinstance(self._transport, SubprocessTransport):
            exited = self._transport.exit_waiter()
        else:
            exited = loop.create_future()
            self._protocol.exit_waiters += (exited,)
        return exited

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.end(self.grace, exc)

    def close_output(self) -> None:
        """Closes the reading end of its standard output: a process that writes to it then gets SIGPIPE (pipe(7))."""
        pipe = self._transport.get_pipe_transport(1)
        if pipe is not None:
            pipe.close()

    async def end(
        self,
        grace: float = 5.0,
        exc: BaseException | None = None,
        stopping: asyncio.Task[int] | None = None,
        *,
        signal: int | str = SIGTERM,
    ) -> None:
        """`stop`, and closes the pipes: what leaving a block does.

        Args:
            grace: As that of `stop`, in seconds.
            exc: The exception by which the block is left; a program that may not be signalled becomes a note on it. None: by
            none.
            stopping: The task in which `stop` is running already; None: it is not.
            signal: As that of `stop`.

        Raises:
            PermissionError: As `stop`, where no exception propagates.
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
        """Abandons the child if its block is left because a coroutine is closed, so that nothing can be awaited.

        Args:
            exc: The exception by which the block is left.

        Returns:
            Whether that was so.
        """
        if not is_thrown_away(exc, self._loop):
            return False
        self.abandon()
        return True

    def abandon(self) -> None:
        """Kills the child's tree and closes the pipes, and waits for nothing: for a coroutine that is closed."""
        if not self._loop.is_closed():
            self._tree().kill()
            self._transport.close()
