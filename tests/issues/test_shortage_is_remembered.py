"""A shortage of descriptors at the first use was taken for a kernel without pidfds, for the life of the process."""

import fresh
import pytest

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, os, resource
import aiospawn, fresh

fresh.descriptors()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
lowest = os.dup(0)
os.close(lowest)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + {spare}, hard))
(reason,) = aiospawn.supported().reasons
assert "for want of descriptors" in reason, reason
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert aiospawn.supported() and aiospawn.supported().features["launcher"]

async def main():
    process = await aiospawn.create_subprocess_exec("true")
    print(await process.wait())

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.parametrize("spare", [0, 1], ids=["not for the pidfd", "not for the set"])
def test_a_shortage_passes(spare: int) -> None:
    """`supported()` says what was missing, and tries again."""
    assert fresh.run(_PROGRAM.format(spare=spare)) == "0\n"
