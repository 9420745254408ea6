"""Output while the child runs: both streams, each line with its stream's name, bounded memory; and input meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
from typing import TYPE_CHECKING, Any

import fresh
import pytest

import aiospawn
from aiospawn._commands.capture import Capture
from aiospawn._commands.output_queue import OutputQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


# Each waits until the one before was seen: order does not depend on time.
_IN_TURN = """
import os, sys
for number in range(6):
    os.write(1 + number % 2, b'%d\\n' % number)
    os.read(0, 1)
os.write(1, b'no end')
"""
_TOLD = [("stdout" if number % 2 == 0 else "stderr", b"%d\n" % number) for number in range(6)]


class _Turns:
    """Standard input of a child that waits for each line to be seen."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self._taken: asyncio.Queue[None] = asyncio.Queue()

    def told(self, stream: str, part: Any) -> None:
        self.seen.append((stream, part))
        self._taken.put_nowait(None)

    async def input(self) -> AsyncIterator[bytes]:
        while True:
            await self._taken.get()
            yield b"."


async def _both(*args: Any, **keywords: Any) -> list[Any]:
    return [line async for line in aiospawn.lines(*args, both=True, **keywords)]


# ---- lines of both streams ----------------------------------------------------------------------------------------------


async def test_both_streams() -> None:
    """In the order in which they arrive, each with its stream's name, the last without an end."""
    turns = _Turns()
    async for stream, line in aiospawn.lines(fresh.command(_IN_TURN), both=True, input=turns.input()):
        turns.told(stream, line)
    assert turns.seen == [*_TOLD, ("stdout", b"no end")]


@pytest.mark.loops("one")
async def test_both_streams_on_the_loops_own_implementation(nothing_native: None) -> None:
    """The same where nothing is launched natively."""
    turns = _Turns()
    async for stream, line in aiospawn.lines(fresh.command(_IN_TURN), both=True, input=turns.input()):
        turns.told(stream, line)
    assert turns.seen == [*_TOLD, ("stdout", b"no end")]


@pytest.mark.loops("one")
async def test_both_streams_in_text() -> None:
    """Each decoded by itself: a character and a line of one are not cut by the other."""
    script = "printf '\\303'; printf '\\303' >&2; printf '\\244\\r\\n'; printf '\\266\\n' >&2"
    assert sorted(await _both(["sh", "-c", script], encoding="utf-8")) == [("stderr", "ö\n"), ("stdout", "ä\n")]


@pytest.mark.loops("one")
async def test_long_lines_of_both_streams() -> None:
    """Two lines of five million bytes, written at the same time."""
    script = "import os; [os.write(1 + n % 2, bytes([97 + n % 2]) * 5000) for n in range(2000)]; os.write(1, b'\\n')"
    found = dict(await _both(fresh.command(script)))
    assert found == {"stdout": b"a" * 5_000_000 + b"\n", "stderr": b"b" * 5_000_000}


@pytest.mark.loops("one")
async def test_max_line_of_either_stream() -> None:
    """What comes before it is iterated over."""
    seen = []
    with pytest.raises(aiospawn.LineTooLong):  # noqa: PT012
        async for stream, line in aiospawn.lines(["sh", "-c", "printf 'a\\n123456' >&2; sleep 1000"], both=True, max_line=5):
            seen.append((stream, line))
    assert seen == [("stderr", b"a\n")]


@pytest.mark.loops("one")
async def test_timeout_of_both_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says when it is stopped is iterated over, and what has no end is in the exception."""
    script = (
        "import os, signal, time\n"
        "def stopped(*_): os.write(1, b'stopped\\nout'); os.write(2, b'err'); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, stopped); os.write(2, b'ready\\n'); [time.sleep(0.05) for _ in iter(int, 1)]"
    )
    interrupt_after = Capture.interrupt_after
    waiting: list[Any] = []
    monkeypatch.setattr(Capture, "interrupt_after", lambda *arguments: waiting.append(arguments))  # a child may begin slowly
    seen: list[Any] = []
    with pytest.raises(subprocess.TimeoutExpired) as raised:  # noqa: PT012
        async for told in aiospawn.lines(fresh.command(script), both=True, timeout=0.1):
            seen.append(told)
            if waiting:
                interrupt_after(*waiting.pop())
    assert seen == [("stderr", b"ready\n"), ("stdout", b"stopped\n")]
    assert (raised.value.stdout, raised.value.stderr) == (b"out", b"err")


@pytest.mark.loops("one")
@pytest.mark.parametrize("both", [False, True])
async def test_slow_consumer(both: bool) -> None:
    """The child waits: what is kept is bounded."""
    reader, writer = os.pipe()
    script = (
        "import os\nfor _ in range(100): os.write(2, (b'x' * 999 + b'\\n') * 1000); os.write(1, b'y\\n'); os.write(3, b'.')"
    )
    if not both:
        script = script.replace("write(2", "write(1")
    try:
        async with contextlib.aclosing(_lines(fresh.command(script), both, fds={3: writer})) as lines:
            async for _ in lines:
                await asyncio.sleep(0.5)
                break
        os.set_blocking(reader, False)
        with contextlib.suppress(BlockingIOError):
            assert len(os.read(reader, 1000)) <= 2
    finally:
        os.close(reader)
        os.close(writer)


def _lines(command: list[str], both: bool, **keywords: Any) -> Any:
    return aiospawn.lines(command, both=True, **keywords) if both else aiospawn.lines(command, **keywords)


@pytest.mark.loops("one")
async def test_everything_arrives() -> None:
    """However often the reader was slower than the child: nothing is lost, nothing is twice."""
    script = (
        "import os\nfor n in range(200): os.write(1 + n % 2, b''.join(b'%d\\n' % m for m in range(n * 900, n * 900 + 900)))"
    )
    seen: dict[str, list[int]] = {"stdout": [], "stderr": []}
    async for stream, line in aiospawn.lines(fresh.command(script), both=True):
        seen[stream].append(int(line))
        if not len(seen[stream]) % 5000:
            await asyncio.sleep(0.01)
    for stream, first in (("stdout", 0), ("stderr", 1)):
        assert seen[stream] == [m for n in range(first, 200, 2) for m in range(n * 900, n * 900 + 900)]


@pytest.mark.loops("one")
async def test_leaving_in_the_middle_of_a_block() -> None:
    """A plain `break` and `aclose` stop the child; nothing comes after that."""
    events: list[Any] = []
    lines = aiospawn.lines(["yes"], both=True, on_event=events.append)
    assert await anext(lines) == ("stdout", b"y\n")
    await lines.aclose()
    assert isinstance(events[-1], aiospawn.Exited)
    with pytest.raises(StopAsyncIteration):
        await anext(lines)
    thrown = aiospawn.lines(["yes"], both=True, on_event=events.append)
    await anext(thrown)
    with pytest.raises(KeyError):
        await thrown.athrow(KeyError)
    assert isinstance(events[-1], aiospawn.Exited)


@pytest.mark.loops("one")
@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"both": 1}, TypeError, "both must be a bool, got 1"),
        ({"both": True, "stderr": aiospawn.STDOUT}, ValueError, "both=True and stderr=-2: standard error is one of both"),
        ({"stderr": aiospawn.PIPE}, ValueError, "both=True has the lines of both"),
        ({"input": b"", "stdin": aiospawn.DEVNULL}, ValueError, "stdin and input"),
        (
            {"input": "text"},
            TypeError,
            "input must be a contiguous bytes-like object, not str: pass text=True, or encode it",
        ),
    ],
)
async def test_bad_arguments_of_lines(keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    """Refused by the call."""
    with pytest.raises(error, match=message):
        aiospawn.lines(["true"], **keywords)


# ---- run: functions that are called -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["on_line", "on_output"])
async def test_told_while_it_runs(name: str) -> None:
    """In order, each with its stream's name; and captured only on request."""
    turns = _Turns()
    keywords: Any = {name: turns.told}
    result = await aiospawn.run(fresh.command(_IN_TURN), input=turns.input(), **keywords)
    assert turns.seen == [*_TOLD, ("stdout", b"no end")]
    assert (result.stdout, result.stderr) == (None, None)


@pytest.mark.loops("one")
async def test_told_and_captured() -> None:
    """Of each stream what was asked for, in text by itself."""
    seen: list[Any] = []
    command = ["sh", "-c", "printf 'a\\r\\nb'; echo c >&2"]
    result = await aiospawn.run(command, on_line=lambda *told: seen.append(told), capture_output=True, text=True)
    assert (result.stdout, result.stderr, sorted(seen)) == (
        "a\nb",
        "c\n",
        [("stderr", "c\n"), ("stdout", "a\n"), ("stdout", "b")],
    )
    seen.clear()
    merged = await aiospawn.run(
        command, on_output=lambda *told: seen.append(told), stdout=aiospawn.PIPE, stderr=aiospawn.STDOUT
    )
    assert (merged.stdout, merged.stderr) == (b"a\r\nbc\n", None)
    assert b"".join(part for stream, part in seen if stream == "stdout") == merged.stdout
    seen.clear()
    await aiospawn.run(command, on_line=lambda *told: seen.append(told), stdout=aiospawn.DEVNULL)
    assert seen == [("stderr", b"c\n")]


@pytest.mark.loops("one")
@pytest.mark.parametrize("name", ["on_line", "on_output"])
async def test_coroutine_functions_are_awaited(name: str) -> None:
    """One after the other; meanwhile the child waits."""
    waiting = 0

    async def told(stream: str, part: bytes) -> None:
        nonlocal waiting
        waiting += 1
        await asyncio.sleep(0.001)
        assert waiting == 1
        seen.append((stream, part))
        waiting -= 1

    seen: list[Any] = []
    keywords: Any = {name: told}
    await aiospawn.run(["seq", "100"], **keywords)
    assert b"".join(part for _, part in seen).split() == [b"%d" % number for number in range(1, 101)]


@pytest.mark.loops("one")
@pytest.mark.parametrize("awaited", [False, True])
async def test_what_a_function_raises(awaited: bool) -> None:
    """It stops the child, and is raised when that is reaped."""
    events: list[Any] = []

    def told(_stream: str, _line: bytes) -> None:
        raise KeyError("told")

    async def told_later(_stream: str, _line: bytes) -> None:
        await asyncio.sleep(0)
        raise KeyError("told")

    with pytest.raises(KeyError, match="told"):
        await aiospawn.run(["yes"], on_line=told_later if awaited else told, on_event=events.append)
    assert isinstance(events[-1], aiospawn.Exited)
    with pytest.raises(KeyError, match="told"):  # when the child has ended
        await aiospawn.run(["printf", "no end"], on_line=told_later if awaited else told)


@pytest.mark.loops("one")
async def test_a_function_that_never_comes_back() -> None:
    """It holds up neither a timeout nor a cancellation."""

    async def told(_stream: str, _line: bytes) -> None:
        await asyncio.Event().wait()

    with pytest.raises(subprocess.TimeoutExpired) as raised:
        await aiospawn.run(["sh", "-c", "echo a; exec sleep 1000"], on_line=told, timeout=0.3, capture_output=True)
    assert raised.value.stdout == b"a\n"
    task = asyncio.create_task(aiospawn.run(["yes"], on_line=told))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.loops("one")
async def test_a_slow_function_keeps_the_whole_output() -> None:
    """`pipe_grace` is for pipes that others hold, not for those that are not read."""
    seen = bytearray()

    async def told(_stream: str, part: bytes) -> None:
        seen.extend(part)
        await asyncio.sleep(0.05)

    script = "import os; os.write(1, b'x' * 1_200_000)"
    result = await aiospawn.run(fresh.command(script), on_output=told, pipe_grace=0.05)
    assert (len(seen), result.complete) == (1_200_000, True)


@pytest.mark.loops("one")
async def test_the_grace_ends_where_reading_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not read for the reader's sake is read, also where the timer comes before it can be."""
    end, resume, paused, ends = Capture._end, OutputQueue._resume, 0.0, 0

    def ended(child: Capture) -> None:
        nonlocal paused
        end(child)
        assert child.output_queue is not None
        paused = child.output_queue.paused

    def resumed(queue: OutputQueue) -> None:
        nonlocal ends
        child: Any = queue._paused
        resume(queue)
        if child is not None and child.returncode is not None:
            child._give_pipes_up(paused)
            ends += 1

    async def told(_stream: str, part: bytes) -> None:
        seen.extend(part)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(Capture, "_end", ended)
    monkeypatch.setattr(OutputQueue, "_resume", resumed)
    seen = bytearray()
    result = await aiospawn.run(fresh.command("import os; os.write(1, b'x' * 1_200_000)"), on_output=told, pipe_grace=1000)
    assert ends
    assert (len(seen), result.complete) == (1_200_000, True)


@pytest.mark.loops("one")
async def test_limit_and_failed_launch() -> None:
    """`max_output` counts what is read, and no function is called with more. A failed launch is raised."""
    seen = bytearray()
    with pytest.raises(aiospawn.OutputLimitExceeded):
        await aiospawn.run(["yes"], on_output=lambda _, part: seen.extend(part), max_output=1001)
    assert len(seen) == 1001
    with pytest.raises(FileNotFoundError):
        await aiospawn.run(["/nonexistent"], tee=True)


@pytest.mark.loops("one")
async def test_bad_arguments_of_run() -> None:
    """Refused before anything is made."""
    for keywords, error, message in (
        ({"on_line": 5}, TypeError, "on_line must be callable or None, got 5"),
        ({"on_output": "x"}, TypeError, "on_output must be callable or None, got 'x'"),
        ({"tee": 1}, TypeError, "tee must be a bool, got 1"),
        ({"tee": True, "capture_output": "file"}, ValueError, 'capture_output="file": on_output, on_line'),
    ):
        with pytest.raises(error, match=message):
            await aiospawn.run(["true"], **keywords)  # type: ignore[arg-type]


# ---- tee ----------------------------------------------------------------------------------------------------------------

_TEE = """
import asyncio, sys, aiospawn
async def main():
    ticks = 0
    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)
    ticking = asyncio.create_task(tick())
    result = await aiospawn.run(["sh", "-c", sys.argv[1]], tee=True, capture_output=True)
    open(sys.argv[2], "w").write(f"{len(result.stdout)} {len(result.stderr)} {ticks}")
with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_tee(kind: str, tmp_path: Path) -> None:
    """To descriptors 1 and 2, whole; the loop goes on while nobody reads them."""
    script = "head -c 1000000 /dev/zero; echo error >&2"
    command = fresh.command(_TEE, script, tmp_path / "report", flags=["-P"])
    if kind == "file":
        with open(tmp_path / "out", "wb") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=True)
        written = (tmp_path / "out").read_bytes()
    else:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as program:
            assert program.stdout is not None
            first = program.stdout.read(1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(0.5)  # nobody reads
            rest, errors = program.communicate()
        written, done = first + rest, subprocess.CompletedProcess(command, program.returncode, b"", errors)
    assert (done.returncode, done.stderr, len(written)) == (0, b"error\n", 1_000_000)
    out_size, error_size, ticks = map(int, (tmp_path / "report").read_text().split())
    assert (out_size, error_size) == (1_000_000, 6)
    if kind == "pipe":
        assert ticks > 5


# ---- input --------------------------------------------------------------------------------------------------------------


async def _numbers(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d\n" % number


async def test_input_as_it_comes() -> None:
    """Of `run` and `lines`, and more than a pipe holds."""
    result = await aiospawn.run(["cat"], input=_numbers(50_000), capture_output=True)
    assert result.stdout == b"".join([b"%d\n" % number for number in range(50_000)])
    assert [line async for line in aiospawn.lines(["cat"], input=_numbers(3))] == [b"0\n", b"1\n", b"2\n"]
    assert [line async for line in aiospawn.lines(["cat"], input=b"once\n")] == [b"once\n"]


@pytest.mark.loops("one")
async def test_input_on_the_loops_own_implementation(nothing_native: None) -> None:
    """The same there."""
    result = await aiospawn.run(["cat"], input=_numbers(50_000), capture_output=True)
    assert result.stdout == b"".join([b"%d\n" % number for number in range(50_000)])


@pytest.mark.loops("one")
async def test_input_is_not_read_ahead() -> None:
    """It is asked for what the child takes: a pipe's fill."""
    given = 0

    async def blocks() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"x" * 65536

    with pytest.raises(subprocess.TimeoutExpired):
        await aiospawn.run(["sleep", "1000"], input=blocks(), timeout=0.3)
    assert given < 10


@pytest.mark.loops("one")
async def test_input_that_nobody_reads() -> None:
    """Is no error, and its generator is closed."""
    closed = False

    async def endless() -> AsyncIterator[str]:
        nonlocal closed
        try:
            while True:
                yield "ä\n"
                await asyncio.sleep(0)
        finally:
            closed = True

    result = await aiospawn.run(["head", "-n", "1"], input=endless(), capture_output=True, encoding="utf-8")
    assert (result.stdout, closed) == ("ä\n", True)


@pytest.mark.loops("one")
async def test_input_that_fails() -> None:
    """What its source raises stops the child and is raised, and so is a part of the wrong kind."""

    async def failing() -> AsyncIterator[Any]:
        yield b"a\n"
        raise KeyError("source")

    with pytest.raises(KeyError, match="source"):
        await aiospawn.run(["sleep", "1000"], input=failing())
    with pytest.raises(KeyError, match="source"):
        await _both(["sh", "-c", "cat; sleep 1000"], input=failing())
    with pytest.raises(TypeError, match="each part of input must be a str in text mode, not bytes"):
        await aiospawn.run(["sleep", "1000"], input=failing(), text=True)


# ---- map ----------------------------------------------------------------------------------------------------------------


@pytest.mark.loops("one")
async def test_lines_of_a_map() -> None:
    """Each with its command, while that runs."""
    seen: list[aiospawn.MapLine] = []
    commands = [["sh", "-c", f"echo {number}; echo error {number} >&2"] for number in range(5)]
    async with aiospawn.map(commands, on_line=seen.append, concurrency=3, text=True) as results:
        assert [result.stdout async for result in results] == [None] * 5
    assert sorted((told.number, told.stream, told.line) for told in seen) == [
        told for number in range(5) for told in ((number, "stderr", f"error {number}\n"), (number, "stdout", f"{number}\n"))
    ]
    assert all(told.command == commands[told.number] for told in seen)


@pytest.mark.loops("one")
@pytest.mark.parametrize("awaited", [False, True])
async def test_what_a_function_of_a_map_raises(awaited: bool) -> None:
    """It is the end of the map, and no result."""

    def told(_: aiospawn.MapLine) -> None:
        raise ValueError("told")

    async def told_later(_: aiospawn.MapLine) -> None:
        raise ValueError("told")

    with pytest.raises(ValueError, match="told"):
        async for _ in aiospawn.map([["yes"], ["sleep", "1000"]], concurrency=2, on_line=told_later if awaited else told):
            pass
    with pytest.raises(TypeError, match="no on_output"):
        aiospawn.map([], on_output=print)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="input must be bytes or a str, the same for each command"):
        aiospawn.map([], input=_numbers(1))  # type: ignore[arg-type]


# ---- memory -------------------------------------------------------------------------------------------------------------

_MEMORY = """
import asyncio, resource, sys, aiospawn
async def main():
    count = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    def told(stream, line):
        nonlocal count
        count += 1
    if sys.argv[1] == "run":
        await aiospawn.run(["head", "-n", "2000000", sys.argv[2]], on_line=told)
    else:
        async for stream, line in aiospawn.lines(["head", "-n", "2000000", sys.argv[2]], both=True):
            count += 1
    assert count == 500_000, count
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["run", "lines"])
def test_bounded_memory(way: str, tmp_path: Path) -> None:
    """40 MB of lines take less than 8 MB."""
    with open(tmp_path / "lines", "wb") as file:
        file.write((b"x" * 79 + b"\n") * 500_000)
    done = subprocess.run(
        fresh.command(_MEMORY, way, tmp_path / "lines", flags=["-P"]), capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 8 * 1024


@pytest.mark.loops("one")
async def test_dropped() -> None:
    """Whoever drops the iterator drops the child."""
    events: list[Any] = []
    lines = aiospawn.lines(["yes"], both=True, on_event=events.append)
    await anext(lines)
    del lines
    gc.collect()
    # The generator's closing is a task of asyncio's, which may go on behind the child's end.
    while not isinstance(events[-1], aiospawn.Exited) or asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
