"""Streaming both ways: 32 MiB through gzip, without ever holding much of it.

The feeder waits in `drain()` when gzip falls behind; gzip waits in its write when we do, for the reader stops reading then.
"""

import asyncio
import zlib
from collections.abc import Iterator

import aiospawn

MIB = 1 << 20
BLOCK = b"".join(b"%07d the quick brown fox jumps over the lazy dog\n" % number for number in range(20_000))[:MIB]


def blocks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield BLOCK


async def feed(stdin: asyncio.StreamWriter, source: Iterator[bytes]) -> tuple[int, int]:
    """How many bytes were sent, and how many waited at most."""
    sent = most = 0
    for block in source:
        stdin.write(block)
        most = max(most, stdin.transport.get_write_buffer_size())
        await stdin.drain()
        sent += len(block)
    stdin.close()
    return sent, most


async def unpack(stdout: asyncio.StreamReader) -> tuple[int, int]:
    """How many packed bytes came, and how many they are unpacked."""
    packed = unpacked = 0
    gzip = zlib.decompressobj(wbits=31)
    while piece := await stdout.read(64 * 1024):
        packed += len(piece)
        unpacked += len(gzip.decompress(piece))
    return packed, unpacked


async def main() -> None:
    async with await aiospawn.create_subprocess_exec("gzip", "-1", stdin=aiospawn.PIPE, stdout=aiospawn.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        (sent, most), (packed, unpacked) = await asyncio.gather(feed(process.stdin, blocks(32)), unpack(process.stdout))
    print(f"sent {sent / MIB:.0f} MiB, at most {most / MIB:.1f} MiB waiting")
    print(f"received {packed / MIB:.1f} MiB packed, {unpacked / MIB:.0f} MiB unpacked")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
