"""CONTRIBUTING.md names what is there: files, functions in them, and every file that an option touches."""

import re

import pytest
from paths import ROOT

pytestmark = pytest.mark.once

DOCUMENT = (ROOT / "CONTRIBUTING.md").read_text()
PATHS = sorted(set(re.findall(r"(?<![\w./-])(?:aiospawn|_native|tests|docs|\.ci)/[\w./]*\w", DOCUMENT)))
SOUGHT = (
    *("PATH is searched", "the environment is read", "a keyword is checked", "descriptors are closed in the child"),
    *("pipes are paused", "an exit status is read", "a grandchild's open pipe is dealt with", "SIGKILL follows SIGTERM"),
    *("a fork elsewhere is handled", "map's halt rule is"),
)


def _section(title: str) -> str:
    return DOCUMENT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def _rows(title: str) -> list[list[str]]:
    """The cells of the table in a section, without its head."""
    lines = [line for line in _section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("path", PATHS)
def test_named_paths(path: str) -> None:
    """A file or folder that is named is there; the list of folders names modules without their suffix."""
    assert (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


def _defined(name: str, text: str) -> bool:
    """In Python or in C: a function, or a name that is given a value."""
    return bool(
        re.search(rf"^\s*(?:async )?(?:def|class) {name}\b|^(?:\w[\w *]*)?\b{name}(?:\(|: | = )", text, re.MULTILINE)
    )


@pytest.mark.parametrize(("behaviour", "file", "there"), _rows("Where is ..."), ids=lambda cell: cell[:40])
def test_named_functions(behaviour: str, file: str, there: str) -> None:
    """A function that the table names is defined in the file that stands before it."""
    at = file
    for name in re.findall(r"`([\w./]+)`", f"{file} {there}"):
        if "/" in name:
            at = name
        elif name != "pipe_grace" and not name[0].isupper():
            assert _defined(name, (ROOT / at.strip("`")).read_text()), f"{name} is not in {at}"


@pytest.mark.parametrize("section", ["The house", "The rules of the pre-exec section"])
def test_names_on_the_way(section: str) -> None:
    """What a walk or a rule names occurs in one of the files that it names."""
    named = re.findall(r"`([\w./-]+)`", _section(section))
    text = "\n".join((ROOT / path).read_text() for path in named if "/" in path and (ROOT / path).is_file())
    assert [name for name in named if "/" not in name and not re.search(rf"\b{name}\b", text)] == []


def test_what_is_sought() -> None:
    """Someone new finds these at the first look."""
    behaviours = [behaviour.removeprefix("where ") for behaviour, *_ in _rows("Where is ...")]
    assert set(SOUGHT) <= set(behaviours)
    assert len(behaviours) == len(set(behaviours))


@pytest.mark.parametrize("option", ["thp_disable", "timer_slack"])
def test_what_an_option_touches(option: str) -> None:
    """The files of an example are those of its table, no more and no less."""
    (table,) = re.findall(rf"### .*`{option}\w*`\n\n((?:\|.*\n)+)", _section("Adding an option"))
    listed = {path for line in table.splitlines() for path in re.findall(r"`(\w+/[^`]+)`", line.split("|")[1])}
    sources = [*(ROOT / "aiospawn").glob("_*/*.py"), *(ROOT / "_native").glob("**/*.[ch]"), ROOT / "docs" / "options.md"]
    found = {str(path.relative_to(ROOT)) for path in sources if re.search(option, path.read_text(), re.IGNORECASE)}
    assert found == listed


def test_commands() -> None:
    """The commands of the set-up say what the build needs, as the build itself does."""
    needed = re.search(r"requires = \[(.*)\]", (ROOT / "pyproject.toml").read_text())
    assert needed
    assert all(f"'{one}'" in _section("Set up") for one in re.findall(r'"([^"]+)"', needed[1]))
