"""The programs of docs/terminals.md run, and print what stands below them; what its table names exists."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import fresh
import pytest
from paths import ROOT

import aiospawn

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

DOCUMENT = (ROOT / "docs" / "terminals.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```output\n(.*?)```", DOCUMENT, re.DOTALL)
# What pexpect.spawn has, of its documentation (api/pexpect.html), without what the table says is not needed.
PEXPECT = (
    *("after", "before", "buffer", "close", "delaybeforesend", "eof", "exitstatus", "expect", "expect_exact"),
    *("fileno", "getecho", "getwinsize", "ignorecase", "interact", "isalive", "isatty", "kill", "logfile"),
    *("logfile_read", "logfile_send", "match", "match_index", "pid", "read", "read_nonblocking", "readline"),
    *("readlines", "searchwindowsize", "send", "sendcontrol", "sendeof", "sendintr", "sendline", "setecho"),
    *("setwinsize", "signalstatus", "terminate", "timeout", "wait", "waitnoecho", "write", "writelines"),
)


@pytest.mark.parametrize(("program", "output"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(program: str, output: str, tmp_path: Path) -> None:
    """As a user would copy it."""
    completed = subprocess.run(
        fresh.command(program, flags=["-P", "-W", "error"]), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (completed.stdout.replace("\r\n", "\n").strip(), completed.stderr) == (output.strip(), "")


def test_every_example_is_run() -> None:
    assert DOCUMENT.count("```python") == len(EXAMPLES)


@pytest.mark.parametrize("name", PEXPECT)
def test_pexpects_names(name: str) -> None:
    """A user of pexpect finds each, and the document has it."""
    session = aiospawn.TerminalSession(["true"])
    assert hasattr(type(session), name) or hasattr(session, name)
    assert re.search(rf"`[^`]*\b{name}\b", DOCUMENT)
