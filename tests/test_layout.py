"""The order of the rooms: a lower one never knows a higher one."""

from __future__ import annotations

import ast
import pathlib

import pytest

import aiospawn

ORDER = (
    *("_errors", "_values", "_descriptors", "_ids", "_capabilities", "_checks", "_options"),
    *("_clib", "_support", "_environ", "_stdio", "_steps", "_request", "_lifecycle", "_native", "_forked", "_reactor"),
    *("_pipes", "_reading", "_writing", "_terminal", "_terminal_input", "_streams"),
    *(
        "_view",
        "_handles",
        "_tree",
        "_scopes",
        "_ending",
        "_transport",
        "_launch",
        "_observe",
        "_keywords",
        "_command",
        "_process",
        "_loops",
    ),
    *("_result", "_observed", "_capture", "_files", "_handed_over", "_run"),
    *("_pipeline", "_lines", "_system", "_restart", "_health", "_supervise", "_group"),
    *("_halt", "_crew", "_map"),
)
PACKAGE = pathlib.Path(aiospawn.__file__).parent
ROOMS = {path.stem: path for path in PACKAGE.glob("_*.py") if not path.stem.startswith("__")}


def _imported(path: pathlib.Path) -> set[str]:
    """The package's modules that a file imports, at whatever place in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names |= {alias.name for alias in node.names} if node.module is None else {node.module.partition(".")[0]}
    return names


def test_every_room_has_a_place() -> None:
    """The order names every module of the package."""
    assert set(ORDER) == set(ROOMS)


@pytest.mark.parametrize("room", ORDER)
def test_order(room: str) -> None:
    """A module imports only what stands before it; the extensions are _clib's alone."""
    allowed = {*ORDER[: ORDER.index(room)], *({"_ffi", "_environment"} if room == "_clib" else ())}
    assert _imported(ROOMS[room]) <= allowed


def test_extension_stays_in_its_rooms() -> None:
    """What cffi gives is used in the rooms that are made for it, and leaves none of them."""
    rooms = set()
    for room, path in ROOMS.items():
        tree = [*ast.walk(ast.parse(path.read_text()))]
        imported = {alias.name for node in tree if isinstance(node, ast.ImportFrom) for alias in node.names}
        reached = {node.attr for node in tree if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "_clib"}
        if {"ffi", "lib"} & (imported | reached):
            rooms.add(room)
    assert rooms == {"_support", "_native"}


def test_command_line_uses_public_names() -> None:
    """The command line is written on what every user has."""
    for path in [*(PACKAGE / "cli").glob("*.py"), PACKAGE / "__main__.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.level > 1 or (node.module or "").startswith("aiospawn._")):
                raise AssertionError(f"{path.name}:{node.lineno} reaches into the package")


def test_exports() -> None:
    """`__all__` is what the package defines, no more and no less."""
    public = {name for name in vars(aiospawn) if not name.startswith("_")} - {"annotations", "cli"}
    assert public | {"__version__"} == set(aiospawn.__all__)
