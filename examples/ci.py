"""A CI runner: one stage after the other, the jobs of a stage side by side, their lines as they come.

    python examples/ci.py

Its exit status is 1 when a job has failed; the stages behind it are not begun then.
"""

import asyncio
import sys
import tempfile

import aiospawn
from aiospawn import Command

STAGES = {
    "prepare": [Command("echo fetching; echo 1.2 > version", shell=True, tag="checkout")],
    "test": [
        Command("echo collected 3 tests; cat version", shell=True, timeout=60, tag="unit"),
        Command("echo level $LEVEL >&2", shell=True, env_add={"LEVEL": "strict"}, tag="lint"),
        Command("[ -e tried ] || { touch tried; exit 1; }; echo second try", shell=True, tag="flaky"),
    ],
    "release": [Command(["cat", "version"], nice=5, tag="publish")],
}


def show(line: aiospawn.MapLine) -> None:
    print(f"{line.tag:9}{'!' if line.stream == 'stderr' else '|'} {line.line}", end="", flush=True)


async def main() -> int:
    with tempfile.TemporaryDirectory() as workspace:
        for stage, jobs in STAGES.items():
            # Common options; a job's own go before them. Leaving the block, by Ctrl-C too, stops what runs.
            async with aiospawn.map(jobs, on_line=show, cwd=workspace, timeout=600, retries=1, text=True) as results:
                outcomes = [result async for result in results]
            for result in outcomes:
                print(f"{stage}/{result.tag}: {'ok' if result.ok else result.error or f'exit status {result.returncode}'}")
            if not all(result.ok for result in outcomes):
                return 1
    return 0


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        sys.exit(runner.run(main()))
