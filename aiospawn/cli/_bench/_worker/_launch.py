"""One launch, as a specification says."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Awaitable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from ._spec import Spec

__all__ = ["launcher", "successfully"]


def launcher(spec: Spec, slices: list[float] | None = None) -> Callable[[], Awaitable[int | None]]:
    """A function that launches once, waits, and returns the return code. `slices` gets each create's first step."""
    stdout = PIPE if spec.capture == "pipe" else None

    async def created() -> int | None:
        create = asyncio.create_subprocess_exec(*spec.program, stdout=stdout, **spec.options)
        process = await (create if slices is None else _FirstSlice(create, slices))
        if process.stdout is not None:
            await process.stdout.read()
        return await process.wait()

    async def communicated() -> int | None:
        create: Any = aiospawn if spec.loop == "aiospawn" else asyncio
        process: asyncio.subprocess.Process
        process = await create.create_subprocess_exec(*spec.program, stdout=stdout, **spec.options)
        await process.communicate()
        return process.returncode

    async def run() -> int | None:
        return (await aiospawn.run(spec.program, stdout=stdout, **spec.options)).returncode

    return {"create": created, "communicate": communicated, "run": run, "map": run}[spec.way]  # one of a map: as `run`


class _FirstSlice(Awaitable[Any]):
    """Awaits a coroutine and notes how long its first step holds the loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], slices: list[float]) -> None:
        self._coroutine = coroutine
        self._slices = slices

    def __await__(self) -> Generator[Any, Any, Any]:
        started = perf_counter()
        try:
            waited_for = self._coroutine.send(None)
        except StopIteration as ended:
            return ended.value
        finally:
            self._slices.append(perf_counter() - started)
        yield waited_for
        return (yield from self._coroutine.__await__())


async def successfully(launched: Awaitable[int | None]) -> None:
    status = await launched
    if status != 0:
        raise RuntimeError(f"a child ended with {status}")
