"""What is often done by GNU parallel: `parallel -j4 --retries 2 --joblog log --tag gzip -k ::: *.txt`, and `--pipe`.

`python examples/batch.py DIRECTORY` packs its .txt files, tells how many lines they have, and does nothing a second time.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiospawn
from aiospawn import Command


def packing(directory: Path) -> Iterator[Command]:
    """One command for each file. What is packed is left out, as with --resume."""
    for path in sorted(directory.glob("*.txt")):
        if not path.with_suffix(".txt.gz").exists():
            yield Command(["gzip", "-k", "--", path.name], cwd=directory, tag=path.name)


async def pack(directory: Path) -> None:
    """-j4, --retries 2, --timeout 60, --tag, --joblog, --halt now,fail=10%."""
    commands = [*packing(directory)]
    with open(directory / "joblog", "a") as log:
        rules = aiospawn.map(commands, concurrency=4, retries=2, timeout=60, halt="now,fail=10%", ordered=False)
        async with rules as results:
            async for result in results:
                log.write(f"{result.started:.3f}\t{result.elapsed:.3f}\t{result.returncode}\t{result.tag}\n")
        if results.halted:
            raise SystemExit(f"ended early by {results.halted.tag}: {results.halted.error or results.halted.returncode}")
    print(f"{len(commands)} packed")


async def blocks(directory: Path, size: int = 1 << 16) -> AsyncIterator[Command]:
    """--pipe --block 64k: what a job reads is a block of whole lines."""
    for path in sorted(directory.glob("*.txt")):
        with open(path, "rb") as file:
            while block := file.read(size) + file.readline():
                yield Command(["wc", "-l"], input=block)


async def count(directory: Path) -> None:
    """`cat *.txt | parallel --pipe wc -l`, and the sum."""
    async with aiospawn.map(blocks(directory), capture_output=True, check=True) as results:
        print(sum([int(result.stdout) async for result in results]), "lines")


async def main() -> None:
    directory = Path(sys.argv[1])
    await pack(directory)
    await count(directory)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
