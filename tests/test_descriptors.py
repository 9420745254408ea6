"""Any plan of descriptors comes out as a plain model says, whichever of its own 0, 1, 2 the parent has closed."""

from __future__ import annotations

import itertools
import os

import fresh
import pytest

CLOSED = [closed for count in range(4) for closed in itertools.combinations(range(3), count)]

_PROGRAM = """
import os

spare = []
while (number := os.dup(0)) < 12:  # LOW
    spare.append(number)
os.close(number)

import descriptor_plans

assert descriptor_plans.LOW == 12
descriptor_plans.compare(spare, {closed}, {examples}, {seed})
"""

# The seed makes every run the same. With DESCRIPTOR_EXAMPLES=N there are N new examples each time.
_EXAMPLES = int(os.environ.get("DESCRIPTOR_EXAMPLES", "0"))


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: "".join(map(str, closed)) or "none")
@pytest.mark.parametrize("variant", ["stdlib", "stdlib-vfork"])
def test_plans(variant: str, closed: tuple[int, ...]) -> None:
    """Streams, `pass_fds`, `fds`, `open_fds` and `close_fds` together, by a child that shares memory or by the launcher."""
    seed = None if _EXAMPLES else CLOSED.index(closed)
    fresh.run(_PROGRAM.format(closed=closed, examples=_EXAMPLES or 100, seed=seed), variant)
