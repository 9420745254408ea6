"""The steps to the launcher were kept from a launch when standard output was inheritable: later it was lost on the way."""

import fresh
import pytest

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, os
import aiospawn, fresh

async def main():
    for inheritable in (True, False, True):
        os.set_inheritable(1, inheritable)
        process = await aiospawn.create_subprocess_exec("sh", "-c", "echo text >&2", stderr=aiospawn.STDOUT, via="launcher")
        assert await process.wait() == 0

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_stdout_is_not_inheritable_any_more(variant: str) -> None:
    """Standard error as standard output is the parent's, whatever the flag of that was before."""
    assert fresh.run(_PROGRAM, variant) == "text\n" * 3
