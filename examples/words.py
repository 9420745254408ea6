"""The most frequent words of a file, by a pipeline; then `grep` for the first, line by line, until enough.

python examples/words.py /usr/share/common-licenses/GPL-3
"""

import asyncio
import contextlib
import sys

import aiospawn


async def frequent(path: str, count: int) -> list[str]:
    result = await aiospawn.pipeline(
        ["grep", "-Eow", "[A-Za-z]{5,}", path],
        ["sort"],
        ["uniq", "-c"],
        ["sort", "-k1,1nr", "-k2"],
        ["head", "-n", str(count)],
        stdout=aiospawn.PIPE,
        text=True,
        check=True,
        timeout=10,
    )
    return [line.split()[1] for line in result.stdout.splitlines()]


async def occurrences(path: str, word: str, most: int) -> list[str]:
    found: list[str] = []
    async with contextlib.aclosing(aiospawn.lines(["grep", "-w", word, path], text=True)) as lines:
        async for line in lines:
            found.append(line.strip())
            if len(found) == most:
                break
    return found


async def main() -> None:
    path = sys.argv[1]
    words = await frequent(path, 3)
    print("often:", *words)
    for line in await occurrences(path, words[0], 2):
        print(f"  {line}")
    counted = await aiospawn.run(["wc", "-l", path], capture_output=True, text=True, check=True)
    print(f"{counted.stdout.split()[0]} lines, counted in {counted.elapsed:.1f} s")


with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
    runner.run(main())
