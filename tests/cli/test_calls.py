"""What a launch takes is counted, never timed: more than 5 % above what is stored is a regression.

After a change that has to cost more, or costs less: `python tests/support/call_counts.py`, with each CPython.
"""

from __future__ import annotations

import call_counts
import pytest

_ALLOWED = 1.05


@pytest.mark.parametrize("scenario", call_counts.SCENARIOS)
def test_calls(scenario: str) -> None:
    """Python functions, functions of C and callbacks of the loop for one launch, where a child's moments are fixed."""
    stored = call_counts.stored()[scenario]
    found = call_counts.counted(scenario)
    assert found.keys() == stored.keys()
    assert {name: count for name, count in found.items() if count > _ALLOWED * stored[name]} == {}, stored


def test_counts_are_exact() -> None:
    """Twice the same, so that one more call is seen."""
    assert call_counts.counted("run") == call_counts.counted("run")
