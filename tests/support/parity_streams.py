"""Parity: the standard streams, and the pipes behind them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Any

from child import child
from parity import Cases, run

if TYPE_CHECKING:
    import pathlib

__all__ = ["CASES"]

CASES = Cases()
case, programs = CASES.function, CASES.program


@case
async def conversation(_: pathlib.Path) -> Any:
    """Line by line, on both streams; and what a stream's transport cannot do."""
    process: Any = await asyncio.create_subprocess_exec(*child("converse"), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    told: list[Any] = [process.pid > 0, process.returncode]
    for fd, method, arguments in ((0, "pause_reading", ()), (1, "write", (b"text",))):
        try:
            getattr(process._transport.get_pipe_transport(fd), method)(*arguments)
        except (AttributeError, NotImplementedError) as error:
            told.append(type(error).__name__)
    told.append(await process.stdout.readline())
    for line, stream in ((b"one\n", "stdout"), (b"stderr\n", "stderr"), (b"two\n", "stdout")):
        process.stdin.write(line)
        await process.stdin.drain()
        told.append(await getattr(process, stream).readline())
    process.send_signal(signal.SIGUSR1)
    process.stdin.write(b"three\n")  # Python may be just about to read, and runs its handler when it has read
    told += [await process.stdout.readline() for _answer in range(2)]
    process.stdin.write(b"stop\n")
    await process.stdin.drain()
    return [*told, await process.wait(), await process.stdout.read(), await process.stderr.read(), process.returncode]


@case
async def pid(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("sh", "-c", "echo $$", stdin=PIPE, stdout=PIPE)
    output, _error = await process.communicate()
    return int(output) == process.pid


@case
async def write_then_read(_: pathlib.Path) -> Any:
    process: Any = await asyncio.create_subprocess_exec(*child("copy"), stdin=PIPE, stdout=PIPE)
    process.stdin.write(b"some data")
    await process.stdin.drain()
    process.stdin.close()
    return await process.stdout.read(), await process.wait()


async def _into_file(directory: pathlib.Path, stream: str, *command: Any, send: bytes | None) -> Any:
    with (directory / "written").open("w+b") as file:
        returncode, *_ = await run(*command, stdin=PIPE, send=send, **{stream: file})
        file.seek(0)
        return returncode, file.read(), os.get_blocking(file.fileno())


@case
async def output_to_a_file(directory: pathlib.Path) -> Any:
    return await _into_file(directory, "stdout", *child("copy"), send=b"some data")


@case
async def error_output_to_a_file(directory: pathlib.Path) -> Any:
    return await _into_file(directory, "stderr", *child("write", 10, 2), send=None)


@case
async def streams_of_a_file_s_descriptor(directory: pathlib.Path) -> Any:
    with (directory / "file").open("rb") as file:
        return await run("cat", stdin=file.fileno(), stdout=PIPE), file.tell()


@case
async def streams_inherited(directory: pathlib.Path) -> Any:
    """Without redirection the child writes where 1 and 2 lead at the time of the call."""
    kept = [os.dup(number) for number in (1, 2)]
    paths = [directory / "inherited-1", directory / "inherited-2"]
    try:
        for number, path in enumerate(paths, 1):
            with path.open("wb") as file:
                os.dup2(file.fileno(), number)
        process = await asyncio.create_subprocess_exec("sh", "-c", "echo out; echo err >&2")
    finally:
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)
    told = await process.communicate()
    return await process.wait(), told, [path.read_bytes() for path in paths]


@case
async def streams_exchanged(directory: pathlib.Path) -> Any:
    """Each of 0, 1, 2 given in the place of another."""
    kept = [os.dup(number) for number in range(3)]
    path = directory / "exchanged"
    found = []
    try:
        with (directory / "file").open("rb") as source, path.open("w+b") as sink:
            os.dup2(source.fileno(), 2)
            os.dup2(sink.fileno(), 0)
            for options in (
                {"stdin": 2, "stdout": 0},
                {"stdin": 2, "stdout": 0, "stderr": STDOUT},
                {"stdin": 2, "stderr": 0, "stdout": 0},
            ):
                os.lseek(2, 0, os.SEEK_SET)
                process = await asyncio.create_subprocess_exec("sh", "-c", "cat; echo error >&2", **options)  # type: ignore[arg-type]
                await process.wait()
            sink.seek(0)
            found.append(sink.read())
    finally:
        for number, copy in enumerate(kept):
            os.dup2(copy, number)
            os.close(copy)
    return found


programs("both streams in one", "sh", "-c", "echo out; echo err >&2", stdout=PIPE, stderr=STDOUT)
programs("all streams to nothing", "sh", "-c", "echo out; cat; echo err >&2", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
programs("input sent", *child("copy"), send=b"some data", stdin=PIPE, stdout=PIPE)
programs("input empty", *child("count"), send=b"", stdin=PIPE, stdout=PIPE)
programs("input as bytearray", *child("count"), send=bytearray(b"abc"), stdin=PIPE, stdout=PIPE)
programs("input as memoryview", *child("count"), send=memoryview(b"abc"), stdin=PIPE, stdout=PIPE)
programs("input's pipe not inherited", *child("count"), send=b"abc", stdin=PIPE, stdout=PIPE, stderr=PIPE, close_fds=False)
if sys.version_info >= (3, 12):  # before, the child waits for its input for ever
    programs("input none", *child("count"), stdin=PIPE, stdout=PIPE)
for _size in (0, 1, 65536, 65537, 1_000_000):
    programs(f"output of {_size}", *child("copy"), send=b"x" * _size, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    programs(f"error output of {_size}", *child("write", _size, 2), stdout=PIPE, stderr=PIPE)


@case
async def input_without_a_pipe(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("true", stdin=DEVNULL)
    try:
        return await process.communicate(b"text")
    finally:
        await process.wait()


async def _lines(size: int) -> Any:
    process: Any = await asyncio.create_subprocess_exec(*child("count-lines"), stdin=PIPE, stdout=PIPE)
    process.stdin.write(b"\n" * (size - 4) + b"END\n")
    await process.stdin.drain()
    return await process.wait(), await process.stdout.read()


for _size in (8192, 8193, 219263, 219264):
    CASES.calling(f"input of {_size}", _lines, _size)


@case
async def communicate_again(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("echo", "text", stdout=PIPE)
    return [await process.communicate() for _turn in range(3)], process.returncode


@case
async def read_after_the_end(_: pathlib.Path) -> Any:
    process: Any = await asyncio.create_subprocess_exec("echo", "text", stdout=PIPE, stderr=PIPE)
    returncode = await process.wait()
    return returncode, await process.stdout.read(), await process.stdout.read(), process.stdout.at_eof()


@case
async def what_streams_there_are(_: pathlib.Path) -> Any:
    """Streams and pipe transports, for every kind of redirection."""
    found = []
    for streams in ((None,) * 3, (PIPE,) * 3, (DEVNULL,) * 3, (None, PIPE, STDOUT), (PIPE, None, PIPE)):
        options = dict(zip(("stdin", "stdout", "stderr"), streams, strict=True))
        process: Any = await asyncio.create_subprocess_exec("true", **options)
        await process.communicate()
        await process.wait()
        streams_found = [type(stream).__name__ for stream in (process.stdin, process.stdout, process.stderr)]
        found.append((streams_found, [process._transport.get_pipe_transport(fd) is None for fd in range(-1, 4)]))
    return found


@case
async def input_closed(_: pathlib.Path) -> Any:
    process: Any = await asyncio.create_subprocess_exec(*child("count"), stdin=PIPE, stdout=PIPE)
    stdin = process.stdin
    told = [stdin.can_write_eof(), stdin.is_closing(), stdin.transport.is_closing(), stdin.get_extra_info("nothing", 5)]
    stdin.writelines([b"a", b"bc", b""])
    stdin.write_eof()
    told += [stdin.is_closing(), stdin.transport.is_closing()]
    stdin.write(b"dropped")
    stdin.close()
    stdin.close()
    await stdin.wait_closed()
    await stdin.wait_closed()
    return [*told, stdin.is_closing(), await process.stdout.read(), await process.wait()]


@case
async def input_aborted(_: pathlib.Path) -> Any:
    process: Any = await asyncio.create_subprocess_exec(*child("count"), stdin=PIPE, stdout=PIPE)
    process.stdin.transport.abort()
    return process.stdin.is_closing(), await process.communicate(), process.returncode


@case
async def input_buffered(_: pathlib.Path) -> Any:
    """Limits and the size of the buffer, while the child does not read."""
    process: Any = await asyncio.create_subprocess_exec("sleep", "1000", stdin=PIPE)
    transport = process.stdin.transport
    told = [transport.get_write_buffer_limits(), transport.get_write_buffer_size()]
    for limits in ({"high": 100}, {"low": 10}, {"high": 50, "low": 50}, {}, {"high": 0}):
        transport.set_write_buffer_limits(**limits)
        told.append(transport.get_write_buffer_limits())
    try:
        transport.set_write_buffer_limits(high=1, low=2)
    except ValueError as error:
        told.append(str(error))
    process.stdin.write(b"x" * 65536)
    told.append(transport.get_write_buffer_size())
    process.stdin.write(b"y" * 1000)
    told.append(transport.get_write_buffer_size())
    process.kill()
    told.append(await process.wait())
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await process.stdin.wait_closed()
    return [*told, transport.is_closing()]


@case
async def output_closed_by_the_parent(_: pathlib.Path) -> Any:
    """The child's next write fails."""
    process: Any = await asyncio.create_subprocess_exec(*child("converse"), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    await process.stdout.readline()
    transport = process._transport.get_pipe_transport(2)
    told = [transport.is_closing()]
    transport.close()
    transport.close()
    told.append(transport.is_closing())
    await asyncio.sleep(0)  # asyncio closes the pipe in a callback
    process.stdin.write(b"stderr\n")
    returncode = await process.wait()
    return [*told, returncode, await process.stdout.read()]


@case
async def output_closed_by_the_child(_: pathlib.Path) -> Any:
    """The stream ends and the process does not."""
    process: Any = await asyncio.create_subprocess_exec(*child("close-stdout"), stdout=PIPE)
    output = await process.stdout.read()
    told = [output, process.returncode, process._transport.is_closing()]
    process.kill()
    return [*told, await process.wait()]


@case
async def reading_paused(_: pathlib.Path) -> Any:
    """Pausing twice, resuming twice, and asking whether it reads."""
    process: Any = await asyncio.create_subprocess_exec(*child("copy"), stdin=PIPE, stdout=PIPE)
    transport = process._transport.get_pipe_transport(1)
    told = [transport.is_reading()]
    for method in ("pause_reading", "pause_reading", "resume_reading", "resume_reading", "pause_reading"):
        getattr(transport, method)()
        told.append(transport.is_reading())
    transport.resume_reading()
    told.append((await process.communicate(b"text"))[0])
    return [*told, transport.is_reading()]


@case
async def much_output_and_little_room(_: pathlib.Path) -> Any:
    """Reading pauses above twice the limit, and nothing is lost by it."""
    process: Any = await asyncio.create_subprocess_exec(*child("write", 1_000_000), stdout=PIPE, limit=1024)
    total = 0
    while data := await process.stdout.read(500):
        total += len(data)
    return total, await process.wait()
