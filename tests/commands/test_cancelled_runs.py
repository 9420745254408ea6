"""Runs that are cancelled at random points leave no process, descriptor or task."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from typing import Any

from process_trees import STUBBORN, none_marked

import aiospawn

# Grandchildren that ignore SIGTERM, under children who read, write, end, or cannot be launched at all.
_LEAVES = "trap '' TERM; sleep 1000 & echo x"
COMMANDS: tuple[tuple[list[str], dict[str, Any]], ...] = (
    (STUBBORN, {}),
    (["bash", "-c", f"{_LEAVES}; exec cat"], {"input": b"x" * 300_000}),
    (["bash", "-c", f"{_LEAVES}; wait"], {"max_output": 1}),
    (["bash", "-c", f"{_LEAVES}; trap - TERM; wait"], {"timeout": 0.03}),
    (["bash", "-c", _LEAVES], {"pipe_grace": 1000}),
    (["bash", "-c", f"{_LEAVES}; wait"], {"preexec_fn": int}),
    (["/nonexistent"], {}),
)


async def test_cancelled_at_random_points() -> None:
    """A hundred runs; some are cancelled twice, some end by themselves before."""
    chance = random.Random(11)
    mark = f"{os.getpid()}-{id(chance)}-"
    endings: list[type[BaseException] | None] = []

    async def one(number: int) -> None:
        command, keywords = COMMANDS[number % len(COMMANDS)]
        environment = {"PATH": os.defpath, "MARK": f"{mark}{number}"}
        running = aiospawn.run(command, capture_output=True, grace=chance.random() / 20, env=environment, **keywords)
        task = asyncio.create_task(running)
        for _ in range(1 + (chance.random() < 0.3)):
            await asyncio.sleep(chance.random() / 8)
            task.cancel()
        await asyncio.wait([task])
        endings.append(asyncio.CancelledError if task.cancelled() else type(task.exception()))

    for start in range(0, 100, 20):
        await asyncio.gather(*map(one, range(start, start + 20)))
    assert await none_marked(mark) == {}
    assert endings.count(asyncio.CancelledError) > 20, endings


async def test_cancelled_others() -> None:
    """The same for pipelines, lines, popen and groups."""
    mark = f"{os.getpid()}-others-"
    stubborn = ["env", f"MARK={mark}", *STUBBORN]

    async def of_lines() -> None:
        async with contextlib.aclosing(aiospawn.lines(stubborn, grace=0.02)) as lines:
            async for _ in lines:
                await asyncio.sleep(1000)

    async def of_popen() -> None:
        async with await aiospawn.popen(f"MARK={mark} sleep 1000 & wait") as pipe:
            await pipe.read()

    async def of_group() -> None:
        async with aiospawn.ProcessGroup(grace=0.02) as group:
            await group.spawn(*stubborn, stdout=aiospawn.DEVNULL)
            await group.spawn(*stubborn, stdout=aiospawn.DEVNULL)

    async def of_pipeline() -> None:
        await aiospawn.pipeline(stubborn, ["cat"], stubborn, capture_output=True, grace=0.02)

    works = (of_lines, of_popen, of_group, of_pipeline)
    for delay in (0.0, 0.001, 0.01, 0.1, 0.3):
        tasks = [asyncio.create_task(work()) for work in works]
        await asyncio.sleep(delay)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks), tasks
        assert await none_marked(mark) == {}
