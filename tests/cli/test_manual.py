"""Manual pages and completions are of the command line's own parsers, and work in the programs that read them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from paths import ROOT

from aiospawn.cli import _main

if TYPE_CHECKING:
    import pathlib

pytestmark = pytest.mark.once

NAMES = [command.name for command in _main.COMMANDS]


def _written(script: str, directory: pathlib.Path) -> pathlib.Path:
    subprocess.run([sys.executable, ROOT / "share" / script, directory], check=True)
    return directory


def _long_options(name: str) -> set[str]:
    """Of `aiospawn NAME --help`, at the start of a line."""
    command = [sys.executable, "-P", "-m", "aiospawn", name, "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    heads = re.findall(r"^  (-.*?)(?:  |$)", text, re.MULTILINE)
    return {option for head in heads for option in re.findall(r"--[\w-]+(?:=\w+)?", head)}


def test_manual_pages(tmp_path: pathlib.Path) -> None:
    """A page for each command has each of its options, and troff has no complaint."""
    pages = _written("manual.py", tmp_path)
    assert {path.name for path in pages.iterdir()} == {"aiospawn.1", *(f"aiospawn-{name}.1" for name in NAMES)}
    for name in NAMES:
        text = (pages / f"aiospawn-{name}.1").read_text().replace("\\-", "-")
        assert [option for option in sorted(_long_options(name)) if option not in text] == []
    cmake = (ROOT / "_native" / "CMakeLists.txt").read_text()
    assert re.findall(r"^foreach\(command (.*)\)$", cmake, re.MULTILINE) == [" ".join(NAMES)]  # what is installed
    if shutil.which("man") is None:
        return
    for path in pages.iterdir():
        done = subprocess.run(["man", "--warnings", "-l", "-Tutf8", path], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert done.stdout.startswith(path.stem.upper())


@pytest.fixture(scope="module")
def completions(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return _written("completions.py", tmp_path_factory.mktemp("completions"))


# What stands before Tab, and what it has to become; the directory has a file `data.txt` and a directory `place`.
COMPLETED = {
    "aiospawn do": "aiospawn doctor",
    "aiospawn sandbox ": "aiospawn sandbox trace",
    "aiospawn run --time": "aiospawn run --timeout",
    "aiospawn map --joblo": "aiospawn map --joblog",
    "aiospawn run --restart on-fa": "aiospawn run --restart on-failure",
    "aiospawn run --init=wai": "aiospawn run --init=wait",
    "aiospawn run --json=dat": "aiospawn run --json=data.txt",
    "aiospawn run --cwd pla": "aiospawn run --cwd place/",
    "aiospawn map -a dat": "aiospawn map -a data.txt",
    "aiospawn run --timeout 3 aioprog": "aiospawn run --timeout 3 aioprogram",
    "aiospawn run cat dat": "aiospawn run cat data.txt",
    "aiospawn sandbox trace --sandbox-read / aioprog": "aiospawn sandbox trace --sandbox-read / aioprogram",
    "aiospawn map echo ::: dat": "aiospawn map echo ::: data.txt",
    "aiospawn run -- cat --time": "aiospawn run -- cat --time",
}


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The working directory, with something to be completed; its `place` has a program, and is on the PATH."""
    (tmp_path / "data.txt").touch()
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "aioprogram").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'place'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def _offered(lines: list[str], completions: pathlib.Path) -> list[set[str]]:
    """What bash's function offers at each line's end, its words cut as readline cuts them; nothing means files."""
    program = [f"source {completions}/aiospawn"]
    for line in lines:
        words = re.findall(r"[=:]+|[^\s=:]+", line) + [""] * line.endswith(" ")
        program.append(f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _aiospawn; echo ${{COMPREPLY[@]}}")
    bash = ["bash", "--norc", "-c", "\n".join(program)]
    shown = subprocess.run(bash, capture_output=True, text=True, check=True).stdout.splitlines()
    return [set(line.split()) for line in shown]


def test_bash(completions: pathlib.Path, place: pathlib.Path) -> None:
    """The word that was begun, but for files, which are readline's."""
    everything = _offered(["aiospawn ", *COMPLETED], completions)
    assert everything[0] == {*NAMES, "-h", "--help", "--version"}
    for (line, whole), offered in zip(COMPLETED.items(), everything[1:], strict=True):
        word = re.split("[ =]", whole)[-1]
        assert offered == (set() if line == whole or (place / word).exists() else {word})


def test_fish(completions: pathlib.Path, place: pathlib.Path) -> None:
    """What fish offers."""
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    for line, whole in COMPLETED.items():
        program = f"source {completions}/aiospawn.fish; complete -C '{line}'"
        fish = ["fish", "--no-config", "-c", program]
        offered = subprocess.run(fish, capture_output=True, text=True, check=True, cwd=place).stdout
        wanted = [] if line == whole else [whole.rpartition(" ")[2]]
        assert [each.split("\t")[0] for each in offered.splitlines()] == wanted


_ZSH = """
zmodload zsh/zpty
zpty shell 'TERM=dumb zsh -f -i'
zpty -w shell 'fpath=({completions} $fpath); autoload -Uz compinit; compinit -u -D; PS1=RE""ADY'
zpty -r shell shown '*READY*'
zpty -w -n shell $'{line}\\t'
zpty -r shell shown '*{wanted}*'
print -r -- $shown
zpty -d shell
"""


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("aiospawn ", "one command, set up as asked"), ("aiospawn run --time", "--timeout"), ("aiospawn doct", "or ")],
)
def test_zsh(line: str, wanted: str, completions: pathlib.Path) -> None:
    """What there is when Tab was typed."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    program = _ZSH.format(completions=completions, line=line, wanted=wanted)
    shown = subprocess.run(["zsh", "-f", "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout
    assert wanted in shown


def test_every_option_is_completed(completions: pathlib.Path) -> None:
    """In each shell's file."""
    bash, zsh, fish = ((completions / name).read_text() for name in ("aiospawn", "_aiospawn", "aiospawn.fish"))
    for name in NAMES:
        (words,) = re.findall(rf"^ +{name}\) command={name} names='(.*?)'", bash, re.MULTILINE)
        for option in _long_options(name):
            assert option in words.split()
            assert re.search(rf"{re.escape(option)}=?\[", zsh)
            assert re.search(rf"from {name}' .*-l {re.escape(option[2:])} ", fish)


@pytest.mark.parametrize(("shell", "name"), [("zsh", "_aiospawn"), ("fish", "aiospawn.fish")])
def test_the_shell_reads_it(shell: str, name: str, completions: pathlib.Path) -> None:
    """Its own parser finds no fault in the file."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", completions / name], check=True)
