"""Options that are looked at once for all commands of a map give the results that `run` gives with them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import aiospawn
from aiospawn._commands.repeated_run import RepeatedRun

if TYPE_CHECKING:
    from collections.abc import Iterator

_TALKS = ["sh", "-c", "cat; printf 'out\\r\\n'; printf '\\303\\244' >&2; exit 3"]
_COMMANDS: list[Any] = [
    _TALKS,
    tuple(_TALKS),
    ["true"],
    [b"sh", b"-c", b"exit 1"],
    ["sh", "-c", "kill -9 $$"],
    ["/nonexistent"],
    ["/dev/null"],
    aiospawn.Command(["echo", "own"], stdout=-1, tag="its own"),
    ["echo", "nul\0byte"],
    ["sh", "-c", "yes | head -c 300000"],
]
_OPTIONS: list[dict[str, Any]] = [
    {},
    {"stdout": subprocess.PIPE},
    {"capture_output": True},
    {"capture_output": True, "text": True},
    {"capture_output": True, "encoding": "latin-1", "input": "h\u00e4"},
    {"capture_output": True, "encoding": "ascii"},
    {"input": b"bytes", "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
    {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE},
    {"capture_output": True, "max_output": 1000},
    {"capture_output": True, "grace": 0.0, "pipe_grace": None},
]


@pytest.fixture
def each_looked_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A switch: from then on every command is for `run`."""
    return lambda: monkeypatch.setattr(RepeatedRun, "suits", staticmethod(lambda _: False))


def _comparable(result: aiospawn.MapResult) -> tuple[Any, ...]:
    error, completed = result.error, result.completed
    return (
        *(result.number, result.command, result.tag, result.ok, result.returncode, result.stdout, result.stderr),
        *(type(error), str(error), getattr(error, "step", None), getattr(error, "filename", None)),
        *(None if completed is None else (completed.args, completed.complete, completed.signal, type(completed)),),
        result.attempts,
    )


async def _results(commands: list[Any], options: dict[str, Any]) -> list[tuple[Any, ...]]:
    async with aiospawn.map(commands, concurrency=4, **options) as results:
        return [_comparable(result) async for result in results]


@pytest.mark.parametrize("options", _OPTIONS, ids=str)
async def test_both_ways(options: dict[str, Any], each_looked_at: Any) -> None:
    """Whatever is run, and however it ends."""
    assert RepeatedRun.suits(options)
    at_once = await _results(_COMMANDS, options)
    each_looked_at()
    assert at_once == await _results(_COMMANDS, options)


async def test_timeout(each_looked_at: Any) -> None:
    """A command that has had its time, and is tried again."""
    options = {"timeout": 0.1, "retries": 1, "backoff": 0.0, "capture_output": True}
    at_once = await _results([["sleep", "1000"]], options)
    each_looked_at()
    assert at_once == await _results([["sleep", "1000"]], options)


async def _fault(command: Any) -> None:
    async with aiospawn.map([command], stdout=subprocess.PIPE) as results:
        async for result in results:
            assert result.error is not None
            raise result.error


async def test_no_command(each_looked_at: Any) -> None:
    """What is no list of arguments ends the map, or is its failure, in the same words."""
    texts = []
    for _ in range(2):
        for command in ("true", [], [3], None):
            with pytest.raises((TypeError, ValueError)) as raised:
                await _fault(command)
            texts.append((type(raised.value), str(raised.value)))
        each_looked_at()
    assert texts[:4] == texts[4:]


@pytest.mark.parametrize(
    "options",
    [
        {"stdout": 5},
        {"env": {}},
        {"cwd": "/"},
        {"on_event": print},
        {"capture_output": "file"},
        {"tee": True},
        {"stdin": open},
    ],
    ids=str,
)
def test_what_is_looked_at_each_time(options: dict[str, Any]) -> None:
    """Descriptors, callbacks and the options of a launch are for `run`."""
    assert not RepeatedRun.suits(options)
