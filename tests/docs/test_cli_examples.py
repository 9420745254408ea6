"""The command lines in README, documentation and help texts run, and print what they are said to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment
from paths import ROOT

from aiospawn.cli import _main

pytestmark = pytest.mark.once

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONSOLES = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    for number, block in enumerate(re.findall(r"```console\n(.*?)```", path.read_text(), re.DOTALL))
]
HELP = [
    line.removeprefix("  $ ") for command in _main.COMMANDS for line in getattr(command.load(), "EXAMPLES", "").splitlines()
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a few files to work on."""
    for name in ("big", "a", "b c"):
        (tmp_path / f"{name}.log").write_text(f"{name}\nan error\n")
    return tmp_path


def said(line: str, place: Path) -> str:
    """What a line typed into a shell prints, on either stream."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["/bin/sh", "-c", line], cwd=place, env=environment(PATH=path), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("block", CONSOLES)
def test_documents(block: str, place: Path) -> None:
    """Lines behind `$` are typed, the others are what is printed."""
    for line, printed in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        assert said(line, place) == printed


@pytest.mark.slow
@pytest.mark.parametrize("line", HELP)
def test_help(line: str, place: Path) -> None:
    """Each example succeeds."""
    assert line.startswith(("aiospawn ", "ls ", "find "))
    output = said(line, place)
    assert "Traceback" not in output
    assert "aiospawn: " not in output


def test_there_are_examples() -> None:
    """The patterns above find them."""
    assert len(CONSOLES) >= 6
    assert len(HELP) >= 8
