"""`ProcessGroup`: leaving its block waits for all, an exception or a cancellation stops all."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
from process_trees import STUBBORN, none_lives

import aiospawn


async def test_waits_for_all() -> None:
    """Also for one that is launched while it waits, by a task."""
    async with aiospawn.ProcessGroup() as group:
        processes = [await _waits_for_input(group, "cat"), await _waits_for_input(group, "sh", "-c", "read line; exit 3")]
        late = asyncio.create_task(_later(group))
        assert len(group) == 2
        assert set(group) == set(processes)
        _end_input(processes[1])
        await processes[1].wait()
        _end_input(processes[0])
    assert [process.returncode for process in processes] == [0, 3]
    assert len(group) == 0
    late.cancel()
    await asyncio.wait([late])


async def _waits_for_input(group: aiospawn.ProcessGroup, *command: str) -> aiospawn.Process:
    return await group.spawn(*command, stdin=aiospawn.PIPE)


def _end_input(process: aiospawn.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()


async def _later(group: aiospawn.ProcessGroup) -> None:
    await asyncio.sleep(1000)
    await group.spawn("true")


async def test_launched_while_it_waits() -> None:
    """A task may launch one more, as long as somebody runs."""
    async with aiospawn.ProcessGroup() as group:
        first = await _waits_for_input(group, "cat")

        async def one_more() -> aiospawn.Process:
            await asyncio.sleep(0.05)
            process = await group.spawn("sleep", "0.4")
            _end_input(first)
            return process

        task = asyncio.create_task(one_more())
    assert first.returncode == 0
    assert (await task).returncode == 0


async def test_exception_stops_all() -> None:
    """With grandchildren, and those that ignore SIGTERM."""
    pids: list[int] = []
    with pytest.raises(ArithmeticError):  # noqa: PT012
        async with aiospawn.ProcessGroup(grace=0.1) as group:
            for _ in range(3):
                process = await group.spawn(*STUBBORN, stdout=aiospawn.PIPE)
                assert process.stdout is not None
                pids += [int(await process.stdout.readline()) for _ in range(3)]
            polite = await group.spawn("sleep", "1000")
            raise ArithmeticError
    assert await none_lives(pids)
    assert polite.returncode == -signal.SIGTERM


async def test_cancellation_stops_all() -> None:
    """While the block runs, and while it waits."""
    for waits in (False, True):
        entered = asyncio.Event()

        async def main(waits: bool, entered: asyncio.Event) -> None:
            async with aiospawn.ProcessGroup() as group:
                await group.spawn("sleep", "1000")
                entered.set()
                if not waits:
                    await asyncio.sleep(1000)

        task = asyncio.create_task(main(waits, entered))
        await entered.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_stop() -> None:
    """Everybody who runs; the block goes on."""
    async with aiospawn.ProcessGroup() as group:
        first = await group.spawn("sleep", "1000")
        await group.stop()
        assert first.returncode == -signal.SIGTERM
        second = await group.spawn("true")
    assert second.returncode == 0


async def test_outside_of_its_block() -> None:
    """Nothing is launched for a group that nobody leaves."""
    group = aiospawn.ProcessGroup()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"spawn\(\) outside of the ProcessGroup's block"):
            await group.spawn("true")
        async with group:
            with pytest.raises(RuntimeError, match="entered already"):
                await group.__aenter__()


async def test_options() -> None:
    """The group's are each launch's, whose own go before."""
    async with aiospawn.ProcessGroup(cwd="/usr", env={"NAME": "group"}) as group:
        process = await group.spawn("/bin/sh", "-c", "echo $NAME; pwd", stdout=aiospawn.PIPE, env={"NAME": "own"})
        assert (await process.communicate())[0] == b"own\n/usr\n"


async def test_failed_launch() -> None:
    """It raises in the block, which is the block's exception like any other."""
    events: list[Any] = []
    with pytest.raises(FileNotFoundError):  # noqa: PT012
        async with aiospawn.ProcessGroup(on_event=events.append) as group:
            await group.spawn("sleep", "1000")
            await group.spawn("/nonexistent")
    kinds = [type(event) for event in events]
    assert kinds == [aiospawn.Spawned, aiospawn.Executed, aiospawn.LaunchFailed, aiospawn.Exited]


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"grace": -1}, ValueError, "grace must not be negative, got -1"),
        ({"on_event": 1}, TypeError, "on_event must be callable or None, got 1"),
    ],
)
def test_bad_input(keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    """Refused where the group is made."""
    with pytest.raises(error, match=message):
        aiospawn.ProcessGroup(**keywords)
