"""A loop that nobody closed: at the interpreter's end what frees its reactor was finalized before what closes it: a crash.

Both are in one cycle of garbage, whose members CPython finalizes in any order (PEP 442).
"""

from __future__ import annotations

import fresh
import pytest

_NOT_CLOSED = """
import asyncio, aiospawn, fresh

async def main():
    assert (await aiospawn.run(["true"])).returncode == 0
    assert await (await aiospawn.create_subprocess_exec("true")).wait() == 0

kept = [asyncio.Runner(loop_factory=fresh.new_event_loop) for _ in range(5)]
for runner in kept:
    runner.run(main())
"""

_FREED_FIRST = """
from aiospawn._binding.library import ffi
from aiospawn._binding.native import Native

made = [Native() for _ in range(100)]
for native in made:
    ffi.release(native._reactor)
blocks = [bytearray(b"x" * 4096) for _ in range(100)]
for native in made:
    native.close()
    native.poll()
"""


@pytest.mark.loops("kinds")
@pytest.mark.parametrize("program", [_NOT_CLOSED, _FREED_FIRST], ids=["not closed", "freed first"])
def test_no_crash(program: str, variant: str) -> None:
    assert fresh.run(program, variant) == ""
