"""`system` and `popen` beside those of `os`."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

import aiospawn


@pytest.mark.parametrize(
    "command", ["true", "exit 3", "exit 255", "kill -9 $$", "kill -15 $$", "nonexistent-program 2>&1", ""]
)
async def test_system(command: str) -> None:
    """The wait status is os.system's."""
    status = await aiospawn.system(command, stdout=aiospawn.DEVNULL)
    assert status == os.system(f"{{ {command or ':'}\n}} >/dev/null" if "$$" not in command else command)  # noqa: ASYNC221 - compared


async def test_system_with_options() -> None:
    """Those of a launch."""
    assert await aiospawn.system('test "$NAME" = value && test $PWD = /', env={"NAME": "value"}, cwd="/") == 0


@pytest.mark.parametrize(
    "command", ["printf 'a\\r\\nb\\rc'", "true", "exit 3", "kill -9 $$", "echo x; exit 255", "seq 20000"]
)
async def test_popen_reads(command: str) -> None:
    """What is read, and what close() returns, is os.popen's."""
    theirs = os.popen(command)  # noqa: ASYNC220 - compared
    expected = theirs.read()
    expected_status = theirs.close()
    async with await aiospawn.popen(command) as ours:
        assert await ours.read() == expected
        assert not ours.closed
        assert await ours.close() == expected_status
        assert ours.closed
    lines = await aiospawn.popen(command)
    assert await lines.readlines() == expected.splitlines(keepends=True)
    assert await lines.close() == expected_status


async def test_popen_reads_in_pieces() -> None:
    """By size, by line, and the rest."""
    async with await aiospawn.popen("printf 'abc\\nde\\nf'") as pipe:
        assert await pipe.read(2) == "ab"
        assert await pipe.readline() == "c\n"
        assert await pipe.read(0) == ""
        assert await pipe.read(100) == "de\nf"
        assert await pipe.read() == ""
        assert await pipe.readline() == ""


async def test_popen_writes(tmp_path: Any) -> None:
    """What was written is there, and close() waits for the command."""
    target = tmp_path / "target"
    async with await aiospawn.popen(f"sleep 0.1; cat > {target}", "w", encoding="utf-8") as pipe:
        assert await pipe.write("\u20ac" * 100_000) == 100_000
        await pipe.writelines(["\n", "end"])
    assert target.read_text(encoding="utf-8") == "\u20ac" * 100_000 + "\nend"
    pipe = await aiospawn.popen("cat >/dev/null; exit 3", "w")
    assert await pipe.close() == 3 << 8


async def test_popen_nobody_reads() -> None:
    """A broken pipe is the writer's to hear, and not close()'s."""
    pipe = await aiospawn.popen("exec 0<&-; exit 2", "w")
    with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
        for _ in range(1000):
            await pipe.write("x" * 100_000)
    assert await pipe.close() == 2 << 8


async def test_popen_closed_early() -> None:
    """Who goes on writing gets SIGPIPE, as with os.popen."""
    pipe = await aiospawn.popen("exec yes")
    assert await pipe.readline() == "y\n"
    assert await pipe.close() == -13 << 8


async def test_popen_left_by_an_exception() -> None:
    """The command is stopped."""
    with pytest.raises(ArithmeticError):
        async with await aiospawn.popen("sleep 1000 & wait"):
            raise ArithmeticError
    closing = asyncio.create_task((await aiospawn.popen("sleep 1000")).close())
    await asyncio.sleep(0.05)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing


@pytest.mark.loops("one")
async def test_used_wrongly() -> None:
    """As files have it."""
    async with await aiospawn.popen("cat", "w") as writing, await aiospawn.popen("true") as reading:
        with pytest.raises(OSError, match="not readable"):
            await writing.read()
        with pytest.raises(OSError, match="not writable"):
            await reading.write("x")
        with pytest.raises(TypeError, match=r"write\(\) argument must be str, not bytes"):
            await writing.write(b"x")  # type: ignore[arg-type]
    for use in (lambda: writing.write("x"), reading.readline):
        with pytest.raises(ValueError, match="I/O operation on closed pipe"):
            await use()


@pytest.mark.loops("one")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: aiospawn.system(["true"]), TypeError, r"command must be a str or bytes, got \['true'\]"),
        (lambda: aiospawn.popen(b"true"), TypeError, "command must be a str, got b'true'"),
        (lambda: aiospawn.popen("true", "rw"), ValueError, 'mode must be "r" or "w", got \'rw\''),
        (lambda: aiospawn.popen("true", stdout=1), ValueError, "stdout=1: with mode 'r' that is the pipe"),
        (lambda: aiospawn.popen("true", "w", stdin=1), ValueError, "stdin=1: with mode 'w' that is the pipe"),
        (lambda: aiospawn.popen("true", stderr=-1), ValueError, "PIPE"),
        (lambda: aiospawn.popen("true", encoding="nonsense"), LookupError, "nonsense"),
        (lambda: aiospawn.popen("true", pty=True), ValueError, "pty=True"),
    ],
)
async def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    """Refused before anything is launched."""
    with pytest.raises(error, match=message):
        await call()


async def test_events() -> None:
    """The shell's."""
    events: list[Any] = []
    async with await aiospawn.popen("exit 3", on_event=events.append, event_arguments=True) as pipe:
        pid = pipe.pid
    assert [type(event) for event in events] == [aiospawn.Spawned, aiospawn.Executed, aiospawn.Exited]
    assert events[0].args == "exit 3"
    assert {event.pid for event in events} == {pid}
    assert events[2].returncode == 3
