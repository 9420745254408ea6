"""A signal's handler raised while a child was made: nobody knew of the child, which ran on, and its pipes stayed open."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import fresh
import pytest

import aiospawn


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
