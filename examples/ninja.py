"""A small ninja: builds what is older than what it is made of, as much side by side as the graph allows.

`python examples/ninja.py DIRECTORY` builds by the rules below; the directory has a.c and b.c.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiospawn
from aiospawn import Command

RULES = {  # target: (inputs, command)
    "a.o": (["a.c"], "tr a-z A-Z < a.c > a.o"),
    "b.o": (["b.c"], "tr a-z A-Z < b.c > b.o"),
    "program": (["a.o", "b.o"], "cat a.o b.o > program"),
    "program.sum": (["program"], "cksum < program > program.sum"),
}


class Graph:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.needs = {target: {each for each in inputs if each in RULES} for target, (inputs, _) in RULES.items()}
        self.ready: asyncio.Queue[str] = asyncio.Queue()
        self.finish("")

    def is_fresh(self, target: str) -> bool:
        made, inputs = self.directory / target, [self.directory / each for each in RULES[target][0]]
        return made.exists() and all(each.stat().st_mtime_ns <= made.stat().st_mtime_ns for each in inputs)

    def finish(self, done: str) -> None:
        for target, needs in [*self.needs.items()]:
            needs.discard(done)
            if not needs:
                self.ready.put_nowait(target)
                del self.needs[target]

    async def stale(self) -> AsyncIterator[Command]:
        for _ in RULES:
            target = await self.ready.get()  # the map waits here until a command can be run
            if self.is_fresh(target):
                self.finish(target)
            else:
                yield Command(RULES[target][1], shell=True, cwd=self.directory, tag=target)


async def build(graph: Graph) -> None:
    async with aiospawn.map(graph.stale(), ordered=False, capture_output=True, text=True) as results:
        async for result in results:
            print(f"{result.tag}: {result.command.args}")
            if not result.ok:
                raise SystemExit(result.error or result.stderr)  # what runs is stopped
            graph.finish(result.tag)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(build(Graph(Path(sys.argv[1]))))
