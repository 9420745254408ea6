"""The drop-in: a program of asyncio's, launching through aiospawn. Only the event loop is another."""

import asyncio

import aiospawn


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().strip()


async def main() -> None:
    system, processors, files = await asyncio.gather(
        output_of("uname", "-sr"),
        output_of("nproc"),
        output_of("sh", "-c", "ls /usr/bin | wc -l"),
    )
    print(f"{system}, {processors} processors, {files} programs in /usr/bin")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:  # on 3.12+: asyncio.run(main(), loop_factory=...)
        runner.run(main())
