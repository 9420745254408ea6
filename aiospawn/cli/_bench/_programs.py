"""The programs that are compiled for a run: the limit in C, the children, and launchers of other languages."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import NamedTuple

from aiospawn.cli._measure import CannotRunError

__all__ = ["Programs", "built"]

_SOURCES = os.path.dirname(__file__)
_HOSTED = ("-D_GNU_SOURCE",)
_FREESTANDING = (
    *("-ffreestanding", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-pie", "-no-pie"),
    *("-static", "-nostdlib", "-nostartfiles", "-Wl,--build-id=none", "-s"),
)
_PROGRAMS = {
    "limit": ("limit.c", _HOSTED),
    "pump": ("pump.c", _HOSTED),
    "noop": ("freestanding.c", _FREESTANDING),
    "gate": ("freestanding.c", (*_FREESTANDING, "-DGATE")),
}


class Programs(NamedTuple):
    """Paths; `peers` are the commands that start a launcher of another language, by name."""

    limit: str
    pump: str
    noop: str
    gate: str
    true: str
    peers: dict[str, list[str]]


def built(directory: str, peers: str | None) -> Programs:
    """Compiles into the directory. `peers` is a directory with spawn.go and spawn.js.

    Raises CannotRunError without a C compiler or `true`, or for a directory that has neither.
    """
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        raise CannotRunError("needs a C compiler: there is no cc on the PATH, and CC names none")
    true = shutil.which("true")
    if true is None:
        raise CannotRunError("true is not on the PATH")
    paths = {}
    for name, (source, options) in _PROGRAMS.items():
        paths[name] = os.path.join(directory, name)
        _run([compiler, "-std=gnu11", "-O2", *options, "-o", paths[name], os.path.join(_SOURCES, source)])
    return Programs(**paths, true=true, peers={} if peers is None else _peers(directory, peers))


def _peers(directory: str, sources: str) -> dict[str, list[str]]:
    found = {}
    go, node = shutil.which("go"), shutil.which("node")
    go_source, node_source = os.path.join(sources, "spawn.go"), os.path.join(sources, "spawn.js")
    if not (os.path.exists(go_source) or os.path.exists(node_source)):
        raise CannotRunError(f"--peers: neither spawn.go nor spawn.js is in {sources!r}")
    if go and os.path.exists(go_source):
        program = os.path.join(directory, "go_spawn")
        _run(
            [go, "build", "-o", program, os.path.abspath(go_source)],
            GOCACHE=os.path.join(directory, "go"),
            GO111MODULE="off",
        )
        found["Go os/exec"] = [program]
    if node and os.path.exists(node_source):
        found["Node"] = [node, os.path.abspath(node_source)]
    return found


def _run(command: list[str], **variables: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)
    if result.returncode:
        raise CannotRunError(f"{' '.join(command)} failed:\n{result.stderr.strip()}")
