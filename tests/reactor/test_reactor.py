"""The rules of the reactor: the events of a wake-up are reported completely, once, in order and fairly."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Never

import fresh
import pytest
from recorder import Recorder

import aiospawn
from aiospawn._binding.native import Native

_BATCH = 128  # epoll events that one poll handles


@pytest.fixture
def loop(variant: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that the test runs itself."""
    name, _, spawn = variant.partition("-")
    monkeypatch.setenv("AIOSPAWN_SPAWN", spawn)
    if name == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    loop = aiospawn.new_uvloop_event_loop() if name == "uvloop" else aiospawn.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> list[Native]:
    """Grows by one with each poll."""
    counted, poll = [], Native.poll
    monkeypatch.setattr(Native, "poll", lambda native: (counted.append(native), poll(native))[1])
    return counted


def wait_without_the_loop(pid: int) -> None:
    """Until the process has exited; it stays a zombie. No callback runs meanwhile, so all its events come at once."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


# ---- interrupted wake-ups ---------------------------------------------------------------------------------------------

_WHOLE = [("made",), ("data", 1), ("data", 2), ("exited",), ("lost",), ("pipe lost", 0), ("pipe lost", 1), ("pipe lost", 2)]


async def _launched(count: int) -> Any:
    """Children that do all they have to do when they are sent a line."""
    loop = asyncio.get_running_loop()
    program = "read line; echo $line; echo $line >&2; exit 5"
    return [(await loop.subprocess_exec(Recorder, "/bin/sh", "-c", program))[1] for _ in range(count)]


def _ready_at_once(protocols: list[Recorder]) -> None:
    for protocol in protocols:
        protocol.transport.get_pipe_transport(0).write(b"word\n")
        wait_without_the_loop(protocol.transport.get_pid())


async def _told_everything(protocols: list[Recorder]) -> None:
    # Turns are counted, not time: everything is ready, so a callback that is still due after these will never come.
    for _ in range(100):
        if all(protocol.lost.done() for protocol in protocols):
            return
        await asyncio.sleep(0)


def _run_through(loop: asyncio.AbstractEventLoop, coroutine: Any) -> int:
    """Runs it to its end, through interrupts. How many came?"""
    task, count = loop.create_task(coroutine), 0
    while not task.done():
        try:
            loop.run_until_complete(task)
        except KeyboardInterrupt:
            count += 1
        except RuntimeError as error:
            # uvloop stops once more after it was interrupted.
            assert str(error) == "Event loop stopped before Future completed."  # noqa: PT017
    return count


def _run(loop: asyncio.AbstractEventLoop, coroutine: Any) -> Any:
    task = loop.create_task(coroutine)
    _run_through(loop, asyncio.wait([task]))
    return task.result()


def _assert_whole(protocols: list[Recorder]) -> None:
    for protocol in protocols:
        assert sorted(protocol.calls) == sorted(_WHOLE)
        assert protocol.calls[0] == ("made",)
        assert protocol.calls[-1] == ("lost",)
        assert protocol.output == {1: b"word\n", 2: b"word\n"}
        assert protocol.transport.get_returncode() == 5
        protocol.transport.close()


@contextlib.contextmanager
def _interrupt_at(position: int) -> Iterator[None]:
    """KeyboardInterrupt strikes when the reactor comes to its line of that number, once."""
    lines, before = 0, sys.gettrace()

    def in_reactor(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == position:
                raise KeyboardInterrupt
        return in_reactor

    def trace(frame: Any, event: str, argument: Any) -> Any:
        return in_reactor if frame.f_code.co_filename.endswith("/aiospawn/_asyncio/reactor.py") else None

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_an_interrupt_anywhere_in_a_wake_up_loses_and_doubles_nothing(loop: asyncio.AbstractEventLoop) -> None:
    """Wherever in the reactor KeyboardInterrupt strikes, every event of each child of the batch is reported once."""
    position, interrupted = 0, 1
    while interrupted:
        position += 1
        protocols = _run(loop, _launched(2))
        _ready_at_once(protocols)
        with _interrupt_at(position):
            interrupted = _run_through(loop, _told_everything(protocols))
        _assert_whole(protocols)
    assert position > 40


async def _launched_with_streams(count: int) -> Any:
    program = "read line; echo $line; echo $line >&2; exit 5"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return [await asyncio.create_subprocess_exec("/bin/sh", "-c", program, **pipes) for _ in range(count)]


async def _read_and_reaped(processes: Any, outcomes: list[Any]) -> None:
    for process in processes:
        output = [await stream.read() for stream in (process.stdout, process.stderr)]
        outcomes.append((*output, await process.wait()))


def test_an_interrupt_anywhere_hurts_no_stream(loop: asyncio.AbstractEventLoop) -> None:
    """asyncio's streams, which are fed without a callback of the loop, lose and double nothing either."""
    position, interrupted = 0, 1
    while interrupted:
        position += 1
        processes = _run(loop, _launched_with_streams(2))
        for process in processes:
            process.stdin.write(b"word\n")
            wait_without_the_loop(process.pid)
        outcomes: list[Any] = []
        with _interrupt_at(position):
            interrupted = _run_through(loop, _read_and_reaped(processes, outcomes))
        assert outcomes == [(b"word\n", b"word\n", 5)] * 2, position
    assert position > 40


@pytest.mark.parametrize("handed_over", [False, True], ids=["before it is posted", "after it is posted"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_event_that_could_not_be_posted_is_not_lost(
    loop: asyncio.AbstractEventLoop, handed_over: bool, error: type[BaseException]
) -> None:
    """When `call_soon` raises at any event of a batch, before or after it took the callback, each event is reported once."""
    call_soon, countdown, reported = loop.call_soon, -1, []

    def raising(callback: Any, *arguments: Any, **keywords: Any) -> Any:
        nonlocal countdown
        strikes = getattr(callback, "__qualname__", "") == "Mailbox.on_event" and countdown == 0
        if getattr(callback, "__qualname__", "") == "Mailbox.on_event":
            countdown -= 1
        if not strikes or handed_over:
            handle = call_soon(callback, *arguments, **keywords)
        if strikes:
            raise error
        return handle

    loop.call_soon = raising
    loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    events = 2 * 6  # of each child: two streams with data and end, the loss of stdin's reader, the exit
    for position in range(events):
        protocols = _run(loop, _launched(2))
        _ready_at_once(protocols)
        countdown = position
        struck = _run_through(loop, _told_everything(protocols))
        assert struck + len(reported) == 1, position
        reported.clear()
        _assert_whole(protocols)


async def _immediate(launch: Any) -> bool:
    process = await launch("true")
    await process.wait()
    immediate: bool = process._transport.immediate
    process._transport.set_protocol(process._protocol)
    assert not process._transport.immediate
    return immediate


async def test_who_is_told_at_once() -> None:
    """The streams of asyncio's function and of ours; no other protocol, and nobody where a log's handlers may look on."""
    loop = asyncio.get_running_loop()
    assert await _immediate(asyncio.create_subprocess_exec)
    assert await _immediate(aiospawn.create_subprocess_exec)
    transport: Any = (await loop.subprocess_exec(Recorder, "true", stdin=None, stdout=None, stderr=None))[0]
    await transport._wait()
    assert not transport.immediate
    transport.close()
    loop.set_debug(True)
    assert not await _immediate(aiospawn.create_subprocess_exec)


class _Raising(Recorder):
    def told(self, *call: object) -> Never:
        super().told(*call)
        raise ZeroDivisionError

    def process_exited(self) -> None:
        self.exited.set_result(None)
        super().process_exited()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)
        super().connection_lost(exc)


async def test_a_raising_protocol_hurts_nobody() -> None:
    """A protocol that raises in every call still gets all of them, and so does the child beside it."""
    loop, errors = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    program = "read line; echo $line; echo $line >&2; exit 5"
    protocols = [(await loop.subprocess_exec(kind, "/bin/sh", "-c", program))[1] for kind in (_Raising, Recorder, _Raising)]
    _ready_at_once(protocols)
    await _told_everything(protocols)
    _assert_whole(protocols)
    for error in errors:  # of calls that fall due together, one exception is the other's context
        errors.extend(filter(None, [error.__context__]))
    assert [type(error) for error in errors] == [ZeroDivisionError] * 2 * len(_WHOLE)


async def test_calls_that_fall_due_together_are_made_though_one_raises() -> None:
    """The exit of a child whose pipes have all ended makes two calls at once: the second does not need the first."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    program = "exec <&- >&- 2>&-; exec sleep 1000"
    transport, protocol = await loop.subprocess_exec(_Raising, "/bin/sh", "-c", program)
    while sum(call[0] == "pipe lost" for call in protocol.calls) < 3:  # noqa: ASYNC110 - a list of calls is no event
        await asyncio.sleep(0)
    transport.kill()
    await protocol.exited
    assert protocol.lost.done()
    assert protocol.calls[-2:] == [("exited",), ("lost",)]
    transport.close()


# ---- fairness and order -----------------------------------------------------------------------------------------------


async def test_endless_writers_do_not_starve_a_quiet_child(polls: list[Native]) -> None:
    """With 64 pipes that are always full, each of them and the quiet child's are served in every poll."""
    loop, served = asyncio.get_running_loop(), []

    class Paused(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.get_pipe_transport(1).pause_reading()
            self.full = loop.create_future()

        def pipe_data_received(self, fd: int, data: bytes) -> None:
            if fd == 2:
                self.full.set_result(None)
            else:
                served.append((len(polls), self, len(data)))

    size = 256 * 1024  # sixteen times what a poll may give to one pipe of 64
    endless = f"read line; head -c {size} /dev/zero; echo full >&2; exec yes"
    started = [
        await loop.subprocess_exec(Paused, "/bin/sh", "-c", program, pipesize=size)
        for program in [endless] * 64 + ["read line; echo quiet; echo full >&2"]
    ]
    writers, quiet = [protocol for _, protocol in started[:-1]], started[-1][1]
    for transport, protocol in started:
        transport.get_pipe_transport(0).write(b"go\n")
        await protocol.full
    await quiet.exited
    first = len(polls) + 1
    for transport, _ in started:
        transport.get_pipe_transport(1).resume_reading()
    while len(polls) < first + 8:  # noqa: ASYNC110 - turns of the loop are what is looked at
        await asyncio.sleep(0)
    for polled in range(first, first + 8):
        now = [protocol for number, protocol, _ in served if number == polled]
        assert sorted(now, key=id) == sorted([*writers, quiet] if polled == first else writers, key=id)
        assert sum(length for number, _, length in served if number == polled) <= 1024 * 1024
    for transport, _ in started:
        transport.close()
    for _, protocol in started:
        await protocol.lost


async def test_started_comes_first() -> None:
    """However late a child is looked at, and however many are ready, `connection_made` comes before the rest."""
    loop = asyncio.get_running_loop()
    before = fresh.children()
    program = "echo text; echo text >&2; exit 5"
    creations = [asyncio.create_task(loop.subprocess_exec(Recorder, "/bin/sh", "-c", program)) for _ in range(_BATCH)]
    await asyncio.sleep(0)  # every child is cloned
    for pid in set(fresh.children()) - set(before):
        wait_without_the_loop(pid)
    for transport, protocol in await asyncio.gather(*creations):
        await protocol.lost
        transport.close()
        assert sorted(protocol.calls) == sorted(_WHOLE)
        assert protocol.calls[0] == ("made",)
        assert protocol.calls[-1] == ("lost",)
        assert protocol.output == {1: b"text\n", 2: b"text\n"}
