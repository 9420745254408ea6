"""What a type checker and an editor know of the keywords is what the functions take."""

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
    """All names that its signature tells a type checker."""
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


@pytest.mark.parametrize("function", [aiospawn.run, aiospawn.pipeline, aiospawn.lines])
def test_overloads(function: Callable[..., Any]) -> None:
    """Each takes what the function takes, but for some of the words for text; the last takes those, too."""
    *others, last = (_typed(overload) for overload in typing.get_overloads(function))
    assert last == _named(function) | _COMMAND
    assert len(others) == (8 if function is aiospawn.lines else 5)
    assert [names for names in others if not last - _TEXT_MODE <= names <= last] == []


def test_derived_functions() -> None:
    """What is passed on to another function is what that one takes."""
    of_map = {"commands", "total", "concurrency", "ordered", "retries", "backoff", "halt", "progress"}
    assert _known(aiospawn.map) - of_map == _known(aiospawn.run) - {"args", "on_output"}
    assert _known(aiospawn.system) - {"command"} == _known(aiospawn.run) - {"args", "shell", "capture_output"} - _TEXT_MODE
    assert _known(aiospawn.popen) == _named(aiospawn.popen) | {"stdin", "stdout", "stderr"} | _COMMAND
    assert _known(aiospawn.ProcessGroup.spawn) == _named(aiospawn.ProcessGroup.spawn) | _LAUNCH
    assert _known(aiospawn.create_subprocess_exec) - _LAUNCH == {"program", "limit"} | _named(launch.subprocess_exec)
    assert _known(aiospawn.create_subprocess_shell) - _LAUNCH == {"cmd", "limit"} | _named(launch.subprocess_shell)


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_annotations_can_be_evaluated(name: str) -> None:
    """Whoever looks at a public function at run time finds what its annotations name."""
    for function in [_FUNCTIONS[name], *typing.get_overloads(_FUNCTIONS[name])]:
        assert {*typing.get_type_hints(function)} - {"return"} <= {*inspect.signature(function).parameters}


@pytest.mark.parametrize("public", [each for each in map(aiospawn.__dict__.get, aiospawn.__all__) if inspect.isclass(each)])
def test_annotations_of_classes_can_be_evaluated(public: type) -> None:
    """And whoever makes a schema of a result class finds its fields'."""
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


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_mistakes_are_refused(checker: str, tmp_path: pathlib.Path) -> None:
    """Each line that is marked, and no other."""
    marked = {number for number, line in enumerate((ROOT / _REFUSED).read_text().splitlines(), 1) if "# refused" in line}
    assert marked
    assert (_lines_of_mypy() if checker == "mypy" else _lines_of_pyright(tmp_path)) == marked
