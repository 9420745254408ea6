"""`aiospawn map --cluster`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from map_command import output, run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("distributed")
pytestmark = [pytest.mark.once, pytest.mark.slow]


def test_output_in_order(address: str) -> None:
    """As on one machine."""
    assert output("--cluster", address, "-k", "echo", "{#}", "{}", ":::", "a", "b", "c") == "1 a\n2 b\n3 c\n"


def test_job_log(address: str, tmp_path: Path) -> None:
    """It has the host, and what it has is not run again."""
    log = tmp_path / "jobs.tsv"
    command = ["--cluster", address, "--joblog", str(log), "--shell", "exit {}", ":::", "0", "3"]
    assert run(*command).returncode == 1
    rows = [line.split("\t") for line in log.read_text().splitlines()[1:]]
    assert sorted((row[0], row[1], row[6]) for row in rows) == [
        ("1", os.uname().nodename, "0"),
        ("2", os.uname().nodename, "3"),
    ]
    assert run("--resume", *command, "1").returncode == 1
    assert len(log.read_text().splitlines()) == 4


def test_lines_halt_and_blocks(address: str) -> None:
    """Lines as they come, with a tag; the halt rule; blocks of standard input."""
    said = run("--cluster", address, "--line-buffer", "--tag", "--shell", "echo {}; exit {}", ":::", "0", "0")
    assert said.stdout == "0\t0\n0\t0\n"
    halted = run("--cluster", address, "--halt", "now,fail=1", "--shell", "exit {}", ":::", "7", *["0"] * 5)
    assert halted.returncode == 7
    assert output("--cluster", address, "--pipe", "-N", "1", "-k", "cat", input="one\ntwo\n") == "one\ntwo\n"


def test_refused() -> None:
    """What cannot be had elsewhere, and an address where nobody is."""
    for arguments, message in (
        (["--cluster", "localhost", "true"], "--cluster: must be local, or the address"),
        (["--cluster", "local", "-u", "true"], "--cluster and -u: jobs elsewhere"),
        (["--cluster", "local", "--memfree", "1G", "true"], "--cluster and --memfree: it is the memory"),
        (["--cluster", "local", "echo", "{%}"], "{%} and --cluster"),
    ):
        said = run(*arguments, ":::", "x")
        assert said.returncode == 2
        assert message in said.stderr


def test_no_scheduler() -> None:
    """An error in one line."""
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):  # the command runs in a fork of this process
        said = run("--cluster", "tcp://127.0.0.1:9", "true", ":::", "x")
    assert said.returncode == 2
    assert said.stderr.startswith("aiospawn map: cluster='tcp://127.0.0.1:9': no scheduler answers there: ")
