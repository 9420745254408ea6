"""The folders are the import order: what stands in one knows only those above it."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest
from paths import NATIVE

import aiospawn

pytestmark = pytest.mark.once

PACKAGE = pathlib.Path(aiospawn.__file__).parent

ORDER = (
    "_errors",
    "_options",
    "_binding",
    "_sandbox",
    "_request",
    "_termination",
    "_asyncio",
    "_commands",
    "_terminals",
    "_map",
    "_cluster",
)
EXTENSIONS = {"_ffi", "_plain"}
MODULES = {
    f"{path.parent.name}.{path.stem}": path
    for folder in ORDER
    for path in sorted((PACKAGE / folder).glob("*.py"))
    if path.stem != "__init__"
}


def _imports(path: pathlib.Path) -> set[str]:
    """The package's modules that a file imports at whatever place in it, as `folder.module`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        where = f"aiospawn.{path.parent.name}" if node.level == 1 else ""
        source = ".".join(filter(None, (where, node.module)))
        if source != "aiospawn" and not source.startswith("aiospawn."):
            continue
        for alias in node.names:
            _, *names = f"{source}.{alias.name}".split(".")
            found.add(".".join(names[:2]) if names[0] != "_errors" else "_errors")
    return found


def test_every_folder_has_a_place() -> None:
    """The order names each folder and each module of the package but for its door and the command line."""
    private = {path.stem for path in PACKAGE.iterdir() if path.name.startswith("_") and path.suffix in ("", ".py")}
    assert private - {"__init__", "__main__", "__pycache__"} == set(ORDER)


@pytest.mark.parametrize("module", MODULES)
def test_order(module: str) -> None:
    """A module imports from its own folder and from those above it; the extensions are `_binding.library`'s alone."""
    folder = module.partition(".")[0]
    above = ORDER[: ORDER.index(folder) + 1]
    imported = _imports(MODULES[module])
    assert {name for name in imported if name.partition(".")[0] not in above} == set()
    extensions = {name for name in imported if name.rpartition(".")[2] in EXTENSIONS}
    assert module == "_binding.library" or not extensions


def _circle(imports: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, or nothing."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(imports.get(name, ())):
            if circle := visit(other, [*way, name]):
                return circle
        done.add(name)
        return []

    for name in imports:
        if circle := visit(name, []):
            return circle
    return []


def _at_run_time(path: pathlib.Path) -> set[str]:
    """The same without what only a type checker imports."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.Pass()]
    stripped = path.with_suffix("")  # only for its folder
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {f"{stripped.parent.name}.{name}" for name in names}
    return found


def test_no_circle_within_a_folder() -> None:
    """Modules of one folder stand in an order too."""
    assert _circle({module: _at_run_time(path) for module, path in MODULES.items()}) == []


def test_extension_stays_in_its_modules() -> None:
    """What cffi gives is used by the modules that are made for it, and leaves none of them."""
    users = set()
    for module, path in MODULES.items():
        tree = [*ast.walk(ast.parse(path.read_text()))]
        imported = {alias.name for node in tree if isinstance(node, ast.ImportFrom) for alias in node.names}
        reached = {node.attr for node in tree if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "library"}
        if {"ffi", "lib"} & (imported | reached):
            users.add(module)
    assert users == {"_binding.support", "_binding.native", "_binding.restrictions"}


def test_command_line_uses_public_names() -> None:
    """The command line is written on what every user has."""
    for path in [*(PACKAGE / "cli").glob("**/*.py"), PACKAGE / "__main__.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiospawn._"):
                raise AssertionError(f"{path.name}:{node.lineno} reaches into the package")


def test_exports() -> None:
    """`__all__` is what the package defines, no more and no less; it is where public things say that they are."""
    public = {name for name in vars(aiospawn) if not name.startswith("_")} - {"annotations", "cli"}
    assert public | {"__version__"} == set(aiospawn.__all__)
    ours = [value for name, value in vars(aiospawn).items() if name in aiospawn.__all__ and isinstance(value, type)]
    assert {value.__module__ for value in ours} == {"aiospawn"}


NATIVE_ORDER = ("", "child", "launcher", "parent", "plain")  # launcher.h is the message that the parent writes


@pytest.mark.parametrize("path", sorted(NATIVE.glob("**/*.[ch]")), ids=lambda path: str(path.relative_to(NATIVE)))
def test_native_order(path: pathlib.Path) -> None:
    """A C file includes headers of its own folder and of those above it."""
    folder = path.parent.name if path.parent != NATIVE else ""
    for header in re.findall(r'#include "([^"]+)"', path.read_text()):
        of = header.rpartition("/")[0] or (folder if (path.parent / header).exists() else "")
        assert NATIVE_ORDER.index(of) <= NATIVE_ORDER.index(folder), header


def _plain(path: pathlib.Path) -> str:
    """A C file without comments, strings and the preprocessor's conditions."""
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', "", path.read_text(), flags=re.DOTALL)


def _defined(text: str) -> set[str]:
    """The functions and variables that a C file gives to others."""
    outside = re.sub(r"\{.*?^\}|^(?:static|typedef|extern|struct \w+;|#)[^\n]*", "", text, flags=re.DOTALL | re.MULTILINE)
    functions = re.findall(r"^(?!static)[a-z][\w *]*?\b(\w+)\([^;{]*\) \{", text, flags=re.MULTILINE)
    return {*functions, *re.findall(r"^[a-z][\w *]*\b(\w+)(?: = [^;]*)?;$", outside, flags=re.MULTILINE)}


def _native_uses(folder: pathlib.Path) -> dict[str, set[str]]:
    """Which files of a folder each uses, a C file and its header taken as one: by an include, or by a name."""
    files = {path: _plain(path) for path in sorted(folder.glob("*.[ch]"))}
    owners = {name: path.stem for path, text in files.items() if path.suffix == ".c" for name in _defined(text)}
    uses: dict[str, set[str]] = {}
    for path, text in files.items():
        included = {pathlib.Path(name).stem for name in re.findall(r'#include "(\w+\.h)"', path.read_text())}
        named = {owners[name] for name in set(re.findall(r"\w+", text)) & owners.keys()} if path.suffix == ".c" else set()
        uses.setdefault(path.stem, set()).update((included & {other.stem for other in files} | named) - {path.stem})
    return uses


@pytest.mark.parametrize("folder", [folder for folder in NATIVE_ORDER if folder])
def test_no_circle_within_a_native_folder(folder: str) -> None:
    """C files of one folder stand in an order, by what they include and by whose functions they call."""
    assert _circle(_native_uses(NATIVE / folder)) == []


def test_native_uses_are_found(tmp_path: pathlib.Path) -> None:
    """A call makes a circle without any include, as a declaration in a third header allows it."""
    (tmp_path / "a.c").write_text("int b(void);\nint a(void) { return b(); } /* c() */\n")
    (tmp_path / "b.c").write_text("int number = 1;\nint b(void) {\n  return 0;\n}\n")
    (tmp_path / "c.c").write_text(
        "extern int number;\nstatic int a(void) {\n  return number;\n}\nint c(void) { return 0; }\n"
    )
    (tmp_path / "c.h").write_text('#include "a.h"\nint c(void);\n')
    (tmp_path / "a.h").write_text("int a(void);\n")
    assert _native_uses(tmp_path) == {"a": {"b"}, "b": set(), "c": {"a", "b"}}
    (tmp_path / "b.c").write_text("int number = 1;\nint b(void) {\n  return c();\n}\n")
    assert _circle(_native_uses(tmp_path)) == ["a", "b", "c", "a"]
