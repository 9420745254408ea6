"""ruff's pydocstyle rules for everything that is public, in Google's style.

Public classes and functions stand in private modules, where these rules see nothing public. So they are asked of a copy:
modules without their underscores, whose `__all__` has the names alone that `aiospawn` exports.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import aiospawn

PACKAGE = pathlib.Path(aiospawn.__file__).parent
RULES = "D101,D102,D103,D2,D3,D4"
_EXPORTED = re.compile(r"^__all__ = \[.*?\]$", re.MULTILINE | re.DOTALL)


def _public_copy(source: str) -> str | None:
    """The module, with a list of its public names that is `aiospawn`'s; None if it defines none of those."""
    names = [name for name in aiospawn.__all__ if re.search(rf"^(async def|def|class) {name}\b", source, re.MULTILINE)]
    return _EXPORTED.sub(f"__all__ = {names!r}", source, count=1) if names else None


def _violations(directory: pathlib.Path) -> str:
    ruff = shutil.which("ruff", path=f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("needs ruff")
    settings = ["--config", 'lint.pydocstyle.convention = "google"', "--isolated", "--output-format", "concise"]
    ignored = ["--ignore", "D203,D213,D400,D401,D403,D415"]  # as in pyproject.toml
    command = [ruff, "check", *settings, "--select", RULES, *ignored, "--no-cache", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_public_names_have_docstrings(tmp_path: pathlib.Path) -> None:
    """Each class, function and method that a user can name."""
    found = 0
    for path in PACKAGE.rglob("*.py"):
        copy = None if "cli" in path.parts else _public_copy(path.read_text())
        if copy is not None:
            (tmp_path / f"{path.parent.name}_{path.stem}".strip("_")).with_suffix(".py").write_text(copy)
            found += 1
    assert found > 10
    assert _violations(tmp_path).splitlines()[-1] == "All checks passed!", _violations(tmp_path)


def test_a_missing_docstring_is_found(tmp_path: pathlib.Path) -> None:
    """The rules do see what is public in such a copy."""
    (tmp_path / "module.py").write_text(_public_copy('__all__ = ["run"]\n\n\nasync def run() -> None:\n    pass\n') or "")
    assert "D103" in _violations(tmp_path)
