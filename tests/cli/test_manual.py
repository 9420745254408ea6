"""Manual pages and completions are of the command line's own parsers, and work in the programs that read them."""

from __future__ import annotations

import re
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
    if shutil.which("man") is None:
        return
    for path in pages.iterdir():
        done = subprocess.run(["man", "--warnings", "-l", "-Tutf8", path], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert done.stdout.startswith(path.stem.upper())


@pytest.fixture(scope="module")
def completions(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return _written("completions.py", tmp_path_factory.mktemp("completions"))


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("aiospawn ", {"run", "map", "doctor", "demo", "bench", "--version"}),
        ("aiospawn do", {"doctor"}),
        ("aiospawn run --time", {"--timeout"}),
        ("aiospawn map --joblo", {"--joblog"}),
        ("aiospawn run pyth", {"python3"}),
    ],
)
def test_bash(line: str, wanted: set[str], completions: pathlib.Path) -> None:
    """What bash offers at the end of a line."""
    program = f"""
        source {completions}/aiospawn
        IFS=' ' read -ra COMP_WORDS <<<"{line}"
        [[ "{line}" == *' ' ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _aiospawn
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    offered = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert wanted <= set(offered)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("aiospawn ", {"run", "map", "doctor", "demo", "bench"}),
        ("aiospawn run --time", {"--timeout"}),
        ("aiospawn run --timeout 3 ech", {"echo"}),
    ],
)
def test_fish(line: str, wanted: set[str], completions: pathlib.Path) -> None:
    """What fish offers."""
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    program = f"source {completions}/aiospawn.fish; complete -C '{line}'"
    offered = subprocess.run(["fish", "--no-config", "-c", program], capture_output=True, text=True, check=True).stdout
    assert wanted <= {each.split()[0] for each in offered.splitlines()}


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
        (words,) = re.findall(rf"^        {name}\) .*compgen -W '(.*?)'", bash, re.MULTILINE)
        for option in _long_options(name):
            assert option in words.split()
            assert f"{option}[" in zsh
            assert re.search(rf"from {name}' .*-l {re.escape(option[2:])} ", fish)


@pytest.mark.parametrize(("shell", "name"), [("zsh", "_aiospawn"), ("fish", "aiospawn.fish")])
def test_the_shell_reads_it(shell: str, name: str, completions: pathlib.Path) -> None:
    """Its own parser finds no fault in the file."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", completions / name], check=True)
