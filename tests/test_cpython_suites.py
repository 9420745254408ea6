"""The acceptance suites: CPython's own tests of asyncio's subprocesses, unchanged, on our loops."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import fresh
import pytest

# Tests that look inside asyncio's own implementation, so they cannot pass on another one. The table may shrink, not grow:
# a test that passes, or that this Python does not have, must leave it.
EXCLUDED = {
    "SubprocessMixin.test_pause_reading": "mocks loop.connect_read_pipe; our pipes do not come from there",
    "SubprocessMixin.test_popen_error": "mocks subprocess.Popen, which we do not call",
    "SubprocessMixin.test_popen_error_with_stdin_pipe": "mocks subprocess.Popen, which we do not call",
}
MOST_EXCLUDED = 3
LEAST_RUN = 40  # tests of the two classes

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        importlib.util.find_spec("test.test_asyncio") is None, reason="this Python comes without its test package"
    ),
]


def _outcomes(variant: str) -> dict[str, str]:
    kind, _, spawn = variant.partition("-")
    if kind == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    program = pathlib.Path(__file__).with_name("cpython_suite.py")
    done = subprocess.run(
        [sys.executable, program, kind],
        env={**os.environ, "AIOSPAWN_SPAWN": spawn},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return outcomes


@pytest.mark.parametrize("variant", fresh.VARIANTS)
def test_suite(variant: str) -> None:
    """All pass but those named above, which fail."""
    outcomes = _outcomes(variant)
    failed = {name: outcome for name, outcome in outcomes.items() if outcome.startswith("failed")}
    unexpected = "\n".join(f"{name}: {outcome}" for name, outcome in failed.items() if name not in EXCLUDED)
    assert not unexpected, unexpected
    assert set(failed) == set(EXCLUDED)
    assert len(EXCLUDED) <= MOST_EXCLUDED
    assert sum(outcome == "passed" for outcome in outcomes.values()) >= LEAST_RUN - MOST_EXCLUDED
