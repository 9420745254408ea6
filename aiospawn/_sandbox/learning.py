"""The smallest sandbox that meets the needs of a command, as far as sandboxes can tell things apart."""

from __future__ import annotations

import collections
import ipaddress
import os
import re
from typing import TYPE_CHECKING, Final, Literal

from .coverage import Coverage
from .network import Network
from .sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .needs import Need

__all__ = ["learned"]

_MANY: Final = 4
"""So many files of a directory are the directory."""
_OF_A_PROCESS: Final = re.compile(r"/proc/\d+(/.*)?")


def learned(needs: Collection[Need]) -> Sandbox:
    """By the rules of docs/sandbox.md. What is gone is not named: it was made where is written."""
    network = _network(needs)
    unix_sockets = any(need.kind == "unix_sockets" for need in needs)
    of_system = Coverage(Sandbox(network=network))
    left = {
        kind: {need.what for need in needs if need.kind == kind and not of_system.meets(need)}
        for kind in ("read", "write", "execute")
    }
    # A process's own directory cannot be named before it is there; to let it write to all of /proc is no sandbox.
    write = _outermost(path for path in left["write"] if os.path.exists(path) and not _OF_A_PROCESS.fullmatch(path))
    # What it makes and then executes is another file the next time.
    made = [above for path in left["execute"] for above in write if _is_below(path, [above])]
    programs = [path for path in left["execute"] if os.path.exists(path) and not _is_below(path, write)]
    execute = _outermost(_gathered([*programs, *filter(os.path.isdir, made)]))
    # What is written may be read, and executed may be read as well; nothing that is written may be executed.
    read = ["/proc" if _OF_A_PROCESS.fullmatch(path) else path for path in left["read"]]
    read = [path for path in read if os.path.exists(path) and not _is_below(path, [*write, *execute])]
    read = [path for path in _outermost(_gathered(read)) if not _is_below(path, [*write, *execute])]
    return Sandbox(read=read, write=write, execute=execute, network=network, unix_sockets=unix_sockets)


def _gathered(paths: Iterable[str]) -> set[str]:
    """Directories instead of many of their files; not those at the root, below it, and homes: there is too much in them."""
    found = set(paths)
    counts = collections.Counter(os.path.dirname(path) for path in found if not os.path.isdir(path))
    large = {directory for directory, count in counts.items() if count >= _MANY and _stands_for_its_files(directory)}
    return {path for path in found if os.path.dirname(path) not in large} | large


def _stands_for_its_files(directory: str) -> bool:
    return directory.count("/") >= 2 and directory != os.path.expanduser("~") and os.path.dirname(directory) != "/home"


def _outermost(paths: Iterable[str]) -> list[str]:
    """Without what is below another one."""
    kept: list[str] = []
    for path in sorted(paths):
        if not _is_below(path, kept):
            kept.append(path)
    return kept


def _is_below(path: str, directories: Iterable[str]) -> bool:
    return any(path == above or path.startswith(above.rstrip("/") + "/") for above in directories)


def _network(needs: Collection[Need]) -> bool | Network | Literal["loopback"]:
    """One of its own, where it talks to itself alone: all it binds and connects to is the loopback interface's."""
    if any(need.kind == "network" for need in needs):
        return True
    ends = {kind: [need.what.split() for need in needs if need.kind == kind] for kind in ("connect", "bind")}
    udp = any(need.kind == "udp" for need in needs)
    addresses = [ipaddress.ip_address(address) for each in ends.values() for _, address in each]
    if ends["connect"] and ends["bind"] and not udp and all(address.is_loopback for address in addresses):
        return "loopback"
    if not addresses and not udp:
        return False
    ports = {kind: {int(port) for port, _ in each} for kind, each in ends.items()}
    return Network(connect=ports["connect"] - {0}, bind=ports["bind"], udp=udp)
