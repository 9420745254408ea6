"""The programs in docs/map.md run as they stand, and its table names every argument."""

import inspect
import re
import subprocess

import fresh
import pytest
from paths import ROOT

import aiospawn

pytestmark = pytest.mark.once

DOCUMENT = (ROOT / "docs" / "map.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs(program: str) -> None:
    """Each runs without a warning."""
    completed = subprocess.run(
        fresh.command(program, flags=["-P", "-W", "error"]), capture_output=True, text=True, check=False
    )
    assert completed.stderr == ""
    assert completed.stdout.startswith(("command 1: 1\n", "1 done, "))


def test_arguments() -> None:
    """No more and no less than there are."""
    rows = re.findall(r"^\| (`.*?) \|", DOCUMENT, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", "".join(rows)))
    assert named | {"options"} == set(inspect.signature(aiospawn.map).parameters)
