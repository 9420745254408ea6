"""A status was lost, once in 12,000 children, that another thread was just about to reap: the kernel had not reported it."""

import pathlib

import fresh
import pytest
from compiled import library

import aiospawn

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, logging, os, sys
import aiospawn, fresh

logging.disable()

async def main():
    for turn in range(10):
        process = await aiospawn.create_subprocess_exec("sh", "-c", f"read line; exit {turn}", stdin=-1)
        view = process._transport.get_extra_info("subprocess")
        process.stdin.write_eof()
        os.waitpid(process.pid, 0)
        assert view.poll() in (None, turn), view.poll()
        assert await process.wait() == turn, process.returncode

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.parametrize("how", ["between", "1", "20"])
def test_half_reaped(tmp_path: pathlib.Path, variant: str, how: str) -> None:
    """The kernel is asked until it has the status."""
    if not aiospawn.supported().features["pidfd_info"]:
        pytest.skip("the kernel never tells")
    made = library(tmp_path, "half_reaped.c")
    assert fresh.run(_PROGRAM, variant, LD_PRELOAD=made._name, HALF_REAPED=how) == ""
