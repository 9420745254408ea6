"""The programs of docs/recipes.md run, print what stands below them, and are short."""

import re
import subprocess
from pathlib import Path

import fresh
import pytest
from paths import ROOT

pytestmark = pytest.mark.once

DOCUMENT = (ROOT / "docs" / "recipes.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```\n\n```output\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize(("program", "output"), PROGRAMS, ids=["anyio", "plumbum", "sh"])
def test_program(program: str, output: str, tmp_path: Path) -> None:
    """As a user would copy it, who comes from there."""
    completed = subprocess.run(
        fresh.command(program, flags=["-P", "-W", "error"]), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (completed.stdout, completed.stderr) == (output, "")


def test_programs_are_short() -> None:
    """The nine programs of new users: 60 lines at most, these and those of examples/."""
    files = ("ci", "web", "ninja", "supervisor", "conversation", "batch", "remote", "suite")
    programs = [program for program, _ in PROGRAMS] + [(ROOT / "examples" / f"{name}.py").read_text() for name in files]
    assert DOCUMENT.count("```python") == len(PROGRAMS) == 3
    assert [program.splitlines()[0] for program in programs if program.count("\n") > 60] == []
