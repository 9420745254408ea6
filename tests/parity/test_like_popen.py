"""What a child finds when it begins to run is what a child of subprocess.Popen finds."""

from __future__ import annotations

import itertools

import fresh
import loops
import pytest

CLOSED = [closed for count in range(4) for closed in itertools.combinations(range(3), count)]

_DESCRIPTORS = """
import os

held = [os.dup(0) for _ in range(12)]  # the low numbers are the examples', so nothing else may lie there
import popen_and_us

popen_and_us.compare_descriptors(held, {closed})
"""


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: "".join(map(str, closed)) or "none")
@pytest.mark.parametrize(
    ("variant", "crowd"), [*((variant, 0) for variant in loops.SPAWNS), *((variant, 700) for variant in loops.CONCURRENT)]
)
def test_descriptors(variant: str, crowd: int, closed: tuple[int, ...]) -> None:
    """The same files under the same numbers and no others, whichever of its own 0, 1 and 2 the parent has closed."""
    assert fresh.run(_DESCRIPTORS.format(closed=closed), variant, crowd) == ""


@pytest.mark.parametrize("without", ["", "clone3"])
def test_signals(variant: str, without: str) -> None:
    """The same signals are blocked, ignored and caught; in the parent all is as before, after a failure as well."""
    assert fresh.run("import popen_and_us\n\npopen_and_us.compare_signals()", variant, AIOSPAWN_WITHOUT=without) == ""
