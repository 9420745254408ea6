"""ruff's pydocstyle rules for everything that is public, in Google's style; and that nothing public is left out of it.

Public classes and functions stand in private modules, where the rules for missing docstrings see nothing public. So they are
asked of a copy: modules without their underscores, whose `__all__` has the names alone that `aiospawn` exports. All other
rules hold for the code itself (pyproject.toml).
"""

from __future__ import annotations

import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("async def run() -> None:\n    pass\n", "D103"),
        ('def run(a: int, b: int) -> None:\n    """Runs.\n\n    Args:\n        a: One.\n    """\n', "D417"),
    ],
)
def test_what_is_missing_is_found(source: str, rule: str, tmp_path: pathlib.Path) -> None:
    """The rules do see what is public in such a copy."""
    (tmp_path / "module.py").write_text(_public_copy(f'"""A module."""\n\n__all__ = ["run"]\n\n\n{source}') or "")
    assert rule in _violations(tmp_path)


# ---- the sections -----------------------------------------------------------------------------------------------------

_MADE_BY_OTHERS = {"AsyncPipe", "CompletedProcess", "Map", "Pipeline", "Process", "RunningPipeline"}
"""Classes whose objects functions return: what these are made from is no user's."""


def _functions(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """The public methods of a class, those included that it has from bases of ours; a loop's are asyncio's, wrapped."""
    for base in kind.__mro__:
        for name, value in vars(base).items():
            function = getattr(value, "__func__", value)
            is_public = base.__module__.startswith("aiospawn") and not name.startswith("_")
            if is_public and inspect.isfunction(function) and not hasattr(function, "__wrapped__"):
                yield f"{kind.__name__}.{name}", function


def _public() -> Iterator[tuple[str, Any]]:
    for name in aiospawn.__all__:
        value = getattr(aiospawn, name)
        if inspect.isfunction(value):
            yield name, value
        elif isinstance(value, type):
            yield from _functions(value)


def _section(docstring: str, title: str) -> str | None:
    """The text of a section, where there is that section."""
    match = re.search(rf"^{title}:\n((?:    .*\n|\n)+)", docstring + "\n", re.MULTILINE)
    return match and match[1]


def _described(section: str | None) -> set[str]:
    return {name.lstrip("*") for name in re.findall(r"^    (\*{0,2}\w+):", section or "", re.MULTILINE)}


def _parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", "cls"}


@pytest.mark.parametrize(("name", "function"), [*_public()], ids=lambda value: value if isinstance(value, str) else "")
def test_functions_say_what_they_take_and_return(name: str, function: Any) -> None:
    """Args with every parameter; where there are such, or it is no method, also Returns, unless that is None."""
    docstring = inspect.getdoc(function) or ""
    parameters = _parameters(function)
    assert _described(_section(docstring, "Args")) == parameters
    if (parameters or "." not in name) and inspect.signature(function).return_annotation not in (None, "None"):
        assert _section(docstring, "Returns")


@pytest.mark.parametrize("name", [name for name in aiospawn.__all__ if isinstance(getattr(aiospawn, name), type)])
def test_classes_say_what_they_are_made_of(name: str) -> None:
    """Args where a user makes its objects, Attributes of values and exceptions."""
    kind = getattr(aiospawn, name)
    docstring = inspect.getdoc(kind) or ""
    attributes = _described(_section(docstring, "Attributes"))
    fields = getattr(kind, "_fields", None) or getattr(kind, "__dataclass_fields__", None)
    if isinstance(fields, (tuple, dict)):
        assert set(fields) == attributes
    elif issubclass(kind, BaseException):
        assert attributes >= _parameters(kind.__init__) - {
            "args",
            "kwargs",
            "returncode",
            "cmd",
            "timeout",
            "output",
            "stderr",
        }
    elif inspect.isfunction(vars(kind).get("__init__")) and name not in _MADE_BY_OTHERS:
        both = docstring + "\n\n" + (inspect.getdoc(kind.__init__) or "")
        assert _described(_section(both, "Args")) == _parameters(kind.__init__)
