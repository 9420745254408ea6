"""Which needs a sandbox meets, as the kernel judges: what is allowed of a directory is allowed of all below it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from . import paths
from .network import Network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .needs import Need
    from .paths import IfExists
    from .sandbox import Sandbox

__all__ = ["Coverage"]

_SYSTEM: Final = {"read": ("read",), "execute": ("read", "execute"), "device": ("read", "write")}


class Coverage:
    """What is allowed now: a path that is replaced later is another file."""

    __slots__ = ("_allowed", "_sandbox")

    def __init__(self, sandbox: Sandbox) -> None:
        """Raises the OSError of a path that is not there."""
        self._sandbox = sandbox
        self._allowed: dict[tuple[int, int], set[str]] = {}
        for kinds, places in _rules(sandbox):
            for place in paths.opened(kinds[-1], places):
                found = os.fstat(place.descriptor)
                os.close(place.descriptor)
                self._allowed.setdefault((found.st_dev, found.st_ino), set()).update(kinds)

    def meets(self, need: Need) -> bool:
        sandbox, network = self._sandbox, self._sandbox.network
        if need.kind in ("read", "write", "execute"):
            return any(need.kind in self._of(above) for above in _upwards(need.what))
        if need.kind == "unix_sockets":
            # an abstract name is anybody's, and none of outside can be connected to: one of its own it may have
            return sandbox.unix_sockets
        if not isinstance(network, Network):
            return network is not False and (need.kind != "network" or network is True)
        if need.kind in ("connect", "bind"):
            return int(need.what.partition(" ")[0]) in getattr(network, need.kind)
        return need.kind == "udp" and network.udp

    def _of(self, path: str) -> set[str]:
        try:
            found = os.stat(path)
        except OSError:
            return set()
        return self._allowed.get((found.st_dev, found.st_ino), set())


def _upwards(path: str) -> Iterator[str]:
    """The path and each directory above it."""
    while True:
        yield path
        if path == "/":
            return
        path = os.path.dirname(path)


def _rules(sandbox: Sandbox) -> Iterator[tuple[tuple[str, ...], Iterable[str | IfExists]]]:
    """What is allowed, the argument's name last, and where."""
    yield ("read",), sandbox.read
    yield ("read", "write"), sandbox.write
    yield ("read", "execute"), sandbox.execute
    if sandbox.system:
        network, executes = sandbox.network not in (False, "loopback"), sandbox.syscalls.policy != "compute"
        for kind, places in paths.system_rules(network=network, executes=executes):
            yield _SYSTEM[kind], places
