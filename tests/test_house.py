"""The fixture that looks for what a test leaves behind does find it; and no part of the test house is unused."""

from __future__ import annotations

import ast
import io
import pathlib
import re
import tokenize

import child
import pytest
from paths import NATIVE

import aiospawn

pytestmark = pytest.mark.once

_TESTS = pathlib.Path(__file__).parent
_SUPPORT = _TESTS / "support"
_PACKAGE = pathlib.Path(aiospawn.__file__).parent

_LEAVING = """
import asyncio, os, subprocess, threading
import pytest
import aiospawn

kept = []
opened = os.dup(0)

def test_descriptor():
    os.dup(0)

async def test_descriptor_of_a_coroutine():
    os.dup(0)

def test_descriptor_closed():
    os.close(opened)

def test_descriptor_replaced():
    with open(__file__) as file:
        os.dup2(file.fileno(), 0)

def test_zombie():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

def test_child():
    kept.append(subprocess.Popen(["sleep", "1000"]))

def test_child_of_a_thread():
    launched, over = threading.Event(), threading.Event()
    def launch():
        kept.append(subprocess.Popen(["sleep", "1000"]))
        launched.set()
        over.wait()
    thread = threading.Thread(target=launch)
    kept.append((thread, over))
    thread.start()
    launched.wait()

@pytest.mark.loops("one")
async def test_child_of_a_loop():
    kept.append(await asyncio.create_subprocess_exec("sleep", "1000"))
    kept[-1]._transport._closed = True  # else its finalizer warns of it

async def test_task():
    asyncio.create_task(asyncio.sleep(1000))

def test_nothing():
    pass

async def test_nothing_of_a_coroutine():
    await (await asyncio.create_subprocess_exec("true")).wait()

@pytest.mark.loops("one")
async def test_nothing_once_the_loop_is_closed():
    loop, descriptor = asyncio.get_running_loop(), os.dup(0)
    close = loop.close
    loop.close = lambda: (os.close(descriptor), close())

def test_last_of_all():
    for each in kept:
        if isinstance(each, tuple):
            each[1].set()
            each[0].join()
        elif isinstance(each, subprocess.Popen):
            each.kill()
            each.wait()
        else:
            os.kill(each.pid, 9)
            os.waitpid(each.pid, 0)
"""

_FOUND = {
    "test_descriptor": "descriptors before and after",
    "test_descriptor_of_a_coroutine": "descriptors before and after",
    "test_descriptor_closed": "descriptors before and after",
    "test_descriptor_replaced": "descriptors before and after",
    "test_zombie": "children left",
    "test_child": "children left",
    "test_child_of_a_thread": "children left",
    "test_child_of_a_loop": "children left",
    "test_task": "tasks left",
}


def test_what_is_left_is_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that leave a descriptor, a zombie, a child or a task fail, on every loop, and others do not."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nasyncio_mode = 'auto'\n")
    pytester.makeconftest((_TESTS / "conftest.py").read_text())
    monkeypatch.setenv("PYTHONPATH", str(_SUPPORT), prepend=":")
    monkeypatch.setenv("COLUMNS", "200")
    pytester.makepyfile(_LEAVING)
    lines = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rEf", "--loops=stdlib,stdlib-vfork").outlines
    found = [
        match.groups() for line in lines if (match := re.match(r"(ERROR|FAILED) .*::(\w+)(\[.*\])? - .*?: ([\w ]+)", line))
    ]
    assert {(kind, name, text) for kind, name, _, text in found} == {("ERROR", name, text) for name, text in _FOUND.items()}
    loops = {name: [loop for _, found_name, loop, _ in found if found_name == name] for name in _FOUND}
    assert len(loops["test_descriptor_of_a_coroutine"]) == len(loops["test_task"]) == 2


# ---- the order of the house -------------------------------------------------------------------------------------------

_FILES = {path: path.read_text() for path in sorted(_TESTS.glob("**/*.py"))}
_HELPERS = {path.stem: path for path in sorted(_SUPPORT.glob("*.py"))}


def _uses(name: str, but: pathlib.Path) -> bool:
    """Does any other file have the word? Programs for other interpreters are text, so this is about words."""
    return any(re.search(rf"\b{name}\b", text) for path, text in _FILES.items() if path != but)


def test_every_command_of_the_child_is_used() -> None:
    """Each command of the helper program is launched by some test, and none is asked for that is not there."""
    used = set()
    for path, text in _FILES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "child":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}: the command must be written out"
                used.add(node.args[0].value)
    assert used == set(child.COMMANDS)


def test_every_helper_is_used() -> None:
    """Each module of tests/support, and each name that it offers."""
    unused = [name for name, path in _HELPERS.items() if not _uses(name, path)]
    for path in _HELPERS.values():
        names = re.search(r"^__all__ = \[(.*?)\]", _FILES[path], re.MULTILINE | re.DOTALL)
        unused += [
            f"{path.stem}.{name}" for name in re.findall(r'"(\w+)"', names[1] if names else "") if not _uses(name, path)
        ]
    assert unused == []


def test_every_native_file_is_used() -> None:
    """Each C file of tests/native is compiled by a test, and each header is included."""
    folder = _TESTS / "native"
    text = "".join([*_FILES.values(), *(path.read_text() for path in folder.glob("*.[ch]"))])
    fuzzers = {"fuzz_launcher.c", "fuzz_request.c"}  # named by the reader that they fuzz
    assert {path.name for path in folder.glob("*.[ch]") if path.name not in text} <= fuzzers


def test_every_fixture_is_used() -> None:
    """Each fixture of conftest.py is asked for, or is everybody's."""
    conftest = _TESTS / "conftest.py"
    unused = []
    for node in ast.parse(_FILES[conftest]).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        marks = [ast.unparse(mark) for mark in node.decorator_list]
        if any("fixture" in mark and "autouse=True" not in mark for mark in marks) and not _uses(node.name, conftest):
            unused.append(node.name)
    assert unused == []


def test_every_test_has_its_folder() -> None:
    """At the root are only the tests of the whole; helpers have no tests."""
    assert {path.stem for path in _TESTS.glob("*.py")} == {"conftest", "test_house", "test_layout"}
    assert [path.name for path in _HELPERS.values() if path.stem.startswith("test_")] == []
    folders = {path.relative_to(_TESTS).parts[0] for path in _FILES if path.parent != _TESTS}
    code = {path.parent.name.strip("_") for path in _PACKAGE.glob("*/__init__.py")} - {"binding"}
    assert folders == code | {"native", "reactor", "parity", "docs", "issues", "others", "typing", "fuzz", "support", "long"}


def test_no_test_file_is_a_helper() -> None:
    """Tests, and the programs in them, take what they share from tests/support."""
    files = "|".join(path.stem for path in _FILES if path.stem.startswith("test_"))
    taken = re.compile(rf"^\s*(?:from|import) .*\b(?:{files})\b", re.MULTILINE)
    assert [path.name for path, text in _FILES.items() if taken.search(text)] == []


def test_one_way_to_choose_loops() -> None:
    """By the mark `loops`: no test file names pytest-asyncio's factories, or goes through the names of loops by itself."""
    other = re.compile(r"loop_factories=|parametrize\(\s*\"variant\", (?:loops|fresh)\.")
    assert [path.name for path, text in _FILES.items() if path.stem != "test_house" and other.search(text)] == []


# ---- the size of things -----------------------------------------------------------------------------------------------

_LONGEST_CLASS, _LONGEST_FUNCTION = 250, 60
"""Lines without docstrings: those are the reference manual, and may be long. A function of that length fits a screen."""


def _lines(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many a class or function has, without the docstrings in it."""
    assert node.end_lineno is not None
    inner = [each for each in ast.walk(node) if isinstance(each, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))]
    docstrings = sum(len(text.splitlines()) for each in inner if (text := ast.get_docstring(each, clean=False)))
    return node.end_lineno - node.lineno + 1 - docstrings


def _c_functions(text: str) -> dict[str, int]:
    """The functions of a C file and their lines: they begin and end at the margin."""
    lines, found, began = text.splitlines(), {}, 0
    for number, line in enumerate(lines):
        if re.match(r"[A-Za-z_]", line):
            began = number
        if line == "}" and (name := re.search(r"\b(?!__attribute__)(\w+)\(", lines[began])):
            found[name[1]] = number - began + 1
    return found


def test_classes_and_functions_are_short() -> None:
    """A class has one thing to do, a function fits a screen."""
    found = set()
    for path in sorted(_PACKAGE.glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            limit = _LONGEST_CLASS if isinstance(node, ast.ClassDef) else _LONGEST_FUNCTION
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and _lines(node) > limit:
                found.add(f"{path.relative_to(_PACKAGE)}: {node.name}")
    assert found == set()


def test_native_functions_are_short() -> None:
    """The same in C."""
    functions = [(path.name, *each) for path in NATIVE.glob("**/*.c") for each in _c_functions(path.read_text()).items()]
    assert len(functions) > 300
    assert {f"{file}: {name}" for file, name, lines in functions if lines > _LONGEST_FUNCTION} == set()


# ---- words ------------------------------------------------------------------------------------------------------------

_PHRASES = {
    r"\btold\b": "reported, called, printed, shown",
    r"\bwho(m)?ever\b": "a process that, a caller that",
    r"\bwhom\b": "which processes",
    r"\bhears?\b": "gets, is called with",
    r"\blanding\b|\bin flight\b": "reserved descriptors; launches that are not over",
    r"\bstretch\b": "pre-exec section",
    r"\bkin\b": "and the like, or the names",
    r"\bcrew\b": "workers",
    r"\bwhat (became|becomes) of\b": "the result of, what happens to",
    r"\bcomes by here\b": "passes through this process",
}
"""Words of our own, each with what a reader expects: the field's term, or a sentence with one reading."""


def _prose(path: pathlib.Path) -> list[tuple[int, str]]:
    """What is read as sentences, with the lines: all of a document, and the comments and strings of code."""
    text = re.sub(r"`[^`\n]*`", "``", path.read_text())
    if path.suffix == ".md":
        return [*enumerate(text.splitlines(), 1)]
    if path.suffix == ".py":
        kinds = (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        parts = [(token.start[0], token.string) for token in tokens if token.type in kinds]
    else:
        parts = [
            (text[: match.start()].count("\n") + 1, match[0]) for match in re.finditer(r"/\*.*?\*/|//.*", text, re.DOTALL)
        ]
    return [(start + further, line) for start, part in parts for further, line in enumerate(part.splitlines())]


def test_plain_words() -> None:
    """No word of our own comes back. A name, in code or quoted, is no word."""
    root = NATIVE.parent
    paths = [*root.glob("*.md"), *(root / "docs").glob("*.md"), *_PACKAGE.glob("**/*.py"), *NATIVE.glob("**/*.[ch]")]
    assert [
        f"{path.relative_to(root)}:{number}: {match[0]!r}: better {better}"
        for path in paths
        for number, line in _prose(path)
        for phrase, better in _PHRASES.items()
        if (match := re.search(phrase, line))
    ] == []
