"""The programs that are compiled for a run: the limit in C, the children, and launchers of other languages."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import NamedTuple

from aiospawn.cli._errors import CannotRunError

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
    """Paths; `peers` are the commands that start a launcher of another language, `left_out` why one is not there."""

    limit: str
    pump: str
    noop: str
    gate: str
    true: str
    peers: dict[str, list[str]]
    left_out: dict[str, str]


def built(directory: str, peers: str | None) -> Programs:
    """Compiles into the directory. `peers` is a directory with launchers in other languages, those of examples/benchmarks.

    Raises CannotRunError without a C compiler or `true`, or for a directory that has none of them.
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
        if fault := _run([compiler, "-std=gnu11", "-O2", *options, "-o", paths[name], os.path.join(_SOURCES, source)]):
            raise CannotRunError(fault)
    commands, left_out = ({}, {}) if peers is None else _peers(directory, os.path.abspath(peers))
    return Programs(**paths, true=true, peers=commands, left_out=left_out)


class _Peer(NamedTuple):
    name: str
    source: str
    tool: str
    build: list[str]  # after the tool
    run: list[str]


def _peers(directory: str, sources: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    go, node, cargo = (os.path.join(sources, name) for name in ("spawn.go", "spawn.js", os.path.join("tokio", "Cargo.toml")))
    go_program, copy = os.path.join(directory, "go_spawn"), os.path.join(directory, "tokio")
    if os.path.exists(cargo):  # which cargo would write into
        shutil.copytree(os.path.dirname(cargo), copy)
    tokio = ["build", "--release", "--quiet", "--manifest-path", os.path.join(copy, "Cargo.toml")]
    known = (
        _Peer("Go os/exec", go, "go", ["build", "-o", go_program, go], [go_program]),
        _Peer("Node", node, "node", [], ["node", node]),
        _Peer("tokio, 2 threads", cargo, "cargo", tokio, [os.path.join(copy, "target", "release", "spawn"), "2"]),
    )
    found = [peer for peer in known if os.path.exists(peer.source)]
    if not found:
        raise CannotRunError(
            f"--peers: {sources!r} has none of {', '.join(os.path.relpath(each.source, sources) for each in known)}"
        )
    commands, left_out = {}, {}
    for peer in found:
        if shutil.which(peer.tool) is None:
            left_out[peer.name] = f"{peer.tool} is not on the PATH"
        elif fault := _run([peer.tool, *peer.build], GOCACHE=os.path.join(directory, "go")) if peer.build else "":
            left_out[peer.name] = fault
        else:
            commands[peer.name] = peer.run
    return commands, left_out


def _run(command: list[str], **variables: str) -> str:
    """What went wrong; empty if nothing did."""
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)
    return f"{' '.join(command)} failed:\n{result.stderr.strip()}" if result.returncode else ""
