"""The program of tests/native/launches.c: made, run, and what it says."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from compiled import TESTS, Compiler, compiler, harness, launcher

if TYPE_CHECKING:
    import pathlib

__all__ = ["build", "launches"]


def launches(*command: object, **environment: str) -> list[str]:
    """What the program prints; it must not find anything wrong."""
    done = subprocess.run(
        [*map(str, command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert (done.stderr, done.returncode) == ("", 0), done
    return done.stdout.splitlines()


def build(made_by: Compiler, directory: pathlib.Path, *options: str) -> list[pathlib.Path]:
    """The program with these options, the launcher, and the program to launch."""
    launched = directory / "launched"
    subprocess.run([*made_by.command("-O1", "-static"), TESTS / "native" / "launched.c", "-o", launched], check=True)
    found = directory / "launcher"
    if made_by.machine in ("x86_64", "aarch64"):
        launcher(made_by if made_by.prefix else compiler(), directory)
    return [harness(made_by, directory, "launches.c", *options), found, launched]
