"""Checksums of all files in a directory, by a command for each, many at a time: `python checksums.py [DIRECTORY]`.

Results come as the commands end, each failure is one of them, and the whole map is as bounded as a single command: leaving
the block stops what still runs.
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiospawn


def commands(directory: Path) -> Iterator[list[str]]:
    """Read as commands are launched: a directory of a million files costs no memory."""
    for path in directory.iterdir():
        if path.is_file():
            yield ["sha256sum", "--", str(path)]


async def main(directory: Path) -> None:
    done = failed = 0
    results = aiospawn.map(
        commands(directory), concurrency=16, ordered=False, timeout=60, retries=1, capture_output=True, text=True
    )
    async with results:
        async for result in results:
            if result.ok:
                done += 1
                print(result.stdout, end="")
            else:
                failed += 1
                print(f"{result.command[-1]}: {result.error or result.stderr}", file=sys.stderr)
    print(f"{done} checksums, {failed} failures")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
