"""What a type checker and an editor know of the keywords is what the functions take."""

import ast
import contextlib
import inspect
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import ROOT

import aiospawn
from aiospawn._asyncio import launch
from aiospawn._options import keywords
from aiospawn._options.options import CHECKS, Options

_FUNCTIONS = {name: getattr(aiospawn, name) for name in aiospawn.__all__ if inspect.isfunction(getattr(aiospawn, name))}
_FUNCTIONS |= {"ProcessGroup": aiospawn.ProcessGroup.__init__, "spawn": aiospawn.ProcessGroup.spawn}
_LAUNCH = aiospawn.LaunchOptions.__annotations__.keys()
_COMMAND = aiospawn.CommandOptions.__annotations__.keys()
_TEXT_MODE = {"text", "universal_newlines", "encoding", "errors"}


# ---- names ------------------------------------------------------------------------------------------------------------


def _named(function: Callable[..., Any]) -> set[str]:
    """The parameters that may be given by name, but for `**options`."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind in kinds} - {"self"}


def _typed(function: Callable[..., Any]) -> set[str]:
    """All names that a type checker finds in its signature."""
    (options,) = typing.get_args(typing.get_type_hints(function)[inspect.getfullargspec(function).varkw or ""])
    assert options.__required_keys__ == frozenset()
    assert not _named(function) & options.__annotations__.keys()
    return _named(function) | options.__annotations__.keys()


def _known(function: Callable[..., Any]) -> set[str]:
    """The same, of all its overloads."""
    return set().union(*(_typed(each) for each in typing.get_overloads(function) or [function]))


def test_launch_options_are_the_options() -> None:
    """None is missing, and there is no other; where nobody converses with the child, all but `pty`."""
    assert sorted(_LAUNCH) == sorted(Options._fields)
    assert _LAUNCH - {"pty"} == _COMMAND


# What a checker knows of these is in stubs: the parameters of one signature in the first, of all overloads in the second.
_STUBS = {
    "run": ("_commands/looked_up.pyi", "_commands/overloads.pyi"),
    "pipeline": ("_commands/looked_up.pyi", "_commands/overloads.pyi"),
    "lines": ("_commands/looked_up.pyi", "_commands/overloads.pyi"),
    "map": ("_map/signatures.pyi", "_map/signatures.pyi"),
}


def _keywords_of(path: str, function: str) -> set[str]:
    """The keywords that a stub's signatures name, those of their TypedDicts among them."""
    packages = ROOT / "aiospawn"
    classes: dict[str, tuple[set[str], list[str]]] = {}
    signatures: list[ast.FunctionDef] = []
    for file in (packages / "_commands/argument_types.pyi", packages / path):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                fields = {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}  # type: ignore[union-attr]
                classes[node.name] = fields, [base.id for base in node.bases if isinstance(base, ast.Name)]
            elif isinstance(node, ast.FunctionDef) and node.name == function:
                signatures.append(node)

    def fields_of(name: str) -> set[str]:
        own, bases = classes.get(name, (set(), []))
        return own.union(*map(fields_of, bases), _COMMAND if name == "CommandOptions" else set())

    found: set[str] = set()
    for signature in signatures:
        found |= {each.arg for each in (*signature.args.args, *signature.args.kwonlyargs)}
        if signature.args.kwarg is not None:
            unpacked = signature.args.kwarg.annotation
            assert isinstance(unpacked, ast.Subscript)
            assert isinstance(unpacked.slice, ast.Name)
            found |= fields_of(unpacked.slice.id)
    return found


@pytest.mark.parametrize("name", _STUBS)
def test_stubs(name: str) -> None:
    """Both name what the function takes, and nothing else."""
    for path in _STUBS[name]:
        assert _keywords_of(path, name) == _typed(getattr(aiospawn, name))


def test_derived_functions() -> None:
    """What is passed on to another function is what that one takes."""
    of_map = {"commands", "total", "concurrency", "ordered", "retries", "backoff", "halt", "progress"}
    assert _known(aiospawn.map) - of_map == _known(aiospawn.run) - {"args", "on_output"}
    assert _known(aiospawn.system) - {"command"} == _known(aiospawn.run) - {"args", "shell", "capture_output"} - _TEXT_MODE
    assert _known(aiospawn.popen) == _named(aiospawn.popen) | {"stdin", "stdout", "stderr"} | _COMMAND
    assert _known(aiospawn.ProcessGroup.spawn) == _named(aiospawn.ProcessGroup.spawn) | _LAUNCH
    assert _known(aiospawn.create_subprocess_exec) - _LAUNCH == {"program", "limit", "grace"} | _named(
        launch.subprocess_exec
    )
    assert _known(aiospawn.create_subprocess_shell) - _LAUNCH == {"cmd", "limit", "grace"} | _named(launch.subprocess_shell)


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_annotations_can_be_evaluated(name: str) -> None:
    """Whoever looks at a public function at run time finds what its annotations name."""
    for function in [_FUNCTIONS[name], *typing.get_overloads(_FUNCTIONS[name])]:
        assert {*typing.get_type_hints(function)} - {"return"} <= {*inspect.signature(function).parameters}


@pytest.mark.parametrize("public", [each for each in map(aiospawn.__dict__.get, aiospawn.__all__) if inspect.isclass(each)])
def test_annotations_of_classes_can_be_evaluated(public: type) -> None:
    """The types of a result class's fields can be evaluated, as libraries that make schemas do."""
    methods = [method for name, method in inspect.getmembers(public, inspect.isfunction) if not name.startswith("_")]
    for annotated in (public, *methods):
        typing.get_type_hints(annotated)


# ---- values -----------------------------------------------------------------------------------------------------------


class _File:
    def fileno(self) -> int:
        return 0


def _collections(type_: Any) -> st.SearchStrategy[Any]:
    """Not bytes, which to a type checker are a collection of int: they are refused."""
    (item,) = typing.get_args(type_) or (int,)
    items = st.lists(st.from_type(item))
    return items | items.map(tuple) | items.map(frozenset)


st.register_type_strategy(Collection, _collections)
st.register_type_strategy(keywords.HasFileno, st.builds(_File))
st.register_type_strategy(os.PathLike, st.builds(pathlib.Path, st.sampled_from(["/", "no such"])))
st.register_type_strategy(aiospawn.NativeHook, st.builds(aiospawn.NativeHook, st.integers(1, 2**64 - 1)))


@pytest.mark.once
@pytest.mark.parametrize("option", CHECKS)
@settings(deadline=None)  # what is imported for the first value of a type takes its time
@given(data=st.data())
def test_no_value_of_the_type_is_of_a_wrong_type(option: str, data: st.DataObject) -> None:
    """What a type checker lets through may be out of range, but is not refused for its type."""
    value = data.draw(st.from_type(typing.get_type_hints(aiospawn.LaunchOptions)[option]))
    with contextlib.suppress(ValueError, KeyError, OSError, OverflowError):
        CHECKS[option](value)


# ---- the checkers -----------------------------------------------------------------------------------------------------

_REFUSED = "tests/typing/refused.py"


def _lines_of_mypy() -> set[int]:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", _REFUSED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {int(line) for line in re.findall(rf"^{_REFUSED}:(\d+): error: ", done.stdout, re.MULTILINE)}


def _lines_of_pyright(directory: pathlib.Path) -> set[int]:
    """On a copy: the project's configuration, which leaves the file out, holds below its own directory."""
    pytest.importorskip("pyright")
    shutil.copy(ROOT / _REFUSED, directory)
    configuration = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": [str(ROOT)]}
    (directory / "pyrightconfig.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", directory]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {1 + each["range"]["start"]["line"] for each in found if each["severity"] == "error"}


_MISSPELT = """import asyncio, aiospawn
async def main() -> None:
    await aiospawn.run(["true"], text=True, {})
    await aiospawn.pipeline(["true"], {})
    aiospawn.lines(["true"], {})
    aiospawn.map([["true"]], {})
    await aiospawn.create_subprocess_exec("true", {})
    await aiospawn.supervise(["true"], {})
"""


@pytest.mark.once
def test_messages_are_short(tmp_path: pathlib.Path) -> None:
    """What both say of a misspelt keyword, and of a value of a wrong type, has less than 2 KB a call; mypy has an idea."""
    for module in ("mypy", "pyright"):
        pytest.importorskip(module)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    for keyword in ("timout=3", "grace='1'"):
        (tmp_path / "program.py").write_text(_MISSPELT.replace("{}", keyword).replace('"true", grace', '"true", nice'))
        for checker in (["mypy", "program.py"], ["pyright", "--project", "."]):
            done = subprocess.run(
                [sys.executable, "-m", *checker], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            said = [part for part in re.split(r"(?=program\.py:\d+)", done.stdout) if part.startswith("program.py:")]
            calls = {
                number: "".join(part for part in said if part.startswith(f"program.py:{number}:")) for number in range(3, 9)
            }
            assert [number for number, text in calls.items() if not 0 < len(text) < 2000] == [], done.stdout
            if checker[0] == "mypy" and keyword == "timout=3":
                assert all("""did you mean "timeout"?""" in calls[number] for number in (3, 4, 5, 6))


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_mistakes_are_refused(checker: str, tmp_path: pathlib.Path) -> None:
    """Each line that is marked, and no other."""
    marked = {number for number, line in enumerate((ROOT / _REFUSED).read_text().splitlines(), 1) if "# refused" in line}
    assert marked
    assert (_lines_of_mypy() if checker == "mypy" else _lines_of_pyright(tmp_path)) == marked
