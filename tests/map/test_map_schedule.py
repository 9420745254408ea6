"""Whatever commands do, and in whatever order they end, a map keeps its promises."""

from __future__ import annotations

import asyncio
import errno
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aiospawn
from aiospawn._map import runner

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
@given(data=st.data(), concurrency=st.integers(1, 5))
@settings(deadline=None, max_examples=60)
def test_any_schedule(ordered: bool, data: st.DataObject, concurrency: int) -> None:
    """However commands end: each has its result, at most `concurrency` run, and the source is read only so far ahead.

    Here only: what runs is replaced in this process. For agents there is tests/cluster/test_simulation.py.
    """
    steps = data.draw(
        st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0, 0, 1, OSError(errno.ENOENT, "")])), max_size=30)
    )
    running = most = taken = 0

    async def fake_run(command: int, **_: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            ticks, outcome = steps[command]
            for _ in range(ticks):
                await asyncio.sleep(0)
            if isinstance(outcome, OSError):
                raise outcome
            completed: Any = subprocess.CompletedProcess([], outcome)
            completed.elapsed = 0.0
            return completed
        finally:
            running -= 1

    def commands() -> Iterator[int]:
        nonlocal taken
        for number in range(len(steps)):
            taken += 1
            yield number

    async def main() -> list[int]:
        numbers: list[int] = []
        async for result in aiospawn.map(commands(), concurrency=concurrency, ordered=ordered):  # type: ignore[arg-type]
            numbers.append(result.number)
            assert taken - len(numbers) <= concurrency * (4 if ordered else 2)
            assert result.ok == (steps[result.number][1] == 0)
            for _ in range(len(numbers) % 3):
                await asyncio.sleep(0)
        return numbers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "run", fake_run)
        numbers = asyncio.run(main())
    assert (numbers if ordered else sorted(numbers)) == list(range(len(steps)))
    assert most <= concurrency
