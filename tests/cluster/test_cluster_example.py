"""The example of a cluster, on workers that are there and on its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from example_programs import EXAMPLES

pytest.importorskip("distributed")
pytestmark = [pytest.mark.once, pytest.mark.slow]


def test_example(address: str) -> None:
    """Every number, in order; what is made for it has ended."""
    for arguments in ([address], []):
        command = [sys.executable, str(EXAMPLES / "cluster.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines()
        assert [int(line.partition(":")[0]) for line in lines] == [2**number - 1 for number in range(2, 42)]
        assert lines[-1] == "2199023255551: 13367 164511353"
        assert done.stderr.splitlines()[-1].startswith("40 numbers, ")
