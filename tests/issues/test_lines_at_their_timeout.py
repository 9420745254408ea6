"""What a child wrote while it was being stopped was dropped by `lines`, and a prompt at which its time was over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from typing import Any

import fresh
import pytest

import aiospawn
from aiospawn._commands.capture import Capture, Ending

_PROMPT = "printf 'a\\nprompt> '; exec sleep 1000"
_LAST_WORDS = "trap 'echo bye; printf \"%s\"; exit' TERM; printf 'a\\nprompt> '; while :; do sleep 0.05; done"
_MANY = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("a", flush=True)
signal.sigwait({signal.SIGTERM})
with open(1, "wb") as out:
    out.writelines(b"%%d\\n" %% number for number in range(%d))
"""


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The lines. Until there is one the time does not run: a child may begin slowly."""
    seen: list[Any] = []
    interrupt_after = Capture.interrupt_after

    def later(child: Capture, delay: float, ending: Ending) -> None:
        if seen:
            interrupt_after(child, delay, ending)
        else:
            child.loop.call_later(0.01, later, child, delay, ending)

    monkeypatch.setattr(Capture, "interrupt_after", later)
    return seen


async def _expired(seen: list[Any], command: list[str], **keywords: Any) -> subprocess.TimeoutExpired:
    with pytest.raises(subprocess.TimeoutExpired) as caught:  # noqa: PT012
        async for line in aiospawn.lines(command, timeout=0.01, **keywords):
            seen.append(line)  # noqa: PERF401 - those before the exception
    return caught.value


@pytest.mark.parametrize("text", [False, True])
async def test_prompt(seen: list[Any], text: bool) -> None:
    """A line without its end is the exception's output, in the type of the lines."""
    expired = await _expired(seen, ["sh", "-c", _PROMPT], text=text)
    assert (seen, expired.output) == ((["a\n"], "prompt> ") if text else ([b"a\n"], b"prompt> "))


async def test_nothing_left(seen: list[Any]) -> None:
    """The output is None where there is none, as with `subprocess.run`."""
    expired = await _expired(seen, ["sh", "-c", "echo a; exec sleep 1000"])
    assert (seen, expired.output, expired.timeout) == ([b"a\n"], None, 0.01)
    seen.clear()
    expired = await _expired(seen, ["sh", "-c", "echo a; exec sleep 1000 >&-"])
    assert (seen, expired.output) == ([b"a\n"], None)


@pytest.mark.parametrize("rest", ["", "and"])
async def test_last_words(seen: list[Any], rest: str) -> None:
    """Lines while it is being stopped are lines."""
    expired = await _expired(seen, ["sh", "-c", _LAST_WORDS % rest], text=True, grace=1000)
    assert (seen, expired.output) == (["a\n", "prompt> bye\n"], rest or None)


async def test_many_last_words(seen: list[Any]) -> None:
    """All that a pipe and more can hold, also where the consumer is slow."""
    with pytest.raises(subprocess.TimeoutExpired):  # noqa: PT012
        async for line in aiospawn.lines(fresh.command(_MANY % 100_000), timeout=0.01, grace=1000):
            seen.append(line)
            if line.endswith(b"0000\n"):
                await asyncio.sleep(0.01)
    assert seen == [b"a\n", *(b"%d\n" % number for number in range(100_000))]


async def test_half_a_character(seen: list[Any]) -> None:
    """The time-out is what is raised: what is no text yet is escaped, also behind a line that is none."""
    script = "printf 'a\\n\\303\\244\\342\\202'; exec sleep 1000"
    expired = await _expired(seen, ["sh", "-c", script], encoding="utf-8")
    assert (seen, expired.output) == (["a\n"], "ä\\xe2\\x82")
    seen.clear()
    script = "trap 'printf \"\\342\\n\\342\"; exit' TERM; echo a; while :; do sleep 0.05; done"
    expired = await _expired(seen, ["sh", "-c", script], encoding="utf-8", grace=1000)
    assert (seen, expired.output) == (["a\n", "\\xe2\n"], "\\xe2")


async def test_too_long_a_line(seen: list[Any]) -> None:
    """`max_line` counts then as well."""
    with pytest.raises(aiospawn.LineTooLong):  # noqa: PT012
        async for line in aiospawn.lines(["sh", "-c", _LAST_WORDS % ""], timeout=0.01, grace=1000, max_line=9):
            seen.append(line)  # noqa: PERF401
    assert seen == [b"a\n"]


async def test_output_that_is_always_there(seen: list[Any]) -> None:
    """Nothing is waited for then, and the time is over all the same."""
    with pytest.raises(subprocess.TimeoutExpired):  # noqa: PT012
        async for line in aiospawn.lines(["yes", "y" * 1000], timeout=0.01):
            seen.append(line)
            if len(seen) % 50 == 0:
                await asyncio.sleep(0.001)  # as long as it takes to write more
            assert len(seen) < 1_000_000
    assert set(seen) <= {b"y" * 1000 + b"\n"}


_OUTSIDERS = {"silent": "sleep 1000", "busy": "sh -c 'while echo y; do sleep 0.05; done'", "flooding": f"yes {'y' * 1000}"}


@pytest.mark.parametrize("outsider", _OUTSIDERS)
async def test_held_by_an_outsider(seen: list[Any], outsider: str) -> None:
    """Who left the tree and holds the pipe, however much it writes, is not waited for."""
    # The substitution ends when the outsider has left the session, and has said who it is.
    leave = """setsid sh -c 'echo $$ >&2; exec >&4; eval "exec $0"' "$1" &"""
    script = f"exec 4>&1; : $({leave}); printf 'a\\nprompt> '; exec sleep 1000"
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as numbers:
        expired = await _expired(seen, ["sh", "-c", script, "sh", _OUTSIDERS[outsider]], stderr=writer)
        os.close(writer)
        os.kill(int(numbers.readline()), signal.SIGKILL)
    if outsider == "silent":
        assert (seen, expired.output) == ([b"a\n"], b"prompt> ")


_DEAF = "trap 'echo told' TERM; echo a; while :; do sleep 0.05; done"


async def test_cancelled_meanwhile(seen: list[Any]) -> None:
    """A cancellation while the child is being stopped kills it at once."""
    events: list[Any] = []

    async def consume() -> None:
        async for line in aiospawn.lines(["sh", "-c", _DEAF], timeout=0.01, grace=1000, on_event=events.append):
            seen.append(line)  # noqa: PERF401

    task = asyncio.create_task(consume())
    while b"told\n" not in seen:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert events[-1].returncode == -signal.SIGKILL


async def test_left_meanwhile(seen: list[Any]) -> None:
    """Leaving the loop then waits for the stop that is under way."""
    events: list[Any] = []
    script = _LAST_WORDS % "more" + " & wait"
    async with contextlib.aclosing(
        aiospawn.lines(["sh", "-c", script], timeout=0.01, grace=1000, on_event=events.append)
    ) as lines:
        async for line in lines:
            seen.append(line)
            if b"bye" in line:
                break
    assert isinstance(events[-1], aiospawn.Exited)
