"""A ruleset of Landlock, made once and owned by a sandbox."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Final

from aiospawn._binding import restrictions as kernel

from . import paths
from .network import Network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .paths import IfExists

__all__ = ["DEVICE_IOCTL", "EXECUTE", "OF_FILES", "READ", "WRITE", "Ruleset", "handled_by", "ports"]

# <linux/landlock.h>
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIRECTORY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIRECTORY, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIRECTORY, _MAKE_FILE, _MAKE_SOCKET, _MAKE_FIFO, _MAKE_LINK = 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 12
_REFER, _TRUNCATE, DEVICE_IOCTL = 1 << 13, 1 << 14, 1 << 15
OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | DEVICE_IOCTL
_HANDLED: Final = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}  # by ABI; nothing new from there on
_BIND, _CONNECT = 1 << 0, 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1

READ: Final = _READ_FILE | _READ_DIRECTORY
EXECUTE: Final = READ | _EXECUTE
_MAKE = _MAKE_DIRECTORY | _MAKE_FILE | _MAKE_SOCKET | _MAKE_FIFO | _MAKE_LINK  # but no device
WRITE: Final = READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIRECTORY | _REMOVE_FILE | _MAKE | _REFER
_SYSTEM: Final = {"read": READ, "execute": EXECUTE, "device": _READ_FILE | _WRITE_FILE | _TRUNCATE}


def handled_by(abi: int, network: bool | Network) -> tuple[int, int, int]:
    """What is refused unless a rule allows it: of files, of ports; and what never is allowed."""
    of_ports = _BIND | _CONNECT if abi >= 4 and network is not True else 0
    return _HANDLED[min(abi, max(_HANDLED))], of_ports, _ABSTRACT_SOCKETS | _SIGNALS if abi >= 6 else 0


def ports(abi: int, network: bool | Network) -> Iterator[tuple[int, int]]:
    """Ports, each with the access to it."""
    if abi >= 4 and isinstance(network, Network):
        yield from ((port, _CONNECT) for port in network.connect)
        yield from ((port, _BIND) for port in network.bind)


class Ruleset:
    """Its descriptors are closed with the object."""

    __slots__ = ("__weakref__", "_handled", "_kept", "_ports", "descriptor")

    def __init__(self, abi: int, network: bool | Network, *, keeps: bool = False) -> None:
        """`keeps`: others are made like it."""
        self._handled = handled_by(abi, network)
        self._ports = tuple(ports(abi, network))
        self._kept: list[tuple[int, int]] | None = [] if keeps else None
        self.descriptor = self._made()
        weakref.finalize(self, os.close, self.descriptor)

    def _made(self) -> int:
        descriptor = kernel.ruleset(*self._handled)
        for port, access in self._ports:
            kernel.allow_port(descriptor, port, access)
        return descriptor

    def with_directory(self, directory: int) -> int:
        """The descriptor, the caller's to close, of one that allows the same, and writing below an open directory."""
        descriptor = self._made()
        try:
            for place, access in (*(self._kept or ()), (directory, WRITE)):
                kernel.allow_path(descriptor, place, access & self._handled[0])
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def allow(self, name: str, places: Iterable[str | IfExists], access: int) -> None:
        """Allows the access below these paths. A device that is itself named in `write` may be controlled by ioctl."""
        for place in paths.opened(name, places):
            wanted = access if place.is_directory else access & OF_FILES
            if place.is_device and name == "write":
                wanted |= DEVICE_IOCTL
            try:
                kernel.allow_path(self.descriptor, place.descriptor, wanted & self._handled[0])
            finally:
                if self._kept is None:
                    os.close(place.descriptor)
                else:
                    self._kept.append((place.descriptor, wanted))
                    weakref.finalize(self, os.close, place.descriptor)

    def allow_system(self, *, network: bool, executes: bool) -> None:
        """Programs and libraries of the system, and the devices that every program takes for granted."""
        for kind, places in paths.system_rules(network=network, executes=executes):
            self.allow("system", places, _SYSTEM[kind])
