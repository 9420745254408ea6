"""A test suite's runner: each test a process of its own, with limits, in a random order, and what failed at the end.

`python examples/suite.py DIRECTORY [-j N]` runs its test_*.sh, and its test_*.py by this Python. Exit status 77 is a test
that was left out, as automake has it.
"""

import argparse
import asyncio
import random
import sys
from pathlib import Path

import aiospawn
from aiospawn import PIPE, STDOUT, Command

SKIPPED = 77


def test(path: Path) -> Command:
    program = [sys.executable, "-B"] if path.suffix == ".py" else ["sh"]
    # A test that fills memory, forks without end or hangs hurts no other.
    return Command(
        [*program, path.name], cwd=path.parent, env_add={"TEST": path.stem}, timeout=20, tag=path.name,
        rlimits={"cpu": 10, "core": 0, "fsize": 1 << 26}, init=True,
    )  # fmt: skip


def verdict(result: aiospawn.MapResult[str]) -> str:
    if isinstance(result.error, aiospawn.TimeoutExpired):
        return "timed out"
    if result.error is not None:
        return f"error: {result.error}"
    if result.signal is not None:
        return f"killed by {result.signal.name}"
    return {0: "ok", SKIPPED: "skipped"}.get(result.returncode or 0, f"failed ({result.returncode})")


async def main(directory: Path, jobs: int | None) -> int:
    tests = [test(path) for pattern in ("test_*.sh", "test_*.py") for path in directory.glob(pattern)]
    random.shuffle(tests)
    bad: list[tuple[str, str]] = []
    async with aiospawn.map(tests, concurrency=jobs, ordered=False, stdout=PIPE, stderr=STDOUT, text=True) as results:
        async for result in results:
            word = verdict(result)
            print(f"{result.tag}: {word} in {result.elapsed:.1f} s", flush=True)
            if word not in ("ok", "skipped"):
                bad.append((f"{result.tag}: {word}", result.stdout or ""))
    for name, output in sorted(bad):
        print(f"--- {name}\n{output}", end="")
    print(f"{len(tests)} tests, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("-j", type=int)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        sys.exit(runner.run(main(given.directory, given.j)))
