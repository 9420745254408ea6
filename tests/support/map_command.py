"""`aiospawn map` as a test calls it, and the job log that it writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from command_line import COMMAND
from forked import Said, aiospawn

from aiospawn.cli._joblog import HEADER

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAP", "logged", "output", "run"]

MAP = (*COMMAND, "map")


def run(*arguments: str, input: str = "", cwd: Path | None = None) -> Said:
    return aiospawn("map", *arguments, input=input, cwd=cwd)


def output(*arguments: str, input: str = "", cwd: Path | None = None) -> str:
    said = run(*arguments, input=input, cwd=cwd)
    assert said.stderr == ""
    assert said.returncode == 0
    return said.stdout


def logged(log: Path) -> list[list[str]]:
    """Seq, Exitval, Signal and Command of each line."""
    header, *lines = log.read_text().splitlines(keepends=True)
    assert header == HEADER.decode()
    assert all(re.fullmatch(r"\d+\t:\t\d+\.\d{3}\t +\d+\.\d{3}\t0\t\d+\t-?\d+\t\d+\t.*\n", line) for line in lines)
    return [[fields[0], *fields[6:]] for line in lines if (fields := line.rstrip("\n").split("\t"))]
