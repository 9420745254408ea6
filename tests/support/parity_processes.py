"""Parity: the process, its transport, and the calls of its protocol."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import logging
import os
import pathlib
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from child import child
from parity import Cases, run, run_shell
from recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CASES"]

CASES = Cases()
case = CASES.function


@case
async def kill(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("sleep", "1000")
    process.kill()
    return await process.wait(), process.returncode


@case
async def terminate(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("sleep", "1000")
    process.terminate()
    return await process.wait()


@case
async def hang_up(_: pathlib.Path) -> Any:
    process: Any = await asyncio.create_subprocess_exec("sh", "-c", "echo ready; exec sleep 1000", stdout=PIPE)
    line = await process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    return line, await process.wait()


@case
async def signal_ignored(_: pathlib.Path) -> Any:
    process: Any = await asyncio.create_subprocess_exec(*child("ignore", int(signal.SIGTERM)), stdout=PIPE)
    line = await process.stdout.readline()
    process.terminate()
    process.send_signal(0)
    process.kill()
    return line, await process.wait()


@case
async def signal_that_is_none(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("sleep", "1000")
    told = []
    for number in (1000, -1, 1.5):
        try:
            process.send_signal(number)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - which one it is, is the answer
            told.append((type(error).__name__, getattr(error, "errno", None)))
    process.kill()
    return [*told, await process.wait()]


@case
async def signals_after_the_end(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("true")
    await process.communicate()
    await process.wait()
    await _finished(process)
    told = []
    for method, arguments in (("kill", ()), ("terminate", ()), ("send_signal", (15,)), ("send_signal", (0,))):
        try:
            getattr(process, method)(*arguments)
        except ProcessLookupError as error:
            told.append((method, error.errno, str(error)))
    return told


async def _finished(process: Any) -> None:
    """`connection_lost` was delivered."""
    while process._transport._proc is not None:  # noqa: ASYNC110 - asyncio has nothing to wait on
        await asyncio.sleep(0)


@case
async def exit_statuses(_: pathlib.Path) -> Any:
    return [(await run(*child("exit", status)))[0] for status in (0, 1, 127, 128, 255, 256)]


@case
async def many_waiters(_: pathlib.Path) -> Any:
    """Some are cancelled, some come late."""
    process: Any = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
    waiters = [asyncio.ensure_future(process.wait()) for _turn in range(5)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    waiters[3].cancel()
    await asyncio.sleep(0)
    process.stdin.close()
    told = await asyncio.gather(*waiters, return_exceptions=True)
    return [repr(one) for one in told], await process.wait()


@case
async def wait_that_times_out(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("sleep", "1000")
    try:
        await asyncio.wait_for(process.wait(), 0.001)
    except TimeoutError:
        process.kill()
        return "timed out", await process.wait()


@case
async def communicate_cancelled(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("sleep", "1000", stdin=PIPE, stdout=PIPE)
    task = asyncio.ensure_future(process.communicate(b"text"))
    await asyncio.sleep(0)
    task.cancel()
    told = await asyncio.gather(task, return_exceptions=True)
    process.kill()
    await process.wait()
    process._transport.close()  # type: ignore[attr-defined]
    return repr(told[0])


@case
async def looks(_: pathlib.Path) -> Any:
    """The representation of a process, and its classes."""
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    return (
        repr(process).replace(str(process.pid), "PID"),
        isinstance(process, asyncio.subprocess.Process),
        isinstance(process._transport, asyncio.SubprocessTransport),  # type: ignore[attr-defined]
        isinstance(process._protocol, asyncio.subprocess.SubprocessStreamProtocol),  # type: ignore[attr-defined]
        process._transport.get_pid() == process.pid,  # type: ignore[attr-defined]
        process._transport.get_returncode(),  # type: ignore[attr-defined]
    )


@case
async def attributes_refused(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    process.returncode = 5  # type: ignore[misc]


@case
async def popen_view(_: pathlib.Path) -> Any:
    """What the transport gives as the Popen of a running child."""
    process: Any = await asyncio.create_subprocess_exec("cat", "-", stdin=PIPE, stdout=PIPE)
    view = process._transport.get_extra_info("subprocess")
    told = [
        isinstance(view, subprocess.Popen),
        view.args,
        view.pid == process.pid,
        view.returncode,
        view.poll(),
        [
            stream and (stream.readable(), stream.writable(), stream.isatty())
            for stream in (view.stdin, view.stdout, view.stderr)
        ],
        [os.get_blocking(stream.fileno()) for stream in (view.stdin, view.stdout)],
        [os.get_inheritable(stream.fileno()) for stream in (view.stdin, view.stdout)],
    ]
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        view.wait(timeout=0.001)
    told.append(str(caught.value))
    await process.communicate(b"")
    return [*told, await process.wait(), view.returncode, view.poll(), view.wait()]


@case
async def popen_view_of_a_shell(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_shell("read x", stdin=PIPE)
    view = process._transport.get_extra_info("subprocess")  # type: ignore[attr-defined]
    view.kill()
    return view.args, await process.wait(), process._transport.get_extra_info("nothing", 5)  # type: ignore[attr-defined]


@case
async def pipe_as_a_file(_: pathlib.Path) -> Any:
    process: Any = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    files = [process._transport.get_pipe_transport(fd).get_extra_info("pipe") for fd in (0, 1)]
    told = [
        (file.closed, file.fileno() > 2, os.readlink(f"/proc/self/fd/{file.fileno()}").partition(":")[0]) for file in files
    ]
    same = process.stdin.get_extra_info("pipe") is files[0]
    await process.communicate(b"")
    return told, same, [file.closed for file in files]


_AUDITED: collections.deque[Any] = collections.deque(maxlen=16)  # a hook stays for good


@functools.cache  # hooks stay
def _audit() -> None:
    sys.addaudithook(lambda event, arguments: _AUDITED.append(arguments) if event == "subprocess.Popen" else None)


@case
async def audited(_: pathlib.Path) -> Any:
    """The audit event of a launch, of a search, of a shell, of a failure."""
    _audit()
    _AUDITED.clear()
    await run("true", "x", cwd="/", env={"PATH": "/usr/bin:/bin"})
    await run_shell("true")
    await run("name", executable="/bin/true")
    with contextlib.suppress(FileNotFoundError):
        await run(pathlib.Path("/nonexistent"), b"x")
    return list(_AUDITED)


# ---- transports and their protocol ------------------------------------------------------------------------------------


def order(protocol: Recorder) -> dict[str, Any]:
    """Of the calls of a protocol, what is promised: their number, and who comes before whom."""
    calls = protocol.calls
    others = [call for call in calls if call[0] != "data"]  # type: ignore[index]
    places = {call: place for place, call in enumerate(calls)}  # the last of each
    return {
        "first": calls[0],
        "last": calls[-1],
        "calls": sorted(collections.Counter(others).items(), key=repr),
        "data first": all(places.get(("data", fd), -1) < place for (_, *fds), place in places.items() for fd in fds),
        "output": dict(protocol.output),
    }


async def calls(*command: Any, **options: Any) -> Any:
    """A protocol's calls up to `connection_lost`."""
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(Recorder, *command, **options)
    made = protocol.calls[0]
    if transport.get_pipe_transport(0):
        transport.get_pipe_transport(0).close()
    await protocol.lost
    found = order(protocol), made, transport.get_returncode(), transport.is_closing(), protocol.transport is transport
    transport.close()
    return *found, transport.is_closing()


CASES.calling("calls, of a program that prints", calls, *child("write", 10))
CASES.calling("calls, of a program that prints errors", calls, *child("write", 10, 2))
CASES.calling("calls, of much output", calls, *child("write", 300_000))
CASES.calling("calls, of nothing", calls, "true")
CASES.calling("calls, without pipes", calls, "true", stdin=None, stdout=None, stderr=None)
CASES.calling("calls, with one pipe", calls, "echo", "text", stdin=None, stderr=None)
CASES.calling("calls, of both streams in one", calls, "sh", "-c", "echo out; echo err >&2", stderr=STDOUT)
CASES.calling("calls, of a program that is killed", calls, "sh", "-c", "echo text; kill -9 $$")
CASES.calling("calls, of input that ends", calls, *child("count"))


@case
async def streams_of_loop_subprocess_exec(_: pathlib.Path) -> Any:
    """All three are pipes where nothing is said."""
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(Recorder, "true")
    pipes = [transport.get_pipe_transport(fd) is not None for fd in range(3)]
    await protocol.lost
    transport.close()
    return pipes


@case
async def shell_s_calls(_: pathlib.Path) -> Any:
    transport, protocol = await asyncio.get_running_loop().subprocess_shell(Recorder, "echo 1", stdin=None)
    await transport._wait()  # type: ignore[attr-defined]
    await protocol.lost
    transport.close()
    return order(protocol), transport.get_returncode()


@case
async def close_kills(_: pathlib.Path) -> Any:
    """A transport that is closed kills its child, whose exit is reported all the same."""
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(Recorder, "sleep", "1000")
    pid = transport.get_pid()
    told = [transport.is_closing()]
    transport.close()
    transport.close()
    told += [transport.is_closing(), transport.get_returncode()]
    await protocol.lost
    told += [transport.get_returncode(), order(protocol)]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    return told


@case
async def close_calls_kill(_: pathlib.Path) -> Any:
    """Through the Popen object, which programs replace methods of."""
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(Recorder, "sleep", "1000")
    view = transport.get_extra_info("subprocess")
    called, kill = [], view.kill
    view.kill = lambda: (called.append("kill"), kill())
    transport.close()
    await protocol.lost
    return called, transport.get_returncode()


if sys.version_info >= (3, 12):  # before, a thread of asyncio's takes the status away from the view

    @case
    async def close_does_not_kill_what_has_ended(_: pathlib.Path) -> Any:
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(Recorder, "sh", "-c", "exit 7")
        view = transport.get_extra_info("subprocess")
        called: list[str] = []
        view.kill = lambda: called.append("kill")
        view.wait()
        transport.close()
        await protocol.lost
        return called, view.returncode, order(protocol)["last"]


@case
async def protocol_exchanged(_: pathlib.Path) -> Any:
    """What comes after `set_protocol` goes to the new protocol."""
    loop = asyncio.get_running_loop()
    transport, first = await loop.subprocess_exec(Recorder, "cat", stderr=None)
    second = Recorder()
    transport.set_protocol(second)
    told = [transport.get_protocol() is second]
    transport.get_pipe_transport(0).write(b"text")
    transport.get_pipe_transport(0).close()
    await second.lost
    transport.close()
    return [*told, first.calls, order(second)["output"], second.calls[-1]]


@case
async def creation_cancelled(_: pathlib.Path) -> Any:
    """Killed and reaped before the cancellation is raised."""
    before = fresh.children()
    with _quiet():
        task = asyncio.ensure_future(asyncio.create_subprocess_exec("sleep", "1000", stdin=PIPE, stdout=PIPE))
        asyncio.get_running_loop().call_soon(task.cancel)
        told = await asyncio.gather(task, return_exceptions=True)
    return repr(told[0]), fresh.children() == before


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@case
async def grandchild_holds_the_pipe(_: pathlib.Path) -> Any:
    """The output goes on after the exit, as long as somebody can write."""
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(Recorder, *child("hold-pipe"), stderr=None)
    while b"\n" not in protocol.output[1]:  # noqa: ASYNC110 - the recorder has no event for it
        await asyncio.sleep(0)
    grandchild = int(protocol.output[1])
    transport.get_pipe_transport(0).close()
    await protocol.exited
    told = [("pipe lost", 1) in protocol.calls, ("lost",) in protocol.calls, transport.get_returncode()]
    os.kill(grandchild, signal.SIGKILL)
    await protocol.lost
    transport.close()
    return told, order(protocol)["calls"]


@case
async def descriptors_after_many_failures(_: pathlib.Path) -> Any:
    before = fresh.descriptors()
    for _turn in range(10):
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/nonexistent", stdin=PIPE, stdout=DEVNULL, stderr=PIPE)
        await asyncio.sleep(0)
    return fresh.descriptors() == before, fresh.children()


@case
async def descriptors_after_many_children(_: pathlib.Path) -> Any:
    for _turn in range(2):  # what a loop opens once and keeps is open then
        before = fresh.descriptors()
        for _launch in range(5):
            process = await asyncio.create_subprocess_exec("true", stdout=DEVNULL, stderr=DEVNULL)
            await process.wait()
            await _finished(process)
    return fresh.descriptors() == before, fresh.children()
