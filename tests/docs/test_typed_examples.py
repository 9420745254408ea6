"""The documents' examples pass mypy and pyright, strict, as they stand; in docs/integrations.md with what is installed."""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Collection
from pathlib import Path

import pytest
from paths import ROOT

pytestmark = pytest.mark.once

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _program(block: str) -> str:
    """A block as a file: what awaits outside of a function stands in one, and what is left to the reader is there."""
    used = [name for name in ("asyncio", "aiospawn") if f"{name}." in block]
    head = "".join(f"import {name}\n" for name in used if not re.search(rf"^import .*{name}", block, re.MULTILINE))
    if "main()" in block and "def main()" not in block:
        head += "async def main() -> None: ...\n"
    try:
        compile(block, "block", "exec")
    except SyntaxError:
        block = f"async def example() -> None:\n{textwrap.indent(block, '    ')}"
    return f"{head}\n{block}"


def _written(directory: Path, *, leave_out: Collection[str] = ()) -> int:
    """The examples of all documents but some, each as a file. Returns how many there are."""
    number = 0
    for document in DOCUMENTS:
        if document.name in leave_out:
            continue
        text = document.read_text()
        # uvloop.run() wants uvloop.Loop, which aiospawn cannot name: uvloop need not be there
        for found in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if "uvloop.run(" in found[1]:
                continue
            line = text.count("\n", 0, found.start()) + 2
            (directory / f"{document.stem}_{line}.py").write_text(_program(found[1]))
            number += 1
    return number


def test_mypy(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    assert _written(tmp_path) > 40
    # For what is not here, and for `distributed`, whose Client has no annotations.
    leniently = ["--ignore-missing-imports", "--allow-subclassing-any", "--allow-untyped-decorators"]
    leniently += ["--untyped-calls-exclude=distributed"]
    command = [sys.executable, "-m", "mypy", "--strict", *leniently, "--python-version", "3.12", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Success: "), done.stdout


def test_pyright(tmp_path: Path) -> None:
    """Without those of other packages, of whose types it would say that it does not know them."""
    pytest.importorskip("pyright")
    assert _written(tmp_path, leave_out={"integrations.md", "cluster.md"}) > 20
    # The version by name, as mypy has it: examples are of 3.12, whichever CPython runs the test.
    configuration = {"typeCheckingMode": "strict", "pythonVersion": "3.12", "reportMissingImports": False}
    configuration |= {"extraPaths": [str(ROOT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "0 errors" in done.stdout, done.stdout
