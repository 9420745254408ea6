"""Which network a sandbox has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, final

from aiospawn._options.values import flag, number

__all__ = ["Network", "checked_network", "is_own"]


def _ports(name: str, value: Any) -> tuple[int, ...]:
    if isinstance(value, (int, str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"Network: {name} must be a collection of TCP ports, not {value!r}")
    return tuple(sorted({number(f"Network: a port in {name}", port, 0, 65535) for port in value}))


@final
class Network:
    """TCP by port, for a `Sandbox`: `Network(connect=[443])`.

    Args:
        connect: TCP ports to which it may connect, on any host; from 1 to 65535.
        bind: TCP ports on which it may listen; 0 is a port that the kernel chooses.
        udp: Whether it may use UDP, to any port of any host. Names are looked up by UDP.

    TCP by port needs Landlock ABI 4, Linux 6.7 (landlock(7)). Everything else (raw sockets, other families) is refused by
    seccomp. Immutable.

    Raises:
        TypeError: What is no port.
        ValueError: A number that is none.
    """

    __slots__ = ("bind", "connect", "udp")

    connect: tuple[int, ...]
    bind: tuple[int, ...]
    udp: bool

    def __init__(self, *, connect: Collection[int] = (), bind: Collection[int] = (), udp: bool = False) -> None:
        set_field = object.__setattr__
        set_field(self, "connect", _ports("connect", connect))
        set_field(self, "bind", _ports("bind", bind))
        set_field(self, "udp", flag("Network: udp")(udp))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Network is immutable: {name} cannot be set")

    def _fields(self) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        return self.connect, self.bind, self.udp

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if isinstance(other, Network) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"Network(connect={[*self.connect]}, bind={[*self.bind]}, udp={self.udp})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _network, self._fields()


def _network(connect: tuple[int, ...], bind: tuple[int, ...], udp: bool) -> Network:
    return Network(connect=connect, bind=bind, udp=udp)


def checked_network(value: Any) -> bool | Network | Literal["loopback"]:
    if value == "loopback":
        return "loopback"
    if not isinstance(value, (bool, Network)):
        raise TypeError(f"network must be a bool, a Network or 'loopback', not {value!r}")
    return value


def is_own(network: bool | Network | str) -> bool:
    """Has a sandbox with this one no part in the network of this process?"""
    return network in (False, "loopback")
