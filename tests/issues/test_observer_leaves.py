"""An observer that raised what is no Exception: `run` never returned, or left its child to itself."""

import asyncio
from typing import Any

import fresh
import pytest

import aiospawn

KINDS = [aiospawn.Spawned, aiospawn.Executed, aiospawn.Exited]


class Observer:
    """Raises at one kind of event."""

    def __init__(self, kind: type, error: BaseException) -> None:
        self._kind = kind
        self._error = error

    def __call__(self, event: object) -> None:
        if isinstance(event, self._kind):
            raise self._error


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelled_error(kind: type) -> None:
    """As that of a future's result: the loop's exception handler hears of it, the child does not suffer."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    observer = Observer(kind, asyncio.CancelledError())
    result = await asyncio.wait_for(aiospawn.run(["true"], on_event=observer), 10)
    assert (result.returncode, [type(each["exception"]) for each in told]) == (0, [asyncio.CancelledError])


@pytest.fixture
def loop() -> Any:
    loop = aiospawn.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("kind", [aiospawn.Executed, aiospawn.Exited, aiospawn.LaunchFailed])
def test_program_left(loop: asyncio.AbstractEventLoop, kind: type) -> None:
    """Where the loop runs again, the child's end is known there."""
    fails = kind is aiospawn.LaunchFailed
    task = loop.create_task(aiospawn.run(["/nonexistent" if fails else "true"], on_event=Observer(kind, SystemExit())))
    with pytest.raises(SystemExit):
        loop.run_until_complete(task)
    loop.run_until_complete(asyncio.wait([task]))
    assert isinstance(task.exception(), FileNotFoundError) if fails else task.result().returncode == 0


async def _run(observer: Observer) -> None:
    await aiospawn.run(["sleep", "1000"], on_event=observer)


async def _lines(observer: Observer) -> None:
    async for _ in aiospawn.lines(["sleep", "1000"], on_event=observer):
        pass


@pytest.mark.parametrize("way", [_run, _lines])
def test_program_left_at_once(loop: asyncio.AbstractEventLoop, way: Any) -> None:
    """Nobody waits for the child: it is killed, and reaped where the loop runs again."""
    before = fresh.children()
    with pytest.raises(SystemExit):
        loop.run_until_complete(way(Observer(aiospawn.Spawned, SystemExit())))
    while set(fresh.children()) - set(before):
        loop.run_until_complete(asyncio.sleep(0.01))
