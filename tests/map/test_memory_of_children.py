"""Nothing of a child that has ended stays in memory: the extension counts its references by hand."""

from __future__ import annotations

import json

import fresh
import pytest

import aiospawn

pytestmark = [
    pytest.mark.skipif(not aiospawn.supported(), reason="no native part"),
    pytest.mark.loops("one"),
    pytest.mark.timeout(120),
]

_ROUNDS = """
import asyncio, gc, json, os, sys
import aiospawn, fresh

commands, options = json.loads(os.environ["COMMANDS"])

async def rounds(count):
    for _ in range(count):
        async for _ in aiospawn.map(commands * 8, concurrency=8, **options):
            pass
        for command in commands:
            try:
                await aiospawn.run(command, **options)
            except (OSError, ValueError, aiospawn.OutputLimitExceeded):
                pass
    gc.collect()
    return sys.getallocatedblocks()

async def main():
    before = await rounds(3)
    print(await rounds(12) - before)

with asyncio.Runner(loop_factory=fresh.new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize(
    ("commands", "options"),
    [
        ([["/bin/true"], ["false"]], {}),
        ([["echo", "text"], ["sh", "-c", "echo text; echo more >&2"]], {"capture_output": True}),
        ([["echo", "text"]], {"capture_output": True, "text": True}),
        ([["/nonexistent"], ["/dev/null"], ["nul\0byte"]], {"stdout": -1}),
        ([["echo", "too much"]], {"stdout": -1, "max_output": 3}),
    ],
    ids=["plain", "output", "text", "failures", "too much"],
)
def test_no_block_is_left(commands: list[list[str]], options: dict[str, object], variant: str) -> None:
    """A hundred commands and more leave fewer blocks than one for each."""
    found = fresh.run(_ROUNDS, variant, COMMANDS=json.dumps((commands, options)))
    assert int(found) < 96
