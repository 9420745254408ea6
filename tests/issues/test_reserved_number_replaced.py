"""A number of the reserved block that the program had put a file of its own on: the launch that found it kept the others.

The numbers before it, filled already, stayed open in the parent: the end of the child's output never came.
"""

import fresh
import pytest

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, os
import aiospawn, fresh

async def main():
    process = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    return await process.communicate(b"text"), process.returncode

loop = fresh.new_event_loop()
loop.run_until_complete(main())
first = min(number for number in fresh.reserved() if number >= 64)
for place in {places}:
    os.dup2(0, first + place)
print(*(loop.run_until_complete(main()) for _ in range(3)))
assert all(fresh.descriptors()[first + place] == "/dev/null" for place in {places})
loop.close()
"""


@pytest.mark.parametrize("places", [(2,), (0, 5, 10, 15)], ids=["of one segment", "of each segment another"])
def test_a_number_is_replaced(places: tuple[int, ...], variant: str) -> None:
    """Launches find another way, and the program's files stay where it put them."""
    assert fresh.run(_PROGRAM.format(places=places), variant, 600).count("((b'text', None), 0)") == 3
