"""The native part by itself, without an interpreter: every kind of launch in every variant (tests/native/launches.c)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from compiled import CROSS, HOST, Compiler, compiler, launcher
from native_launches import build, launches

if TYPE_CHECKING:
    import pathlib

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    return build(compiler(), tmp_path_factory.mktemp("launches"))


@pytest.mark.slow
def test_launches(built: list[pathlib.Path]) -> None:
    """With pipes, with a signal, with steps, failing in the first and in the last of them, in each of the seven ways."""
    told = launches(*built)
    assert told[0].startswith("concurrent clone 1, shared memory 1, pidfd 1")
    assert told[1] == "launcher: usable"
    assert len(told) >= 44


@pytest.mark.slow
def test_status_is_not_told_halfway(built: list[pathlib.Path]) -> None:
    """A thread that looks at a child while its loop reaps it gets its status or nothing, also before Linux 6.15."""
    pidfd_info = 32
    told = launches(*built, 4, 2000, WITHOUT=str(pidfd_info))
    assert told[-1] == "4 loops, 2000 launches each: 0 wrong"


@pytest.mark.parametrize("wanted", [HOST, CROSS], ids=lambda wanted: wanted.program)
def test_launcher_needs_nobody(wanted: Compiler, tmp_path: pathlib.Path) -> None:
    """The launcher is one static program: no symbol of others, no interpreter, no stack that can be executed, few KiB."""
    program = launcher(compiler(wanted), tmp_path)
    shown = subprocess.run(
        [f"{wanted.prefix}readelf", "--wide", "--program-headers", program], capture_output=True, text=True, check=True
    ).stdout
    segments = [
        (words[0], "".join(words[6:-1])) for line in shown.splitlines() if "0x" in line and (words := line.split())[6:]
    ]
    assert {kind for kind, _ in segments} == {"LOAD", "GNU_STACK"}  # no INTERP, no DYNAMIC
    assert not [flags for _, flags in segments if "W" in flags and "E" in flags]
    symbols = subprocess.run([f"{wanted.prefix}nm", "-u", program], capture_output=True, text=True, check=True).stdout
    assert symbols == ""
    assert program.stat().st_size <= 28 * 1024
