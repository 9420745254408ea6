"""What asyncio's protocol is called with is written out for it: it has recorded at the end what it has on asyncio's loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from until import until

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Callable

_PIPE = asyncio.subprocess.PIPE
_PLAIN = (bool, int, list, type(None))


def _plain(thing: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(thing).items() if isinstance(value, _PLAIN)}


async def _ended(program: str, pipes: dict[str, int]) -> list[Any]:
    process: Any = await asyncio.create_subprocess_exec("/bin/sh", "-c", program, **pipes)
    protocol, transport = process._protocol, process._transport
    if process.stdin is not None:
        process.stdin.close()
    assert await process.wait() == 3
    await until(lambda: protocol._connection_lost and protocol._transport is None)  # the pipes end before, or behind it
    await until(lambda: process.stdin is None or protocol._stdin_closed.done())
    readers = [_plain(reader) for reader in (process.stdout, process.stderr) if reader is not None]
    return [_plain(protocol), protocol._stdin_closed.done(), transport._closed, transport.get_returncode(), *readers]


def _recorded(loop: Callable[[], asyncio.AbstractEventLoop], program: str, *streams: str) -> list[Any]:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_ended(program, dict.fromkeys(streams, _PIPE)))


@pytest.mark.parametrize(
    ("program", "streams"),
    [
        ("exit 3", ()),
        ("echo word; exit 3", ("stdout",)),
        ("echo word; echo words >&2; exit 3", ("stdout", "stderr")),
        ("exec <&-; echo word; exit 3", ("stdin", "stdout", "stderr")),
        ("cat; exit 3", ("stdin", "stdout")),
        ("exec >&-; exit 3", ("stdout",)),
    ],
)
def test_as_on_asyncios_loop(program: str, streams: tuple[str, ...]) -> None:
    ours = _recorded(aiospawn.new_event_loop, program, *streams)
    assert ours == _recorded(asyncio.SelectorEventLoop, program, *streams)
