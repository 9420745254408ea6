"""What the documentation says of the project is so."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import fresh
import pytest
from lifecycle_diagram import diagram
from paths import ROOT

import aiospawn

pytestmark = pytest.mark.once

README = (ROOT / "README.md").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


@documents
def test_links(document: Path) -> None:
    """A link to a file leads to one."""
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


@documents
def test_named_files(document: Path) -> None:
    """A file of the tests that a document names is there."""
    named = set(re.findall(r"tests/[\w/]+\.(?:py|[ch])\b", document.read_text()))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_lifecycle_diagram() -> None:
    """The diagram in the design is drawn from the table of today."""
    assert f"```mermaid\n{diagram()}\n```" in (ROOT / "docs" / "design.md").read_text()


def test_commands() -> None:
    """The README has its two one-line commands, and .ci/run reads the one that tests from there."""
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv ")]
    assert [line.rpartition(" && ")[2] for line in lines] == [
        ".venv/bin/aiospawn demo",
        ".venv/bin/pytest -n auto -m 'not slow'",
    ]
    assert all(line.startswith("python3 -m venv .venv && .venv/bin/pip install ") for line in lines)
    command = "grep -xE '([^']+)' README.md"
    (pattern,) = re.findall(command, (ROOT / ".ci" / "run").read_text())
    assert re.fullmatch(pattern.replace(r"\S", r"[^ ]"), lines[1])
    assert not re.fullmatch(pattern.replace(r"\S", r"[^ ]"), lines[0])


def _snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(_snippets())))
def test_snippets(number: int, tmp_path: Path) -> None:
    """The README's programs run as they stand."""
    snippet = _snippets()[number]
    if "asyncio.run(main(), loop_factory" in snippet and sys.version_info < (3, 12):
        pytest.skip("asyncio.run() takes a loop factory from Python 3.12 on")
    program = snippet
    if re.search(r"^(async with|await|\w+ = await) ", snippet, re.MULTILINE):
        body = "\n".join(f"    {line}" for line in snippet.splitlines())
        program = f"import asyncio, aiospawn\n\nasync def main():\n{body}\n\nasyncio.run(main())"
    elif "main()" in snippet:
        program = f"async def main():\n    print('ran')\n\n{snippet}"
    completed = subprocess.run(
        fresh.command(program, flags=["-P", "-W", "error"]), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert completed.stderr == ""
    assert completed.stdout


def test_changelog() -> None:
    """The version that is being made, or has just been released, heads the changelog; the package's is the only one."""
    first, *_ = re.findall(r"^## \[.*(?:\n\n.*)?", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    version = aiospawn.__version__
    assert first == f"## [Unreleased]\n\nWhat will be {version}." or re.match(
        rf"## \[{version}\] - \d{{4}}-\d\d-\d\d\n", first
    )
    assert importlib.metadata.version("aiospawn") == version
    assert '\nversion = "' not in (ROOT / "pyproject.toml").read_text()
