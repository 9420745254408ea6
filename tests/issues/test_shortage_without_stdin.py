"""A status pipe that could not be kept for want of a descriptor was closed twice: perhaps it was another thread's number."""

import pathlib

import fresh
import pytest
from compiled import library

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, errno, os, resource
import aiospawn, fresh

async def main():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    os.close(0)
    for spare in range(10):
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, limits[1]))
        try:
            process = await aiospawn.create_subprocess_exec("/bin/true")
        except OSError as error:
            assert error.errno == errno.EMFILE
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert await process.wait() == 0

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_nothing_is_closed_twice(tmp_path: pathlib.Path, variant: str) -> None:
    """Its reading end came on the number of standard input, and there was none for it to be moved to."""
    made = library(tmp_path, "closed_twice.c")
    assert fresh.run(_PROGRAM, variant, LD_PRELOAD=made._name) == ""
