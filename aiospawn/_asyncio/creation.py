"""`create_subprocess_exec` and `create_subprocess_shell`, on any running loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from aiospawn._binding.support import support
from aiospawn._options.keywords import ExecKeywords, ShellKeywords, Stream, StrOrBytesPath
from aiospawn._options.names import of_function, renamed
from aiospawn._options.options import DEFAULTS
from aiospawn._options.values import seconds
from aiospawn._request.requested import joined_request
from aiospawn._termination.terminate import unhurt

from . import launch
from .process import GRACE, Process
from .running_loop import running_loop
from .stream_protocol import DEFAULT_LIMIT, StreamProtocol, check_limit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["create_subprocess_exec", "create_subprocess_shell"]


async def create_subprocess_exec(
    program: StrOrBytesPath,
    *args: StrOrBytesPath,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    limit: int = DEFAULT_LIMIT,
    grace: float = GRACE,
    **options: Unpack[ExecKeywords],
) -> Process:
    """`asyncio.create_subprocess_exec` on the running loop, whichever it is.

    Where nothing can be launched natively (`supported`), the loop's own implementation does it. Source:
    https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.create_subprocess_exec

    Args:
        program: A path, or a name that is looked up in PATH: that of `env` where it is given.
        *args: Its arguments; program and arguments are str, bytes or path objects.
        stdin: None (the default: this process's own), PIPE, DEVNULL, a descriptor, or an object with `fileno()`.
        stdout: As `stdin`.
        stderr: As `stdin`, or STDOUT: where `stdout` goes.
        limit: Bytes that a stream keeps before the pipe is read no further, and the longest line of `readline`; more than 0,
            64 KiB.
        grace: Seconds between SIGTERM and SIGKILL where the block of `async with` is left: 5.
        **options: `subprocess.Popen`'s keywords, and those of docs/options.md, each with the kernel version that it needs.

    Returns:
        The `Process`, whose program is running.

    Raises:
        OSError: The step that failed, named by its `.step` ("execve", "chdir", ...): FileNotFoundError, PermissionError, ...
        TypeError: A bad argument, before anything is created.
        ValueError: Likewise.
    """
    if grace is not GRACE:
        seconds("grace", grace)
    if limit is not DEFAULT_LIMIT:
        check_limit(limit)
    loop = running_loop()
    protocol = StreamProtocol(limit, loop)
    try:
        joined = None
        if not (options or loop.get_debug() or support().reasons):
            joined = joined_request((stdin, stdout, stderr), DEFAULTS, collected=False)
        if joined is not None:
            arguments = program, *args
            transport: Any = await launch.launch_joined(loop, protocol, joined, arguments, arguments)
        else:
            transport, _ = await _launched_exec(
                loop, lambda: protocol, program, *args,
                stdin=stdin, stdout=stdout, stderr=stderr, **options,
            )  # fmt: skip
        process = Process(transport, protocol, loop)
        if grace is not GRACE:
            process.grace = grace
        return process
    except TypeError as error:
        raise _unexpected(create_subprocess_exec, error) from None
    except BaseException:
        _give_up(protocol, loop)
        raise


async def create_subprocess_shell(
    cmd: str | bytes,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    limit: int = DEFAULT_LIMIT,
    grace: float = GRACE,
    **options: Unpack[ShellKeywords],
) -> Process:
    """`asyncio.create_subprocess_shell` on the running loop, whichever it is: `/bin/sh -c cmd`.

    Source: https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.create_subprocess_shell

    Args:
        cmd: The shell's command, str or bytes. Quoting is the caller's (`shlex.quote`).
        stdin: As that of `create_subprocess_exec`, and so the following.
        stdout: As that of `create_subprocess_exec`.
        stderr: As that of `create_subprocess_exec`.
        limit: As that of `create_subprocess_exec`, in bytes.
        grace: As that of `create_subprocess_exec`, in seconds.
        **options: As those of `create_subprocess_exec`; `executable` is another shell.

    Returns:
        The `Process`. The shell is running; a command that it does not find is its exit status 127.

    Raises:
        OSError: As `create_subprocess_exec`.
        TypeError: A bad argument, before anything is created.
        ValueError: Likewise.
    """
    if grace is not GRACE:
        seconds("grace", grace)
    if limit is not DEFAULT_LIMIT:
        check_limit(limit)
    loop = running_loop()
    protocol = StreamProtocol(limit, loop)
    try:
        transport, _ = await _launched_shell(
            loop, lambda: protocol, cmd,
            stdin=stdin, stdout=stdout, stderr=stderr, **options,
        )  # fmt: skip
        process = Process(transport, protocol, loop)
        if grace is not GRACE:
            process.grace = grace
        return process
    except TypeError as error:
        raise _unexpected(create_subprocess_shell, error) from None
    except BaseException:
        _give_up(protocol, loop)
        raise


def _unexpected(function: Callable[..., Any], error: TypeError) -> TypeError:
    return renamed(error, function.__name__, (*of_function(function), *DEFAULTS._fields))


def _exec_by_loop(loop: asyncio.AbstractEventLoop, *args: Any, **keywords: Any) -> Any:
    return _unhurt(loop.subprocess_exec(*args, **keywords), loop)


def _shell_by_loop(loop: asyncio.AbstractEventLoop, *args: Any, **keywords: Any) -> Any:
    return _unhurt(loop.subprocess_shell(*args, **keywords), loop)


def _unhurt(launching: Any, loop: asyncio.AbstractEventLoop) -> Any:
    def owned(launched: tuple[Any, Any]) -> Process:
        return Process(*launched, loop)

    return unhurt(launching, owned)


_launched_exec = launch.launching(launch.subprocess_exec, _exec_by_loop, caller=3)
_launched_shell = launch.launching(launch.subprocess_shell, _shell_by_loop, caller=3)


def _give_up(protocol: StreamProtocol, loop: asyncio.AbstractEventLoop) -> None:
    """The launch, or a signal's handler behind it, has raised: the caller is given no Process of a child that runs."""
    transport = protocol._transport  # noqa: SLF001 - asyncio's, None until it runs
    if transport is not None and transport.get_returncode() is None:
        Process(transport, protocol, loop).abandon()
