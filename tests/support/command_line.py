"""The command line as a test calls it, and what it is when it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aiospawn.cli import _main

if TYPE_CHECKING:
    from forked import Said

__all__ = ["COMMAND", "NO_RICH", "assert_refused", "assert_refused_in_process", "environment", "prepared", "run"]

NO_RICH = "import sys; sys.modules['rich'] = None"

COMMAND = (sys.executable, "-P", "-W", "always::ResourceWarning", "-m", "aiospawn")


def prepared(preparation: str, *arguments: str) -> tuple[str, ...]:
    """The command line after some Python that prepares the process."""
    call = f"from aiospawn.__main__ import main; import sys; sys.exit(main({list(arguments)!r}))"
    return (sys.executable, "-P", "-c", f"{preparation}\n{call}")


def environment(**variables: str) -> dict[str, str]:
    """This process's, without what makes rich take a file for a terminal."""
    unwanted = {"FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"}
    return {name: value for name, value in os.environ.items() if name not in unwanted} | variables


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(**variables), check=False
    )


def assert_refused(result: subprocess.CompletedProcess[str] | Said, *words: str) -> None:
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def assert_refused_in_process(arguments: list[str], capfd: pytest.CaptureFixture[str], *words: str) -> None:
    """The same of a call of the function, where a process for each would take long."""
    with pytest.raises(SystemExit) as exited:
        _main.main(arguments)
    captured = capfd.readouterr()
    assert exited.value.code == 2
    assert captured.out == ""
    for word in ("usage: aiospawn ", *words):
        assert word in captured.err
