"""`run`: subprocess.run, awaited."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, Literal, Unpack

from aiospawn._asyncio.reactor import close_unused, reactor_of
from aiospawn._asyncio.running_loop import running_loop
from aiospawn._options.keywords import Args, CommandOptions, Stream
from aiospawn._options.values import seconds
from aiospawn._request.requested import requested

from .capture import Ending, drop
from .cluster_door import elsewhere
from .command import command as checked
from .command import refuse_terminal
from .command_value import Command
from .conclusion import completed, concluded, interruption
from .events import observer
from .feeding import Feeding, as_bytes
from .keywords import OnEvent, OnOutput
from .live import handed_on
from .loop_capture import LoopCapture
from .memory_files import OutputFiles
from .mistakes import named
from .native_capture import NativeCapture
from .output_queue import OutputQueue
from .plain_run import plain_request, plainly_run
from .results import CompletedProcess, text_mode
from .sinks import sink_of
from .typed import typed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from . import signatures  # noqa: TC004 - in a lambda that nobody calls
    from .capture import Capture
    from .command import CheckedCommand
    from .results import Text
    from .sinks import Sink

__all__ = [
    "captured",
    "check_capture",
    "check_times",
    "fed",
    "launched",
    "number_of_bytes",
    "run",
    "written",
]

_PIPE = asyncio.subprocess.PIPE
_FILE: Literal["file"] = "file"
_GRACE_S = 5.0


@typed(lambda: signatures.run)
async def run(
    args: Args | Command,
    *,
    input: Any = None,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    capture_output: bool | Literal["file"] = False,
    check: bool = False,
    timeout: float | None = None,
    text: bool | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    universal_newlines: bool | None = None,
    shell: bool = False,
    grace: float = _GRACE_S,
    pipe_grace: float | None = _GRACE_S,
    max_output: int | None = None,
    on_output: OnOutput | None = None,
    on_line: OnOutput | None = None,
    tee: bool = False,
    on_event: OnEvent | None = None,
    event_arguments: bool = False,
    cluster: Any = None,
    **options: Unpack[CommandOptions],
) -> CompletedProcess[Any]:
    """Runs a command and returns its result when it has ended: `subprocess.run`, awaited.

    Arguments, result and exceptions are `subprocess.run`'s, and the following. Source:
    https://docs.python.org/3/library/subprocess.html#subprocess.run

    A child that is to be stopped (`timeout` is over, there is too much output, the caller is cancelled) gets SIGTERM, and
    SIGKILL
    when `grace` is over; the exception goes on when it is reaped. The signals go to the process group that the child leads.
    By
    default each child does, unless its standard input is a terminal; `process_group=-1` leaves it in the caller's group, and
    then it is signalled alone.

    With `on_output`, `on_line` or `tee` the streams are pipes unless they are given, and are in the result only if
    `capture_output` or PIPE says so. What the two functions return is awaited if it can be; meanwhile little more is read,
    and
    so the child waits. What they raise stops the child, and is raised.

    Args:
        args: A list of arguments, str, bytes or path objects; with `shell` a str or bytes; or a `Command`, whose options go
            before these and whose tag the result has.
        input: Bytes, or str in text mode, for the child's standard input. Or an asynchronous iterable of such, which is read
        as
            the child reads; what it raises stops the child, and is raised. None: nothing.
        stdin: None (the default: this process's own), PIPE, DEVNULL, a descriptor, or an object with `fileno()`.
        stdout: As `stdin`. PIPE: it is captured.
        stderr: As `stdout`, or STDOUT: where `stdout` goes.
        capture_output: True: `stdout` and `stderr` are PIPE. "file": the output goes to files in memory instead of pipes
            (memfd_create(2)), and is read when the child has exited.
        check: Raise CalledProcessError for a return code that is not 0.
        timeout: Seconds until the child is stopped and TimeoutExpired is raised. None: no limit.
        text: Input and output are str: in `encoding`, by default the locale's.
        encoding: Of the text; it turns text mode on.
        errors: The error handler of the encoding (`codecs`); it turns text mode on.
        universal_newlines: As `text`.
        shell: The command is for `/bin/sh -c`.
        grace: Seconds between SIGTERM and SIGKILL: 5.
        pipe_grace: Seconds after the child's exit for which a descendant that holds a pipe is waited for: 5. Then the
        result's
            `complete` is False. None: no limit, as `subprocess.run` has it.
        max_output: Bytes that are read of standard output and error together, before the child is stopped. None: no limit.
        on_output: Is called on the loop with what the child writes, while it runs: `on_output(stream, part)`, in the order
        of
            arrival. `stream` is "stdout" or "stderr", `part` bytes, or str in text mode.
        on_line: Likewise, for each line of any length, with its newline, which the last one may lack.
        tee: Write the output to this process's descriptors 1 and 2 as well.
        on_event: Is called with a Spawned, an Executed and an Exited, or a LaunchFailed. None: nothing is.
        event_arguments: Whether Spawned has the command, which may contain secrets.
        cluster: It runs on a worker of this Dask cluster (docs/cluster.md), as the commands of `map` with it. None: here.
        **options: Those of a launch (docs/options.md) but `pty`, each with the kernel version that it needs.

    Returns:
        A `CompletedProcess`. Output that was not captured is None.

    Raises:
        OSError: The step of the launch that failed, named by its `.step` ("execve", "chdir", ...).
        TimeoutExpired: With the output that came; subprocess's.
        CalledProcessError: With the output; subprocess's.
        OutputLimitExceeded: With the output that came within `max_output`.
        UnicodeDecodeError: Output that is no text in the encoding.
        TypeError: A bad argument, before anything is created.
        ValueError: Likewise.
    """
    if cluster is not None:
        return await elsewhere(locals())
    if isinstance(args, Command):
        return await _with_its_own(locals())
    mode = text_mode(text, universal_newlines, encoding, errors)
    data, stdin, source = (b"", stdin, None) if input is None else fed(input, stdin, mode)
    stdout, stderr = (stdout, stderr) if capture_output is False else _captured(stdout, stderr, capture_output)
    sink = None if on_output is None and on_line is None and tee is False else sink_of(on_output, on_line, tee, mode)
    limit = None if max_output is None else number_of_bytes("max_output", max_output)
    check_times(timeout, grace, pipe_grace)
    streams = stdin, stdout, stderr
    is_plain = input is None and sink is None and limit is None and timeout is None and on_event is None
    if is_plain and not options and shell is False and capture_output != _FILE:
        request = plain_request(args, streams)
        if request is not None:
            return await plainly_run(args, request, streams, mode, grace, pipe_grace, check=check)
    refuse_terminal(options)
    command = checked(args, shell=shell, stdin=stdin, keywords=options, function=run)
    watcher = None if on_event is None else observer(on_event, args, arguments=event_arguments)
    collecting = {"data": data, "pipe_grace": pipe_grace, "observer": watcher, "has_more": source is not None}
    _check_files(capture_output, sink)
    keeper: list[Capture] = []
    end = functools.partial(_ended, source=source, mode=mode, sink=sink, timeout=timeout, grace=grace)
    try:
        if capture_output == _FILE:
            child, ending, output = await _with_files(command, stdin, limit, keeper, collecting, end)
        else:
            child, ending, output = await _with_pipes(command, streams, keeper, {**collecting, "limit": limit}, sink, end)
    except BaseException:  # a signal's handler may raise where the child is launched and nobody waits for it yet
        drop(keeper)
        raise
    if ending in (Ending.TIMED_OUT, Ending.TOO_MUCH):
        raise child.noted(interruption(ending, command.shown, timeout, limit, output))
    return completed(child, args, output, mode, check=check)


def _check_files(capture_output: Any, sink: Sink | None) -> None:
    if capture_output == _FILE and sink is not None:
        raise ValueError('capture_output="file": on_output, on_line and tee need pipes')


async def _with_its_own(given: dict[str, Any]) -> CompletedProcess[Any]:
    """`run` with the parameters that it was given, for a `Command`."""
    command, options = given.pop("args"), given.pop("options")
    result: CompletedProcess[Any] = await run(command.args, **{**given, **options, **command.options})
    result.tag = command.tag
    return result


async def _with_pipes(
    command: CheckedCommand,
    streams: tuple[Any, Any, Any],
    keeper: list[Capture],
    collecting: dict[str, Any],
    sink: Sink | None,
    end: Callable[[Capture], Awaitable[Ending]],
) -> tuple[Capture, Ending, tuple[bytes | None, bytes | None]]:
    """The child, its ending and its output, as far as it is kept."""
    stdin, *outputs = streams
    keeps = [stream == _PIPE for stream in outputs]
    if sink is not None:
        collecting["output_queue"] = OutputQueue(frozenset(number for number in (1, 2) if keeps[number - 1]))
        outputs = [_PIPE if stream is None else stream for stream in outputs]
    child = await launched(command, (stdin, *outputs), keeper, **collecting)
    ending = await end(child)
    return child, ending, (child.output(1) if keeps[0] else None, child.output(2) if keeps[1] else None)


async def _with_files(
    command: CheckedCommand,
    stdin: Any,
    limit: int | None,
    keeper: list[Capture],
    collecting: dict[str, Any],
    end: Callable[[Capture], Awaitable[Ending]],
) -> tuple[Capture, Ending, tuple[bytes | None, bytes | None]]:
    """The child, its ending and its output, which went to files in memory."""
    with OutputFiles(limit) as files:
        child = await launched(command, (stdin, *files.streams), keeper, **collecting)
        files.watch(child)
        ending = files.judged(await end(child))
        return child, ending, files.read()


def _ended(
    child: Capture,
    source: AsyncIterable[Any] | None,
    mode: Text | None,
    sink: Sink | None,
    timeout: float | None,
    grace: float,
) -> Awaitable[Ending]:
    """As `concluded`, while the child is fed and its output handed on, where that is wanted."""
    if source is None and sink is None:
        return concluded(child, timeout, grace)
    return _ended_meanwhile(child, source, mode, sink, timeout, grace)


async def _ended_meanwhile(
    child: Capture,
    source: AsyncIterable[Any] | None,
    mode: Text | None,
    sink: Sink | None,
    timeout: float | None,
    grace: float,
) -> Ending:
    async with Feeding(child, source, mode) as feeding:
        queue = child.output_queue
        if sink is None or queue is None:
            ending = await concluded(child, timeout, grace)
        else:
            ending = await handed_on(child, queue, sink, timeout, grace)
        if ending is Ending.UNFED:
            raise child.noted(feeding.fault())
        return ending


async def launched(
    command: CheckedCommand, streams: tuple[Any, Any, Any], keeper: list[Capture], **collecting: Any
) -> Capture:
    """The child, launched; whether its program could be run is known later. Raises OSError, ValueError for a bad stream.

    `keeper` has it before it is returned, which a signal's handler may prevent: then the caller drops it.
    `collecting` is for `Capture`.
    """
    loop = running_loop()
    options = command.options
    if options is None:
        handed_over = LoopCapture(loop, keeper, **collecting)
        try:
            await handed_over.launch(command, streams)
        except (TypeError, ValueError, AttributeError) as error:
            raise named(error, command.argv, command.keywords, streams) from None
        return handed_over
    try:
        request = requested(command.argv, streams, options, collected=collecting.get("observer") is None, caller=3)
    except (TypeError, ValueError, AttributeError) as error:
        raise named(error, command.argv, command.keywords, streams) from None
    try:
        return NativeCapture(reactor_of(loop), request, loop, **collecting).launch(keeper)
    except BaseException:
        close_unused(loop)
        raise


# ---- arguments --------------------------------------------------------------------------------------------------------


def written(data: Any, stdin: Any, mode: Text | None) -> tuple[Any, Any]:
    """What is written to the child's standard input, and what that is. A pipe without input has its end at once."""
    if data is None:
        return b"", stdin
    if stdin is not None:
        raise ValueError("stdin and input arguments may not both be used.")
    return as_bytes(data, mode), _PIPE


def fed(data: Any, stdin: Any, mode: Text | None) -> tuple[Any, Any, AsyncIterable[Any] | None]:
    """As `written`, and what is written piece by piece while the child runs, if that is how it comes."""
    if data is None or not isinstance(data, AsyncIterable):
        return *written(data, stdin, mode), None
    return *written("" if mode else b"", stdin, mode), data


def check_capture(capture_output: Any) -> None:
    if capture_output not in (True, False, _FILE):
        raise ValueError(f'capture_output must be a bool or "file", got {capture_output!r}')


def _captured(stdout: Any, stderr: Any, capture_output: Any) -> tuple[Any, Any]:
    check_capture(capture_output)
    return captured(stdout, stderr, bool(capture_output))


def captured(stdout: Any, stderr: Any, capture_output: bool) -> tuple[Any, Any]:
    """The two streams."""
    if not capture_output:
        return stdout, stderr
    if stdout is not None or stderr is not None:
        raise ValueError("stdout and stderr arguments may not be used with capture_output.")
    return _PIPE, _PIPE


def check_times(timeout: Any, grace: Any, pipe_grace: Any) -> None:
    """Raises TypeError and ValueError."""
    if timeout is None and grace == pipe_grace == _GRACE_S:
        return
    seconds("timeout", timeout, optional=True)
    seconds("grace", grace)
    seconds("pipe_grace", pipe_grace, optional=True)


def number_of_bytes(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int):
        raise TypeError(f"{name} must be a number of bytes or None, got {value!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return value
