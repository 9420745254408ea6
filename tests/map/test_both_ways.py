"""A map chooses how it runs its commands: with one task for all, with one for each, or by `run`; with the same results."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from timeouts import delayed_until, printed

import aiospawn
from aiospawn._commands.repeated_run import RepeatedRun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from dask_workers import DaskWorkers

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
    {"capture_output": True, "text": True, "shell": False},
    {"capture_output": True, "encoding": "latin-1", "input": "h\u00e4"},
    {"capture_output": True, "encoding": "ascii"},
    {"input": b"bytes", "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
    {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE},
    {"capture_output": True, "max_output": 1000},
    {"capture_output": True, "max_output": 300000},
    {"stdout": subprocess.PIPE, "max_output": 299999, "stdin": subprocess.DEVNULL},
    {"init": True},
    {"init": "wait", "init_lease": 1000.0, "capture_output": True, "max_output": 1000, "stdin": subprocess.DEVNULL},
    {"stderr": subprocess.STDOUT},
    {"capture_output": True, "grace": 0.0, "pipe_grace": None},
]


@pytest.fixture
def other_ways(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Takes the map's own choice away, step by step: first every command has a task, then every command is for `run`."""

    def ways() -> Iterator[None]:
        monkeypatch.setattr(RepeatedRun, "is_plain", lambda _: False)
        yield
        monkeypatch.setattr(RepeatedRun, "suits", staticmethod(lambda _: False))
        yield

    return ways()


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
async def test_all_ways(options: dict[str, Any], other_ways: Iterator[None]) -> None:
    """Whatever is run, and however it ends."""
    assert RepeatedRun.suits(options)
    by_choice = await _results(_COMMANDS, options)
    for _ in other_ways:
        assert by_choice == await _results(_COMMANDS, options)


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.loops("one")
@pytest.mark.parametrize("options", [options for options in _OPTIONS if "init_lease" not in options], ids=str)
async def test_on_a_cluster(options: dict[str, Any], one_worker: DaskWorkers) -> None:
    """The same elsewhere, but that standard input is the worker's."""
    options = {**({} if "input" in options else {"stdin": subprocess.DEVNULL}), **options}
    assert await _results(_COMMANDS, options) == await _results(_COMMANDS, {**options, "cluster": one_worker.address})


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"stdout": subprocess.PIPE}, {"timeout": 1000.0}, {"retries": 2, "backoff": 0.0}], ids=str
)
async def test_source_and_order(options: dict[str, Any], asynchronous: bool, other_ways: Iterator[None]) -> None:
    """Lists, generators and asynchronous ones; results in the order of the commands, and as they come."""

    async def results(ordered: bool) -> list[tuple[Any, ...]]:
        commands = [["sh", "-c", f"echo {number}; exit {number % 3}"] for number in range(24)]
        source = slowly(commands) if asynchronous else (command for command in commands)
        async with aiospawn.map(source, concurrency=4, ordered=ordered, **options) as results:
            found = [_comparable(result) async for result in results]
        return found if ordered else sorted(found)

    async def slowly(commands: list[list[str]]) -> AsyncIterator[list[str]]:
        for number, command in enumerate(commands):
            if number % 5 == 0:
                await asyncio.sleep(0)
            yield command

    by_choice = [await results(ordered) for ordered in (True, False)]
    assert by_choice[0] == by_choice[1]
    for _ in other_ways:
        assert by_choice == [await results(ordered) for ordered in (True, False)]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks")
async def test_eager_tasks(other_ways: Iterator[None]) -> None:
    """A task may have come to its end when it is made."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
    commands = ["no list", ["true"], b"no list", ["/nonexistent"], ("true",)]
    async with asyncio.timeout(60):
        by_choice = await _results(commands, {})
        for _ in other_ways:
            assert by_choice == await _results(commands, {})


async def test_timeout(other_ways: Iterator[None]) -> None:
    """A command that has had its time, and is tried again."""
    options = {"timeout": 0.1, "retries": 1, "backoff": 0.0, "capture_output": True}
    by_choice = await _results([["sleep", "1000"]] * 3, options)
    for _ in other_ways:
        assert by_choice == await _results([["sleep", "1000"]] * 3, options)


async def test_held_pipe(other_ways: Iterator[None]) -> None:
    """A pipe that a descendant holds behind the exit is given up after a time; or the command has had its time before."""

    async def held(**rule: Any) -> tuple[Any, ...]:
        command = ["sh", "-c", "sleep 1000 & echo $!"]
        with delayed_until(printed(1)):
            async with aiospawn.map([command], stdout=subprocess.PIPE, **rule) as results:
                result = await anext(results)
        holder = int(result.stdout)
        if result.ok:
            os.kill(holder, signal.SIGKILL)
        return result.ok, type(result.error), result.completed and result.completed.complete

    by_choice = await held(pipe_grace=0.05), await held(pipe_grace=None, timeout=0.5)
    assert by_choice == ((True, type(None), False), (False, aiospawn.TimeoutExpired, None))
    for _ in other_ways:
        assert by_choice == (await held(pipe_grace=0.05), await held(pipe_grace=None, timeout=0.5))


async def _fault(command: Any) -> None:
    async with aiospawn.map([command], stdout=subprocess.PIPE) as results:
        async for result in results:
            assert result.error is not None
            raise result.error


async def test_no_command(other_ways: Iterator[None]) -> None:
    """What is no list of arguments ends the map, or is its failure, in the same words."""
    texts = []
    for _ in itertools.chain([None], other_ways):
        for command in ("true", [], [3], None):
            with pytest.raises((TypeError, ValueError)) as raised:
                await _fault(command)
            texts.append((type(raised.value), str(raised.value)))
    assert len(texts) == 12
    assert texts[:4] == texts[4:8] == texts[8:]


@pytest.mark.parametrize(
    "options",
    [
        {"stdout": 5},
        {"env": {}},
        {"shell": True},
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
