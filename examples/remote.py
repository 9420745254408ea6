"""A remote executor: commands over standard input and output, as of `ssh HOST python remote.py --serve`.

A request is a line of JSON; answers come as the commands end, side by side. `python examples/remote.py` is the client of a
server in a child: in front of that could stand ssh, docker exec or sudo.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence

import aiospawn


async def serve() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def execute(number: int, args: list[str]) -> None:
        try:
            done = await aiospawn.run(args, capture_output=True, text=True, timeout=60, max_output=1 << 20)
            answer = [number, done.returncode, done.stdout or done.stderr]
        except (OSError, aiospawn.TimeoutExpired, aiospawn.OutputLimitExceeded) as error:
            answer = [number, None, str(error)]
        print(json.dumps(answer), flush=True)

    async with asyncio.TaskGroup() as group:
        async for line in reader:
            group.create_task(execute(*json.loads(line)))


async def client(commands: Sequence[Sequence[str]]) -> None:
    server = [sys.executable, __file__, "--serve"]
    answers: list[asyncio.Future[tuple[int | None, str]]] = [asyncio.Future() for _ in commands]

    async def requests() -> AsyncIterator[str]:
        for number, args in enumerate(commands):
            yield f"{json.dumps([number, args])}\n"
        await asyncio.wait(answers)  # then the server's input ends, and so does the server

    async def answered() -> None:
        # With init, nothing that the server started outlives it, whatever it ends by.
        async for line in aiospawn.lines(server, input=requests(), text=True, init=True):
            answer: tuple[int, int | None, str] = json.loads(line)
            answers[answer[0]].set_result(answer[1:])

    async with asyncio.TaskGroup() as group:
        group.create_task(answered())
        for args, answer in zip(commands, answers, strict=True):
            code, output = await answer
            print(" ".join(args), "->", code, output.strip())


if __name__ == "__main__":
    commands = (["echo", "hello"], ["sh", "-c", "sleep 0.1; exit 3"], ["no-such-program"])
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(serve() if "--serve" in sys.argv else client(commands))
