"""A web endpoint that streams a command's output, both streams, as server-sent events.

    python examples/web.py &
    curl --no-buffer http://127.0.0.1:8766/

`--self-test` asks it once.
"""

import argparse
import asyncio
import contextlib

import aiospawn

HOST, PORT = "127.0.0.1", 8766
COMMAND = ["sh", "-c", "echo begun; echo a warning >&2; for i in 1 2 3; do sleep 0.1; echo step $i; done"]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A slow client makes the command wait; one that goes away stops it, for the next write fails."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        async with contextlib.aclosing(aiospawn.lines(COMMAND, both=True, text=True, timeout=60, check=False)) as lines:
            async for stream, line in lines:
                writer.write(f"event: {stream}\ndata: {line.rstrip()}\n\n".encode())
                await writer.drain()
        writer.write(b"event: end\ndata:\n\n")
    writer.close()


async def ask(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")  # the head of the answer
    while event := await reader.readline():
        print(event.decode().strip())
    writer.close()
    await writer.wait_closed()


async def main() -> None:
    parser = argparse.ArgumentParser(description="Streams a command's output.")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    server = await asyncio.start_server(serve, HOST, 0 if options.self_test else options.port)
    async with server:
        if not options.self_test:
            await server.serve_forever()
        port = server.sockets[0].getsockname()[1]
        await ask(port)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
