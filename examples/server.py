"""A server that runs a command for each request: send it a number and it answers with the prime factors.

    python examples/server.py &
    echo 2026 | nc 127.0.0.1 8765

`--self-test` lets a few clients ask at the same time, and ends.
"""

import argparse
import asyncio

import aiospawn

HOST, PORT = "127.0.0.1", 8765
SECONDS = 5


async def factors(number: int) -> bytes:
    # Leaving the block stops and reaps the child: after an answer, a timeout, or when the server is stopped.
    async with await aiospawn.create_subprocess_exec(
        "factor", str(number), stdout=aiospawn.PIPE, stderr=aiospawn.DEVNULL
    ) as process:
        output, _ = await process.communicate()
        return output or b"cannot tell\n"


async def answer(line: bytes) -> bytes:
    try:
        number = int(line)
    except ValueError:
        return b"not a number\n"
    try:
        return await asyncio.wait_for(factors(number), SECONDS)
    except TimeoutError:
        return b"takes too long\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(await answer(line))
            await writer.drain()
    except (ConnectionError, ValueError):  # the client has gone, or sends a line without end
        pass
    finally:
        writer.close()


async def ask(port: int, question: str) -> str:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"{question}\n".encode())
    reply = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return reply.decode().strip()


async def main() -> None:
    parser = argparse.ArgumentParser(description="Answers numbers with their prime factors.")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--self-test", action="store_true", help="ask a few questions and end")
    options = parser.parse_args()
    server = await asyncio.start_server(serve, HOST, 0 if options.self_test else options.port)
    async with server:
        port = server.sockets[0].getsockname()[1]
        if options.self_test:
            for reply in await asyncio.gather(*(ask(port, str(question)) for question in (*range(2020, 2030), "seven"))):
                print(reply)
        else:
            print(f"listening on {HOST}:{port}")
            await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
