"""Lines as they come, of any length, in bounded memory; leaving early stops the child."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from typing import Any

import fresh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aiospawn
from aiospawn._commands.capture import Capture
from aiospawn._commands.line_reader import LineReader
from aiospawn._commands.results import Text


async def collected(*args: Any, **keywords: Any) -> list[Any]:
    return [line async for line in aiospawn.lines(*args, **keywords)]


async def test_lines() -> None:
    """In bytes and in text, with their ends, and the last without."""
    script = "printf 'one\\r\\ntwo\\n\\nthree'"
    assert await collected(["sh", "-c", script]) == [b"one\r\n", b"two\n", b"\n", b"three"]
    assert await collected(script, shell=True, text=True) == ["one\n", "two\n", "\n", "three"]
    assert await collected(["true"]) == []


async def test_long_lines() -> None:
    """A line of ten million bytes, and many."""
    script = "import sys; sys.stdout.write('x' * 10_000_000 + '\\n' + 'y' * 99_999 + '\\nz\\n')"
    lengths = [len(line) for line in await collected(fresh.command(script))]
    assert lengths == [10_000_001, 100_000, 2]
    assert await collected(["seq", "50000"]) == [b"%d\n" % number for number in range(1, 50_001)]


@pytest.mark.parametrize("text", [False, True])
async def test_max_line(text: bool) -> None:
    """So many are allowed, one more is not, with and without an end; the child is stopped."""
    keywords = {"text": text, "max_line": 5}
    assert len(await collected(["echo", "12345"], **keywords)) == 1
    for script in ("echo 123456; sleep 1000", "printf 123456; sleep 1000", "printf '1\\n123456\\n'; sleep 1000"):
        with pytest.raises(aiospawn.LineTooLong, match="wrote a line longer than max_line=5"):
            await collected(["sh", "-c", script], **keywords)


async def test_check() -> None:
    """A failure is raised when the lines are over, unless that is not asked for."""
    seen = []
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):  # noqa: PT012
        async for line in aiospawn.lines(["sh", "-c", "echo x; exit 3"]):
            seen.append(line)  # noqa: PERF401 - those before the exception
    assert seen == [b"x\n"]
    assert await collected(["sh", "-c", "echo x; exit 3"], check=False) == [b"x\n"]


async def test_leaving_stops_the_child() -> None:
    """Waited for with aclosing; soon otherwise."""
    events: list[Any] = []
    async with contextlib.aclosing(aiospawn.lines(["yes"], on_event=events.append)) as lines:
        async for line in lines:
            assert line == b"y\n"
            break
    assert isinstance(events[-1], aiospawn.Exited)
    events.clear()
    async for _ in aiospawn.lines(["yes"], on_event=events.append):
        break
    # The generator's closing is a task of asyncio's, which may go on behind the child's end.
    while not isinstance(events[-1], aiospawn.Exited) or asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_slow_consumer() -> None:
    """The child waits for it: it cannot write more than pipe and buffers hold."""
    reader, writer = os.pipe()
    script = "import os\nfor _ in range(100): os.write(1, (b'x' * 999 + b'\\n') * 1000); os.write(3, b'.')"
    try:
        command = fresh.command(script)
        async with contextlib.aclosing(aiospawn.lines(command, fds={3: writer})) as lines:
            async for _ in lines:
                await asyncio.sleep(1)
                break
        os.set_blocking(reader, False)
        with contextlib.suppress(BlockingIOError):
            assert len(os.read(reader, 1000)) <= 1
    finally:
        os.close(reader)
        os.close(writer)


async def test_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The consumer's own time does not interrupt it, and the child is stopped at the next line."""
    seen: list[bytes] = []
    interrupt_after = Capture.interrupt_after
    waiting: list[Any] = []
    monkeypatch.setattr(Capture, "interrupt_after", lambda *arguments: waiting.append(arguments))  # a child may begin slowly
    with pytest.raises(subprocess.TimeoutExpired, match=r"timed out after 0\.3 seconds"):  # noqa: PT012
        async for line in aiospawn.lines(["sh", "-c", "echo a; exec sleep 1000"], timeout=0.3):
            seen.append(line)
            interrupt_after(*waiting.pop())
    assert seen == [b"a\n"]


async def test_not_text() -> None:
    """Bytes that are none in the encoding raise, and the child is stopped."""
    with pytest.raises(UnicodeDecodeError):
        await collected(["sh", "-c", "printf '\\377\\n'; sleep 1000"], encoding="utf-8")


@pytest.mark.loops("one")
@pytest.mark.parametrize(
    ("args", "keywords", "error", "message"),
    [
        ([], {}, ValueError, "args must name a program"),
        ("ls -l", {}, ValueError, "args must be a list"),
        (["true"], {"max_line": -1}, ValueError, "max_line must not be negative, got -1"),
        (["true"], {"stderr": aiospawn.PIPE}, ValueError, r"stderr=-1 \(PIPE\): nobody would read it"),
        (["true"], {"timeout": -1}, ValueError, "timeout must not be negative"),
        (["true"], {"pty": True}, ValueError, "pty=True"),
        (["true"], {"nonsense": 1}, TypeError, "nonsense"),
    ],
)
async def test_bad_input(args: Any, keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    """Refused by the call, not where the iteration begins."""
    with pytest.raises(error, match=message):
        aiospawn.lines(args, **keywords)


@pytest.mark.loops("one")
async def test_no_program() -> None:
    """Told where the iteration begins, in the events of `run`."""
    events: list[Any] = []
    with pytest.raises(FileNotFoundError):
        await collected(["/nonexistent"], on_event=events.append)
    assert [type(event) for event in events] == [aiospawn.Spawned, aiospawn.LaunchFailed]


class _Pieces:
    """A stream that gives these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    async def read(self, size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="ab\r\n\u20ac").map(str.encode)), st.lists(st.integers(1, 5)), st.booleans())
def test_reader(pieces: list[bytes], sizes: list[int], text: bool) -> None:
    """However the bytes come, and however they are asked for, they are those of the file."""
    whole = b"".join(pieces)
    mode = Text("utf-8", "strict") if text else None
    expected: Any = mode.decoded(whole) if mode else whole
    cut = [whole[at : at + 3] for at in range(0, len(whole), 3)]  # within characters

    async def read() -> None:
        for parts in (pieces, cut):
            reader = LineReader(_Pieces(parts), mode)  # type: ignore[arg-type]
            some = [await reader.read(size) for size in sizes]
            lines = []
            while line := await reader.readline():
                lines.append(line)
            start = expected[:0].join(some)
            rest = expected[len(start) :]
            assert start + rest == expected
            end = "\n" if text else b"\n"
            assert lines == [part + end for part in rest.split(end)[:-1]] + list(filter(None, [rest.split(end)[-1]]))

    _finish(read())


def _finish(coroutine: Any) -> None:
    """Runs what never waits."""
    with contextlib.suppress(StopIteration):
        coroutine.send(None)
        raise AssertionError
