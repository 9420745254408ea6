"""A command without options of its own runs without a capture: with the same results, errors and ends as all others."""

from __future__ import annotations

import asyncio
import pathlib
import subprocess
from typing import TYPE_CHECKING, Any

import fresh
import pytest

import aiospawn
from aiospawn._commands import run as module
from aiospawn._commands.plain_child import PlainChild

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not aiospawn.supported(), reason="no native part")

_COMMANDS: list[list[Any]] = [
    ["sh", "-c", "echo out; echo err >&2; exit 3"],
    ["sh", "-c", "kill -9 $$"],
    ["sh", "-c", "printf '\\303\\251\\r\\n'"],
    ["sh", "-c", "yes | head -c 300000"],
    ["/nonexistent"],
    ["/dev/null"],
    [b"echo", "nul\0byte"],
    ["echo", 5],
    [pathlib.Path("/bin/echo"), pathlib.Path("a")],
    ["echo", *map(str, range(100))],
]
_KEYWORDS: list[dict[str, Any]] = [
    {},
    {"stdout": subprocess.PIPE},
    {"capture_output": True, "text": True},
    {"capture_output": True, "encoding": "ascii"},
    {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "check": True},
]


async def _outcome(command: list[Any], keywords: dict[str, Any]) -> tuple[Any, ...]:
    try:
        result: Any = await aiospawn.run(command, **keywords)
    except (OSError, TypeError, ValueError, subprocess.SubprocessError) as error:
        result = error
    names = ("args", "returncode", "stdout", "stderr", "complete", "signal", "limit", "filename", "step", "errno")
    text = str(result) if isinstance(result, Exception) else ""
    return type(result), text, *(getattr(result, name, None) for name in names)


@pytest.fixture
def other_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes the choice away: from then on every child has a capture."""
    return lambda: monkeypatch.setattr(module, "plain_request", lambda *_: None)


@pytest.mark.parametrize("keywords", _KEYWORDS, ids=str)
async def test_same_outcome(keywords: dict[str, Any], other_way: Callable[[], None]) -> None:
    """Results, and what is raised."""
    found = [await _outcome(command, keywords) for command in _COMMANDS]
    other_way()
    assert found == [await _outcome(command, keywords) for command in _COMMANDS]


async def test_no_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is it the way of a command without options, and of no other?"""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a capture")

    monkeypatch.setattr(module, "launched", refuse)
    assert (await aiospawn.run(["echo", "text"], stdout=subprocess.PIPE, check=True)).stdout == b"text\n"
    for keywords in ({"timeout": 1000.0}, {"input": b""}, {"cwd": "/"}, {"max_output": 1}, {"on_event": print}):
        with pytest.raises(AssertionError, match="a capture"):
            await aiospawn.run(["true"], **keywords)


async def test_cancelled_behind_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descendant holds the pipe of a child that has ended: it is stopped, and the cancellation goes on."""
    seen = asyncio.Event()
    original = PlainChild.taken_over

    def taken_over(child: PlainChild) -> Any:
        seen.set()
        return original(child)

    monkeypatch.setattr(PlainChild, "taken_over", taken_over)
    task = asyncio.create_task(aiospawn.run(["sh", "-c", "sleep 1000 &"], stdout=subprocess.PIPE, pipe_grace=None))
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closed() -> None:
    """A coroutine that is closed leaves no child, but for the moment until it is reaped."""
    before = fresh.children()
    running = aiospawn.run(["sleep", "1000"])
    running.send(None)
    running.close()
    while fresh.children() != before:  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.01)
