"""GNU parallel's words: what both have does the same, and of what we have not it is said what to do instead."""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import COMMAND, assert_refused_in_process
from parallel_lines import FILES, LINES
from parallel_options import OPTIONS
from paths import ROOT

from aiospawn.cli import _map_options, _parallel

if TYPE_CHECKING:
    from parallel_lines import Line

pytestmark = pytest.mark.once

_PARTS = 24  # tests, for a time limit is each test's
_PAGE = Path("/usr/share/man/man1/parallel.1.gz")
_HAS_PARALLEL = shutil.which("parallel") is not None and "GNU" in subprocess.run(
    ["parallel", "--version"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
).stdout  # fmt: skip


def _said(line: Line, program: str, place: Path) -> tuple[int, bytes]:
    """Its exit status and what it prints, in a directory with the files."""
    place.mkdir(parents=True)
    for name, content in FILES.items():
        (place / name).write_text(content)
    home = place.parent / "home"
    (home / ".parallel").mkdir(parents=True, exist_ok=True)
    (home / ".parallel" / "will-cite").touch()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "SHELL": "/bin/bash", "LC_ALL": "C.UTF-8"}
    command = ["bash", "-c", line.text.replace("PARALLEL", program)]
    with open(place / "letters") as empty:
        empty.read()
        done = subprocess.run(
            command, cwd=place, env=environment, stdin=empty, stdout=subprocess.PIPE, check=False, timeout=100
        )
    return (done.returncode if line.status else 0), done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not _HAS_PARALLEL, reason="GNU parallel is not installed")
@pytest.mark.parametrize("part", range(_PARTS))
def test_same_output(part: int, tmp_path: Path) -> None:
    """Byte for byte, with the exit status: some 400 lines."""
    assert len(LINES) >= 400
    ours = {shell: f"{shlex.join([*COMMAND, 'map'])}{' --shell' * shell}" for shell in (False, True)}

    def compared(number: int) -> tuple[str, object, object] | None:
        line, place = LINES[number], tmp_path / str(number)
        theirs, here = _said(line, "parallel", place / "theirs"), _said(line, ours[line.shell], place / "ours")
        return None if theirs == here else (line.text, theirs, here)

    with ThreadPoolExecutor(2) as pool:
        different = [each for each in pool.map(compared, range(part, len(LINES), _PARTS)) if each is not None]
    assert different == [], "\n".join(map(str, different))


# ---- the table --------------------------------------------------------------------------------------------------------


def test_every_option_has_its_row() -> None:
    """Each of GNU parallel's is in the table, once, in the order of its manual page."""
    assert [name for word in _parallel.WORDS for name in word.options] == OPTIONS


@pytest.mark.skipif(not _PAGE.exists(), reason="GNU parallel's manual page is not there")
def test_manual_page() -> None:
    """The list of options is that of the page."""
    page = gzip.decompress(_PAGE.read_bytes()).decode()
    section = page.split('.SH "OPTIONS"')[1].split('.SH "')[0]
    titles = re.findall(r'^(?:\.ie n )?\.IP "(\\fB\\-.*?)" 4$', section, re.MULTILINE)
    names = [match[1] for title in titles if (match := re.match(r"(--?_?[A-Za-z0-9][A-Za-z0-9-]*)", _plain(title)))]
    assert list(dict.fromkeys(names)) == OPTIONS


def _plain(title: str) -> str:
    """Without the fonts of nroff."""
    return re.sub(r"\\f[A-Z]|\\", "", title.replace("\\-", "-"))


def test_document() -> None:
    """docs/cli.md has the table as it is."""
    document = (ROOT / "docs" / "cli.md").read_text()
    assert _parallel.table() in document


@pytest.mark.parametrize("word", [word for word in _parallel.WORDS if word.here == "not"], ids=lambda word: word.names)
def test_what_there_is_not(word: _parallel.Word, capfd: pytest.CaptureFixture[str]) -> None:
    """It is refused by each of its names, with what to do instead."""
    assert word.text
    for name in word.options:
        said = f"{name} is an option of GNU parallel's that aiospawn map does not have; instead: {word.text}"
        assert_refused_in_process(["map", name, "echo"], capfd, said)


def test_what_there_is() -> None:
    """The parser knows each name; what is different says how."""
    parser = argparse.ArgumentParser()
    _map_options.add_options(parser)
    known = {name for action in parser._actions for name in action.option_strings}
    for word in _parallel.WORDS:
        assert set(word.options) <= known
        assert bool(word.text) == (word.here != "same")
