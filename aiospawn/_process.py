"""`create_subprocess_exec` and `create_subprocess_shell`, on any running loop, and the Process they return."""

from __future__ import annotations

import asyncio
import asyncio.subprocess
import contextlib
import signal
from typing import TYPE_CHECKING, Any, Unpack

from . import _launch
from ._keywords import ExecKeywords, ShellKeywords, Stream, StrOrBytesPath
from ._transport import SubprocessTransport
from ._writing import TerminalInput

if TYPE_CHECKING:
    import resource
    from collections.abc import Coroutine, Iterable
    from types import TracebackType
    from typing import Self

__all__ = ["Process", "all_ended", "create_subprocess_exec", "create_subprocess_shell", "uncancelled"]

_LIMIT = 64 * 1024  # asyncio.streams' default


class Process(asyncio.subprocess.Process):
    """An asyncio Process that knows its pidfd and resource use, and can be left safely.

    `async with` stops and reaps the child when the block is left, however it is left.
    """

    _transport: Any

    @property
    def pidfd(self) -> int | None:
        """The child's pidfd, readable when it has exited; the transport's to close. None once it is reaped."""
        return self._transport.pidfd if isinstance(self._transport, SubprocessTransport) else None

    @property
    def rusage(self) -> resource.struct_rusage | None:
        """The child's resource use as of getrusage(2); None before it has exited, or if somebody else reaped it."""
        return self._transport.rusage if isinstance(self._transport, SubprocessTransport) else None

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
        """Sets the terminal's size; the foreground group gets SIGWINCH. Raises ValueError for a child without `pty`."""
        if not isinstance(self.stdin and self.stdin.transport, TerminalInput):
            raise ValueError("resize() needs a child launched with pty")
        import termios

        assert self.stdin is not None
        termios.tcsetwinsize(self.stdin.get_extra_info("pipe").fileno(), (rows, columns))

    async def stop(self, grace: float = 5.0) -> int:
        """Ends the child: SIGTERM, after `grace` seconds SIGKILL. Returns the return code, when it is reaped.

        Where the child leads a process group the signals go to the group, and what is left of it when the child is gone is
        killed; where it was launched into a `cgroup`, everything in that is killed in the end (`cgroup.kill`, Linux 5.14).
        Cancelled meanwhile, it kills at once, reaps, and passes the cancellation on. Raises ValueError for a negative
        `grace`, PermissionError for a program that is not ours to signal.
        """
        if grace < 0:
            raise ValueError(f"grace must not be negative, got {grace!r}")
        exited = asyncio.get_running_loop().create_task(self.wait())
        try:
            if self.returncode is None:
                self._signal_tree(signal.SIGTERM)
                await asyncio.wait([exited], timeout=grace)
        except PermissionError:
            exited.cancel()
            await asyncio.wait([exited])
            raise
        finally:
            if not exited.cancelled() and not exited.cancelling():
                self._signal_tree(signal.SIGKILL)
                await uncancelled(exited)
        return exited.result()

    def _signal_tree(self, signum: int) -> None:
        ours = self._transport if isinstance(self._transport, SubprocessTransport) else None
        with contextlib.suppress(ProcessLookupError):
            if ours is not None and ours.leads_group:
                ours.signal_group(signum)
            elif self.returncode is None:
                self.send_signal(signum)
        if ours is not None and signum == signal.SIGKILL:
            ours.kill_cgroup()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.end()

    def close_output(self) -> None:
        """Closes the reading end of its standard output: who writes there gets SIGPIPE."""
        pipe = self._transport.get_pipe_transport(1)
        if pipe is not None:
            pipe.close()

    async def end(self, grace: float = 5.0) -> None:
        """`stop`, and closes the pipes."""
        try:
            await self.stop(grace)
        finally:
            self._transport.close()


async def uncancelled(future: asyncio.Future[Any]) -> None:
    """Waits for a future that is about to be done, not for its result; a cancellation meanwhile is raised after that."""
    cancelled = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        raise cancelled


async def all_ended(endings: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Lets coroutines that stop processes come to their ends, at once. Cancelled meanwhile it cancels each, which kills.

    Raises the cancellation, or what the first of them raised.
    """
    tasks = [asyncio.get_running_loop().create_task(ending) for ending in endings]
    cancelled: asyncio.CancelledError | None = None
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as exc:
            cancelled = exc
            for task in tasks:
                task.cancel()
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if cancelled is not None:
        raise cancelled
    if errors:
        raise errors[0]


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
    loop = asyncio.get_running_loop()
    transport, protocol = await _launch.subprocess_exec(
        loop.subprocess_exec, loop, _stream_protocol(loop, limit), program, *args,
        stdin=stdin, stdout=stdout, stderr=stderr, **options,
    )  # fmt: skip
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
    loop = asyncio.get_running_loop()
    transport, protocol = await _launch.subprocess_shell(
        loop.subprocess_shell,
        loop,
        _stream_protocol(loop, limit),
        cmd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        **options,
    )
    return Process(transport, protocol, loop)


def _stream_protocol(loop: asyncio.AbstractEventLoop, limit: int) -> Any:
    return lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=limit, loop=loop)
