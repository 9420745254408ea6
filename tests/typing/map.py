"""Typical uses of `aiospawn.map`, for the type checker: `mypy` reads this file, nobody runs it."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

import aiospawn


def words() -> Iterator[list[str]]:
    """A generator of commands."""
    yield ["true"]


async def waited_for() -> AsyncIterator[tuple[str | Path, ...]]:
    """An async one, of tuples."""
    yield ("cat", Path("file"))


async def main() -> None:
    """Commands of every kind, and what their results are."""
    aiospawn.map([["true"], ("cat", b"file")], concurrency=4, ordered=False, check=True)
    aiospawn.map(waited_for(), halt=aiospawn.Halt("now", "fail", 1), total=3)
    aiospawn.map(["echo $HOME", "true | false"], shell=True, halt="soon,done=10%", cwd="/", nice=3)
    assert_type(aiospawn.Halt.parse("never"), aiospawn.Halt | None)

    def show(progress: aiospawn.MapProgress) -> None:
        assert_type(progress.total, int | None)

    results = aiospawn.map(words(), timeout=1.5, retries=3, backoff=0, progress=show, capture_output=True)
    async with results as entered:
        same: aiospawn.Map[bytes] = entered
        async for result in results:
            assert_type(result, aiospawn.MapResult[bytes])
            assert_type(result.returncode, int | None)
            assert_type(result.ok, bool)
            assert_type(result.error, Exception | None)
            assert_type(result.completed, aiospawn.CompletedProcess[bytes] | None)
            if isinstance(result.error, subprocess.TimeoutExpired):
                results.stop()
    assert same.halted is results.halted
    assert_type(results.progress.finished, int)
    await results.aclose()

    async for text in aiospawn.map(words(), text=True, stdout=aiospawn.PIPE):
        assert_type(text, aiospawn.MapResult[str])
    async for nothing in aiospawn.map(words()):
        assert_type(nothing, aiospawn.MapResult[None])
    assert_type([result async for result in aiospawn.map(words(), capture_output=True)], list[aiospawn.MapResult[bytes]])
