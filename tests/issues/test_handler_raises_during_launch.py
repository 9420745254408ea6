"""A signal's handler raised while a child was made: nobody knew of the child, which ran on, and its pipes stayed open."""

import asyncio
import pathlib
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import fresh
import pytest

import aiospawn
from aiospawn._binding.native import Native
from aiospawn._map import launches
from aiospawn._request.joined_request import JoinedRequest


def _as_a_handler(frame: FrameType, event: str, _argument: Any) -> Any:
    """Raises where Python looks for signals first when the native part has returned."""
    if frame.f_code not in (Native.launch.__code__, JoinedRequest.launched.__code__):
        return None
    if event == "line" and frame.f_locals.get("result") is not None:
        raise ZeroDivisionError
    return _as_a_handler


@pytest.mark.parametrize(
    "launch",
    [
        aiospawn.create_subprocess_exec,
        lambda *command: aiospawn.create_subprocess_exec(*command, start_new_session=True),
        lambda *command: aiospawn.run(command),
        lambda *command: aiospawn.run([*command]),
    ],
    ids=["process", "process with an option", "run", "plain run"],
)
async def test_behind_the_clone(launch: Callable[..., Awaitable[Any]]) -> None:
    """The child is killed and reaped, and the next launch has nothing of it."""
    before = sys.gettrace()
    sys.settrace(_as_a_handler)
    try:
        with pytest.raises(ZeroDivisionError):
            await launch("sleep", "1000")
    finally:
        sys.settrace(before)
    while fresh.children():  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.001)
    assert (await aiospawn.run(["true"])).returncode == 0


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError, OSError])
async def test_behind_a_launch_of_many(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """It is raised to who iterates. No command is run twice, and the children that were made are stopped."""
    original, count = launches.launch_all, 0

    def interrupted(*arguments: Any) -> Any:
        nonlocal count
        result = original(*arguments)
        count += 1
        if count == 2:
            raise error
        return result

    monkeypatch.setattr(launches, "launch_all", interrupted)
    begun = tmp_path / "begun"
    commands = [["sh", "-c", 'echo >>"$0"; [ $1 = 0 ] || exec sleep 1000', str(begun), str(number)] for number in range(8)]

    async def collect() -> None:
        async for _ in aiospawn.map(commands, concurrency=2, ordered=False, grace=0.05):
            pass

    with pytest.raises(error):
        await collect()
    assert count == 2
    assert fresh.children() == []
    assert len(begun.read_text()) <= 3


async def test_before_anybody_waits() -> None:
    """Nor is there a child that goes on without an owner when the handler raises between the clone and the wait for it."""

    def in_pipe(frame: FrameType, event: str, _argument: Any) -> None:
        if frame.f_code is aiospawn._asyncio.pipe.Pipe.__init__.__code__:
            raise ZeroDivisionError

    before = sys.gettrace()
    sys.settrace(in_pipe)
    try:
        with pytest.raises(ZeroDivisionError):
            await aiospawn.create_subprocess_exec("sleep", "1000", stdin=aiospawn.PIPE)
    finally:
        sys.settrace(before)
    assert fresh.children() == []
