"""Failing together, and what is said of it: the end of standard error, bounded and without control characters."""

from __future__ import annotations

import asyncio
import pickle
import signal
import subprocess
from typing import Any

import pytest

import aiospawn
from aiospawn._commands.failures import last_lines

pytestmark = pytest.mark.loops("one")


async def test_last_lines() -> None:
    """Ten lines and 2,000 characters at most; what could move a terminal's cursor is escaped."""
    assert last_lines(None) == last_lines(b"") == last_lines("\n \n") == ""
    assert last_lines(b"one\ntwo\n") == "\nIts standard error ended with:\n  one\n  two"
    assert last_lines("".join(f"{number}\n" for number in range(100))).split() == [
        *["Its", "standard", "error", "ended", "with:"], *map(str, range(90, 100)),
    ]  # fmt: skip
    assert last_lines(b"\x1b[2J\x07\xff\t\xc3\xa4\r\n").endswith("  \\x1b[2J\\x07\\xff\tä")
    for long in (b"x" * 1_000_000, "\u20ac" * 1_000_000):
        assert len(last_lines(long)) < 2100


async def test_text_of_exceptions() -> None:
    """Of `run`, a result's check, `pipeline`, `map`; in bytes and in text. They are subprocess's, and can be pickled."""
    command = ["sh", "-c", "echo one >&2; echo two >&2; exit 3"]
    expected = "returned non-zero exit status 3.\nIts standard error ended with:\n  one\n  two"
    for text in (False, True):
        with pytest.raises(subprocess.CalledProcessError) as raised:
            await aiospawn.run(command, check=True, capture_output=True, text=text)
        assert str(raised.value).endswith(expected)
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
        with pytest.raises(aiospawn.CalledProcessError, match=expected):
            (await aiospawn.run(command, capture_output=True, text=text)).check_returncode()
        with pytest.raises(subprocess.CalledProcessError, match=expected):
            await aiospawn.pipeline(command, ["cat"], check=True, capture_output=True, text=text)
        with pytest.raises(subprocess.CalledProcessError, match=expected):
            [_ async for _ in aiospawn.map([command], check=True, capture_output=True, text=text)]
    with pytest.raises(subprocess.CalledProcessError, match=r"status 3\.$"):
        await aiospawn.run(command, check=True, stderr=aiospawn.DEVNULL)
    script = "echo one >&2; exec sleep 1000"
    with pytest.raises(subprocess.TimeoutExpired, match=r"after 0\.5 seconds\nIts standard error ended with:\n  one"):
        await aiospawn.run(["sh", "-c", script], timeout=0.5, capture_output=True)
    with pytest.raises(aiospawn.OutputLimitExceeded, match=r"max_output=4 bytes\nIts standard error ended with:\n  one"):
        await aiospawn.run(["sh", "-c", "echo one >&2; echo two >&2"], max_output=4, capture_output=True)


async def test_signal_of_a_result() -> None:
    """By its name; None for an exit, and for a signal without a name."""
    for script, number in (("kill -TERM $$", signal.SIGTERM), ("exit 15", None), ("kill -40 $$", None)):
        assert (await aiospawn.run(["sh", "-c", script])).signal == number
        assert [result.signal async for result in aiospawn.map([["sh", "-c", script]])] == [number]


# ---- ProcessGroup(check=True) -------------------------------------------------------------------------------------------


async def test_group_fails_together() -> None:
    """A process that fails ends the block, wherever that waits, and the others."""
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3") as raised:  # noqa: PT012
        async with aiospawn.ProcessGroup(check=True) as group:
            other = await group.spawn("sleep", "1000")
            await group.spawn("sh", "-c", "exit 3")
    assert raised.value.cmd == ["sh", "-c", "exit 3"]
    assert other.returncode == -signal.SIGTERM
    with pytest.raises(subprocess.CalledProcessError):  # noqa: PT012
        async with aiospawn.ProcessGroup(check=True) as group:
            other = await group.spawn("sleep", "1000")
            await group.spawn("false")
            await asyncio.Event().wait()
    assert other.returncode == -signal.SIGTERM
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_several_fail() -> None:
    """All of them are raised."""
    with pytest.raises(ExceptionGroup, match="2 processes of the group failed") as raised:  # noqa: PT012
        async with aiospawn.ProcessGroup(check=True) as group:
            processes = [await group.spawn("sh", "-c", f"read x; exit {code}", stdin=aiospawn.PIPE) for code in (3, 4)]
            for process in processes:
                process.stdin.close()  # type: ignore[union-attr]
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                for process in processes:
                    await process.wait()
                await asyncio.sleep(0)
                raise
    assert sorted(error.returncode for error in raised.value.exceptions) == [3, 4]  # type: ignore[attr-defined]


async def test_what_is_no_failure() -> None:
    """Success, who was stopped on purpose, and everything without `check`."""
    async with aiospawn.ProcessGroup(check=True) as group:
        await group.spawn("true")
        await (await group.spawn("sleep", "1000")).stop()
        await group.spawn("sleep", "1000")
        await group.stop()
    async with aiospawn.ProcessGroup() as group:
        await group.spawn("false")
    with pytest.raises(TypeError, match="check must be a bool, got 1"):
        aiospawn.ProcessGroup(check=1)  # type: ignore[arg-type]


async def test_what_the_block_raises_goes_on() -> None:
    """With a note of who failed; and so does a cancellation from outside."""
    with pytest.raises(KeyError) as raised:  # noqa: PT012
        async with aiospawn.ProcessGroup(check=True) as group:
            process = await group.spawn("sh", "-c", "exit 3")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise KeyError from None
    assert process.returncode == 3
    said = str(subprocess.CalledProcessError(3, ["sh", "-c", "exit 3"]))  # CPython 3.15 has fewer quotation marks
    assert raised.value.__notes__ == [said]

    async def cancelled() -> None:
        async with aiospawn.ProcessGroup(check=True) as group:
            await group.spawn("false")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task.cancel()
                raise

    task: asyncio.Task[Any] = asyncio.create_task(cancelled())
    with pytest.raises(asyncio.CancelledError):
        await task
