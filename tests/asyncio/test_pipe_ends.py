"""The parent's ends of the pipes: paused, held back, closed by the program, and never taken for another child's."""

import asyncio
import os
from typing import Any

import pytest
from recorder import Recorder

from aiospawn._binding.native import Native


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> list[Native]:
    """Grows by one with each poll."""
    counted, poll = [], Native.poll
    monkeypatch.setattr(Native, "poll", lambda native: (counted.append(native), poll(native))[1])
    return counted


class Paused(Recorder):
    """Pauses its standard output before any of it is read."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.get_pipe_transport(1).pause_reading()


async def _launched(protocol_factory: type[Recorder], program: str, **options: Any) -> Any:
    options = {"stderr": None, **options}
    return await asyncio.get_running_loop().subprocess_exec(protocol_factory, "/bin/sh", "-c", program, **options)


def _run_to_its_end_without_the_loop(transport: Any) -> None:
    transport.get_pipe_transport(0).write(b"go\n")
    os.waitid(os.P_PID, transport.get_pid(), os.WEXITED | os.WNOWAIT)


async def test_a_paused_pipe_whose_writer_is_gone_does_not_spin(polls: list[Native]) -> None:
    """A hang-up that nobody wants to hear of yet wakes nobody up; it comes when reading goes on."""
    transport, protocol = await _launched(Paused, "read line; echo text")
    transport.get_pipe_transport(0).write(b"go\n")
    await protocol.exited
    await asyncio.sleep(0)
    before = len(polls)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(polls) == before
    assert protocol.output == {}
    transport.get_pipe_transport(1).resume_reading()
    await protocol.lost
    transport.close()
    assert protocol.output == {1: b"text\n"}
    assert protocol.calls[-2:] == [("pipe lost", 1), ("lost",)]


async def test_idle_stdin_tells_its_end_once(polls: list[Native]) -> None:
    """A reader's end is reported once, and no event of the pipe follows."""
    transport, protocol = await _launched(Recorder, "exec <&-; echo closed; exec sleep 1000")
    while ("pipe lost", 0) not in protocol.calls:  # noqa: ASYNC110 - turns of the loop are what is looked at
        await asyncio.sleep(0)
    before = len(polls)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(polls) - before <= 1  # the output, if it came later
    assert protocol.calls.count(("pipe lost", 0)) == 1
    transport.close()
    await protocol.lost


@pytest.mark.parametrize("pauses_at", ["made", "data"])
async def test_what_was_read_before_a_pause_is_held(pauses_at: str) -> None:
    """Output and end that were on their way when reading paused come when it goes on, in their order and once."""
    pausing = []

    class Pausing(Recorder):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            super().pipe_data_received(fd, data)
            for pipe in pausing:
                pipe.pause_reading()

    first, first_protocol = await _launched(Pausing, "read line; echo first")
    second, second_protocol = await _launched(Pausing, "read line; echo second")
    # Its own pipe, whose end is in the same batch; or the other's, of which output and end are.
    pausing.append(second.get_pipe_transport(1))
    if pauses_at == "data":
        pausing.append(first.get_pipe_transport(1))
    for transport in first, second:
        _run_to_its_end_without_the_loop(transport)
    await second_protocol.exited
    for _ in range(20):
        await asyncio.sleep(0)
    assert second_protocol.output == {}
    assert ("pipe lost", 1) not in second_protocol.calls
    assert (("pipe lost", 1) in first_protocol.calls) is (pauses_at != "data")
    for pipe in pausing:
        pipe.resume_reading()
    for _ in range(20):
        await asyncio.sleep(0)
    assert second_protocol.output == {1: b"second\n"}  # and it paused again
    assert ("pipe lost", 1) not in second_protocol.calls
    for pipe in pausing:
        pipe.resume_reading()
    for transport, protocol, text in (first, first_protocol, b"first\n"), (second, second_protocol, b"second\n"):
        await protocol.lost
        transport.close()
        assert protocol.output == {1: text}
        assert protocol.calls.count(("pipe lost", 1)) == 1
        assert protocol.calls.index(("data", 1)) < protocol.calls.index(("pipe lost", 1))


async def test_resuming_for_a_moment_only() -> None:
    """Who pauses again at once gets nothing, however often; nothing is lost by it."""
    transport, protocol = await _launched(Recorder, "read line; echo text")
    pipe = transport.get_pipe_transport(1)
    pipe.pause_reading()
    _run_to_its_end_without_the_loop(transport)
    for _ in range(3):
        pipe.resume_reading()
        pipe.pause_reading()
        await asyncio.sleep(0)
    await protocol.exited
    assert protocol.output == {}
    pipe.resume_reading()
    await protocol.lost
    transport.close()
    assert protocol.output == {1: b"text\n"}


# ---- the pipe as a file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [False, True], ids=["reactor's pipe", "file's pipe"])
async def test_a_closed_file_hurts_no_other_child(asked: bool) -> None:
    """A user may close the pipe itself: the next child gets its number, and keeps its output when the first is closed."""
    source, sink = os.pipe()
    first, first_protocol = await _launched(Recorder, "exec sleep 1000")
    file = first.get_pipe_transport(1).get_extra_info("pipe")
    number = file.fileno()
    lower = []
    while (free := os.dup(source)) < number:
        lower.append(free)
    os.close(free)
    file.close()
    second, second_protocol = await _launched(Recorder, "cat", stdin=source)
    for descriptor in source, *lower:
        os.close(descriptor)
    assert os.readlink(f"/proc/self/fd/{number}").startswith("pipe:")  # the number is in use again
    if asked:
        assert second.get_pipe_transport(1).get_extra_info("pipe").fileno() == number
    first.close()
    await first_protocol.lost
    os.write(sink, b"text")
    os.close(sink)
    await second_protocol.lost
    second.close()
    assert second_protocol.output == {1: b"text"}
    assert first_protocol.calls.count(("pipe lost", 1)) == 1


async def test_a_file_closed_in_mid_batch_hurts_no_other_child() -> None:
    """Events of a pipe that was closed after they were read go to nobody, not to the pipe that has its number now."""
    second = []

    class Closing(Recorder):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            super().pipe_data_received(fd, data)
            other.get_pipe_transport(1).get_extra_info("pipe").close()
            second.append(asyncio.ensure_future(_launched(Recorder, "echo new")))

    one, one_protocol = await _launched(Closing, "read line; echo one")
    other, other_protocol = await _launched(Recorder, "read line; echo other")
    other.get_pipe_transport(1).get_extra_info("pipe")
    for transport in one, other:
        _run_to_its_end_without_the_loop(transport)
    await one_protocol.lost
    await other_protocol.lost
    new, new_protocol = await second[0]
    await new_protocol.lost
    assert one_protocol.output == {1: b"one\n"}
    assert other_protocol.output == {}
    assert new_protocol.output == {1: b"new\n"}
    for transport in one, other, new:
        transport.close()


async def test_a_duplicate_of_the_file_wakes_nobody(polls: list[Native]) -> None:
    """A user's duplicate keeps the pipe open after the file is closed; what comes through it is the user's alone."""
    transport, protocol = await _launched(Recorder, "cat")
    file = transport.get_pipe_transport(1).get_extra_info("pipe")
    duplicate = os.dup(file.fileno())
    os.set_blocking(duplicate, True)
    file.close()
    await asyncio.sleep(0)
    transport.get_pipe_transport(0).write(b"text")
    assert os.read(duplicate, 1) == b"t"
    before = len(polls)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(polls) == before
    transport.get_pipe_transport(0).write_eof()
    await protocol.lost
    transport.close()
    assert os.read(duplicate, 10) == b"ext"
    assert protocol.output == {}
    os.close(duplicate)


async def test_closing_the_file_closes_the_stream() -> None:
    """A program that closes stdin's descriptor ends the child's input; it is reported like any other end."""
    transport, protocol = await _launched(Recorder, "cat; echo end")
    transport.get_pipe_transport(0).get_extra_info("pipe").close()
    await protocol.lost
    transport.close()
    assert protocol.output == {1: b"end\n"}
    assert protocol.calls.count(("pipe lost", 0)) == 1


async def test_a_file_is_closed_with_its_stream() -> None:
    """At the end of the stream its file is closed, and the number belongs to nobody."""
    transport, protocol = await _launched(Recorder, "read line; echo text")
    files = [transport.get_pipe_transport(fd).get_extra_info("pipe") for fd in (0, 1)]
    transport.get_pipe_transport(0).write(b"go\n")
    await protocol.lost
    transport.close()
    assert [file.closed for file in files] == [True, True]
