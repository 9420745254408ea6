"""Commands of a map that are launched in one call of the extension: each as if it were launched alone."""

from __future__ import annotations

import asyncio
import pathlib
import sys
import time
from typing import TYPE_CHECKING, Any

import fresh
import pytest

import aiospawn
from aiospawn._map.time_limit import TimeLimit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not aiospawn.supported(), reason="no native part")


async def test_time_of_a_slow_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child's time begins with its launch, however long the source takes for what follows."""
    delays: list[float] = []
    start = TimeLimit._start

    def noted(self: TimeLimit, delay: float, expired: Any) -> None:
        delays.append(delay)
        start(self, delay, expired)

    def source() -> Iterator[list[str]]:
        yield ["sleep", "1000"]
        time.sleep(0.2)
        yield ["true"]

    monkeypatch.setattr(TimeLimit, "_start", noted)
    async with aiospawn.map(source(), concurrency=2, timeout=1000, ordered=False, grace=0.05) as results:
        assert (await anext(results)).ok
    assert len(delays) == 1
    assert delays[0] <= 1000 - 0.2


async def test_a_limit_beyond_all_numbers() -> None:
    """It is none."""
    (result,) = [result async for result in aiospawn.map([["echo", "text"]], stdout=-1, max_output=10**30)]
    assert result.stdout == b"text\n"


@pytest.mark.parametrize("error", [PermissionError, RuntimeError])
async def test_a_hook_that_refuses(error: type[Exception]) -> None:
    """A launch that a hook refuses with OSError is not made in another way."""
    refused: list[Any] = []
    is_on = True

    def hook(event: str, arguments: Any) -> None:
        if is_on and event == "subprocess.Popen" and "refused" in arguments[1]:
            refused.append(arguments[1])
            raise error("no")

    sys.addaudithook(hook)
    try:
        commands = [["echo", "refused"], ["echo", "let through"]]
        if error is RuntimeError:
            with pytest.raises(error):
                await anext(aiospawn.map(commands[:1]))
        else:
            results = [result async for result in aiospawn.map(commands, stdout=-1)]
            assert [type(result.error) for result in results] == [error, type(None)]
            assert results[1].stdout == b"let through\n"
            assert len(refused) == 1
    finally:
        is_on = False


async def test_a_source_sees_what_was_launched() -> None:
    """Commands are taken one by one, each when it can be launched: `progress` counts those before."""
    seen = []

    def source() -> Iterator[list[str]]:
        for _ in range(5):
            seen.append(results.progress.started)
            yield ["true"]

    results = aiospawn.map(source(), concurrency=2)
    assert len([result async for result in results]) == 5
    assert seen == [0, 1, 2, 3, 4]


async def test_environment_of_each_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one call launches them all."""

    def source() -> Iterator[list[str]]:
        for number in range(3):
            monkeypatch.setenv("LAUNCHED_TOGETHER", str(number))
            yield ["sh", "-c", "echo $LAUNCHED_TOGETHER"]

    assert [result.stdout async for result in aiospawn.map(source(), concurrency=3, stdout=-1)] == [b"0\n", b"1\n", b"2\n"]


class _WithoutReaders(asyncio.SelectorEventLoop):
    """As loops of other programs are."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        raise NotImplementedError


@pytest.mark.loops("one")
def test_a_loop_without_readers() -> None:
    """Nothing is wrong with a map that has no command."""

    async def mapped(commands: list[list[str]]) -> int:
        return len([result async for result in aiospawn.map(commands)])

    with asyncio.Runner(loop_factory=_WithoutReaders) as runner:
        assert runner.run(mapped([])) == 0
        with pytest.raises(NotImplementedError):
            runner.run(mapped([["true"]]))


def _await_zombies(count: int) -> None:
    """The loop stands still meanwhile: their ends come in one wake-up, in the order in which they ended."""
    while sum(_state_of(pid) == "Z" for pid in fresh.children()) < count:
        time.sleep(0.001)


def _state_of(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_halted_by_one_of_many_ends() -> None:
    """What has ended with the one that halts the map, behind it, has no result."""

    def source() -> Iterator[list[str]]:
        yield ["false"]
        _await_zombies(1)
        yield from [["true"]] * 4
        _await_zombies(5)

    results = aiospawn.map(source(), concurrency=16, ordered=False, halt="now,fail=1")
    assert [result.number async for result in results] == [0]
    assert results.progress.finished == 1


async def test_objects_are_those_of_their_functions() -> None:
    """The extension makes results without calling these."""
    (result,) = [result async for result in aiospawn.map([["true"]])]
    completed = aiospawn.CompletedProcess(["true"], 0, pid=1, elapsed=0.0)
    assert vars(result.completed).keys() == vars(completed).keys()
    assert (type(result), type(result.completed)) == (aiospawn.MapResult, aiospawn.CompletedProcess)
    assert result == aiospawn.MapResult(0, ["true"], result.completed, None, 1, result.started, result.elapsed)
    assert result._fields == aiospawn.MapResult._fields
    assert len(result) == len(aiospawn.MapResult._fields)
