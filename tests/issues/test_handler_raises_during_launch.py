"""A signal's handler raised while a child was made: nobody knew of the child, which ran on, and its pipes stayed open."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import fresh
import pytest

import aiospawn
from aiospawn._request import joined_request


def _as_a_handler(frame: FrameType, event: str, _argument: Any) -> Any:
    """Raises where Python looks for signals first when the native part has returned."""
    if frame.f_code is not aiospawn._binding.native.Native.launch.__code__:
        return None
    if event == "line" and "result" in frame.f_locals:
        raise ZeroDivisionError
    return _as_a_handler


@pytest.mark.parametrize(
    "launch", [aiospawn.create_subprocess_exec, lambda *command: aiospawn.run(command)], ids=["process", "run"]
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


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError])
async def test_behind_a_launch_of_many(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """The child that was made is killed. Its command is launched again, or has the error for its result, but not both."""
    launched, count = joined_request.launched, 0

    def interrupted(*arguments: Any) -> int | None:
        nonlocal count
        result: int | None = launched(*arguments)
        count += 1
        if count == 2:
            raise error
        return result

    monkeypatch.setattr(joined_request, "launched", interrupted)
    commands = [["echo", str(number)] for number in range(4)]
    found = {}
    async with aiospawn.map(commands, concurrency=2, ordered=False, stdout=-1) as results:
        async for result in results:
            assert result.number not in found
            found[result.number] = result.stdout if result.error is None else type(result.error)
    wanted: dict[int, Any] = {number: f"{number}\n".encode() for number in range(4)}
    assert found == (wanted if error is ZeroDivisionError else {**wanted, 1: TimeoutError})
    while fresh.children():  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.001)


async def test_before_anybody_waits() -> None:
    """Nor is there a child that goes on without an owner when the handler raises between the clone and the wait for it."""

    def in_pipe(frame: FrameType, event: str, _argument: Any) -> None:
        if frame.f_code is aiospawn._asyncio.pipe.Pipe.__init__.__code__:
            raise ZeroDivisionError

    before = sys.gettrace()
    sys.settrace(in_pipe)
    try:
        with pytest.raises(ZeroDivisionError):
            await aiospawn.create_subprocess_exec("sleep", "1000", stdout=aiospawn.PIPE)
    finally:
        sys.settrace(before)
    assert fresh.children() == []
