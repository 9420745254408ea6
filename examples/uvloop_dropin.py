"""The drop-in on uvloop. The child's streams are real pipes, so it may open /dev/stdin: uvloop's sockets refuse that."""

import asyncio

import aiospawn

WORDS = ["pipe", "fork", "wait", "exec"]


async def main() -> None:
    process = await asyncio.create_subprocess_exec(
        "sort", "/dev/stdin", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate("\n".join(WORDS).encode())
    print(f"{type(asyncio.get_running_loop()).__name__}: {' '.join(output.decode().split())}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_uvloop_event_loop) as runner:
        runner.run(main())
