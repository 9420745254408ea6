"""The programs of the site's own pages run, and print what stands below them; every page is on the site."""

from __future__ import annotations

import re
import runpy
import subprocess
from typing import TYPE_CHECKING

import fresh
import pytest
from paths import ROOT

import aiospawn
from aiospawn.cli import _main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

DOCS = ROOT / "docs"
PAGES = [DOCS / "index.md", DOCS / "start.md", *sorted((DOCS / "guides").glob("*.md"))]
_PAIR = re.compile(r"```python\n(.*?)```\n\n```output\n(.*?)```", re.DOTALL)
EXAMPLES = [
    pytest.param(*pair, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, pair in enumerate(_PAIR.findall(page.read_text()))
]


@pytest.mark.parametrize(("program", "output"), EXAMPLES)
def test_example(program: str, output: str, tmp_path: Path) -> None:
    """As a user would copy it."""
    if "uvloop" in program:
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    completed = subprocess.run(
        fresh.command(program, flags=["-P", "-W", "error"]), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (completed.stdout, completed.stderr) == (output, "")


def test_every_example_is_run() -> None:
    assert sum(page.read_text().count("```python") for page in PAGES) == len(EXAMPLES)
    assert len(EXAMPLES) >= 14


def test_every_page_is_on_the_site() -> None:
    """The front page's table of contents has each, once."""
    contents = "".join(re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.DOTALL))
    named = [line for line in contents.splitlines() if re.fullmatch(r"[\w/]+", line)]
    there = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")} - {"index"}
    assert sorted(named) == sorted(there)


def test_every_command_is_on_its_page() -> None:
    """With its options, from its parser."""
    page = (DOCS / "commands.md").read_text()
    assert re.findall(r"^```\{command-options\} (\w+)$", page, re.MULTILINE) == [each.name for each in _main.COMMANDS]


def test_badges() -> None:
    """They say what pyproject.toml does, and the README what they say."""
    badges = runpy.run_path(str(DOCS / "badges.py"))
    for label, value in badges["values"]().items():
        name = f"badge-{label.lower()}.svg"
        assert (DOCS / "_static" / name).read_text() == badges["badge"](label, value)
        assert f"![{label}: {value}](docs/_static/{name})" in (ROOT / "README.md").read_text()


def test_the_reference_has_every_public_name() -> None:
    """Those that are not aiospawn's own, or have no docstring, are described in words."""
    reference = (DOCS / "reference.md").read_text()
    shown = set(re.findall(r"^\.\. auto\w+:: (\w+)$", reference, re.MULTILINE))
    assert shown | {"PIPE", "STDOUT", "DEVNULL", "ProcessEvent", "__version__"} == set(aiospawn.__all__)


def test_nothing_wears_off_the_diagram() -> None:
    """The fence that the design uses is the one that the site draws."""
    assert re.findall(r"```(mermaid\nstateDiagram-v2\n)", (DOCS / "design.md").read_text())
