"""Every way to end a tree: an operation is cancelled that holds it. For tests, and for programs of `fresh`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeAlias

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from process_trees import Tree

__all__ = [
    "BLOCKS",
    "NOTING",
    "WAYS",
    "Way",
    "begun",
    "by_block",
    "by_lines",
    "by_run",
    "by_stop",
]


async def by_stop(
    tree: Tree, script: str, grace: float, on_event: Callable[[Any], object] | None = None, **options: Any
) -> None:
    process = await aiospawn.create_subprocess_exec(
        "sh", "-c", script, stderr=tree.stderr, start_new_session=True, **options
    )
    if on_event is not None:
        on_event(aiospawn.Executed(0, process.pid, 0.0))
    try:
        await process.wait()
    finally:
        await process.stop(grace)


async def by_block(tree: Tree, script: str, grace: float, on_event: Callable[[Any], object], **options: Any) -> None:
    async with await aiospawn.create_subprocess_exec("sh", "-c", script, stderr=tree.stderr, process_group=0) as process:
        on_event(aiospawn.Executed(0, process.pid, 0.0))
        await process.wait()


async def by_run(tree: Tree, script: str, grace: float, **options: Any) -> None:
    await aiospawn.run(["sh", "-c", script], stderr=tree.stderr, grace=grace, **options)


async def by_system(tree: Tree, script: str, grace: float, **options: Any) -> None:
    await aiospawn.system(script, stderr=tree.stderr, grace=grace, **options)


async def by_pipeline(tree: Tree, script: str, grace: float, **options: Any) -> None:
    await aiospawn.pipeline(["sh", "-c", script], ["cat"], stderr=tree.stderr, grace=grace, **options)


async def by_lines(tree: Tree, script: str, grace: float, **options: Any) -> None:
    lines = aiospawn.lines(["sh", "-c", script], stderr=tree.stderr, grace=grace, **options)
    async with contextlib.aclosing(lines):
        async for _ in lines:
            pass


async def by_group(tree: Tree, script: str, grace: float, **options: Any) -> None:
    async with aiospawn.ProcessGroup(grace=grace, **options) as group:
        await group.spawn("sh", "-c", script, stderr=tree.stderr)


async def by_map(tree: Tree, script: str, grace: float, **options: Any) -> None:
    async with aiospawn.map([["sh", "-c", script]], stderr=tree.stderr, grace=grace, **options) as results:
        async for _ in results:
            pass


Way: TypeAlias = "Callable[..., Coroutine[Any, Any, None]]"

WAYS: dict[str, Way] = {way.__name__: way for way in (by_stop, by_run, by_system, by_pipeline, by_lines, by_group, by_map)}


async def begun(way: Way, events: list[Any]) -> None:
    """Its children's starts were reported, and the launches are over: one that is cancelled has no grace."""
    while sum(isinstance(event, aiospawn.Executed) for event in events) < 1 + (way is by_pipeline):  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # the loop's own is reported late
    for _ in range(20):  # the launch's caller may have to be resumed by another task
        await asyncio.sleep(0)


BLOCKS = (by_block, by_run, by_system, by_pipeline, by_group, by_map)

NOTING = (by_stop, by_block, by_run, by_pipeline, by_lines, by_group)
