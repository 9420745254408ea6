"""What a sandbox is compiled to at its first use: its paths are opened, its view, rules and filter made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiospawn._binding import restrictions as kernel

from . import restrictions
from .empty_network import EmptyNetwork
from .network import is_own
from .policy import compiled_filter, has_numbers
from .ruleset import EXECUTE, READ, WRITE, Ruleset
from .view import View

if TYPE_CHECKING:
    from collections.abc import Collection

    from .network import Network
    from .sandbox import Sandbox

__all__ = ["HOME", "TMP", "Compiled", "compiled_sandbox"]

TMP, HOME = "/tmp", "/home/user"  # noqa: S108 - in a file system of the view's own
_SHARED: Final = "/dev/shm"  # noqa: S108 - likewise
_FOR_EVERYBODY, _PRIVATE = "1777", "0700"
_DEFAULT_SIZE: Final = 256 * 2**20


class Compiled(NamedTuple):
    """It, with what is kept open for its launches."""

    seen: View | None
    is_alone: bool
    """Has it a network namespace without a view?"""
    network: EmptyNetwork | None
    """What a view joins where this process may."""
    rules: bytes
    ruleset: Ruleset | None
    filter: bytes | None
    programs: tuple[dict[Any, Any], dict[Any, Any]]
    """Those with a new network namespace, and those that join one."""

    @property
    def joins(self) -> bool:
        return self.network is not None and kernel.may_make_namespaces()


def compiled_sandbox(sandbox: Sandbox, asked: Collection[str]) -> Compiled:
    """`asked`: the restrictions that it needs. Raises as `Sandbox` says."""
    have = restrictions.found()
    have = have._replace(filters=have.filters and has_numbers())
    for lack in restrictions.missing(asked if sandbox.at_least is None else sandbox.at_least, have):
        raise NotImplementedError(f"sandbox: {lack.name} needs {lack.need}, this kernel has {lack.have}")
    seen = _seen(sandbox, executes_anything=have.landlock > 0) if sandbox.hide and have.views else None
    network: bool | Network = have.views if sandbox.network == "loopback" else sandbox.network  # its own, or none
    rules = b"" if seen is None or not have.landlock else seen.rules(have.landlock, network)
    ruleset = _ruleset(sandbox, have.landlock, network) if have.landlock and seen is None else None
    policy = compiled_filter(network, sandbox.syscalls, unix_sockets=sandbox.unix_sockets, metadata=bool(sandbox.write))
    has_sockets = network is not False or sandbox.unix_sockets or not have.filters
    return Compiled(
        seen=seen,
        is_alone=seen is None and sandbox.network == "loopback" and have.views,
        network=None if seen is None or has_sockets else EmptyNetwork.shared(),
        rules=rules,
        ruleset=ruleset,
        filter=policy if have.filters else None,
        programs=({}, {}),
    )


def _seen(sandbox: Sandbox, *, executes_anything: bool) -> View:
    view = View(executes_anything=executes_anything)
    if sandbox.system:
        view.show_system(network=not is_own(sandbox.network), executable=sandbox.syscalls.policy != "compute")
    view.show("read", sandbox.read)
    view.show("write", sandbox.write, writable=True)
    view.show("execute", sandbox.execute, executable=True)
    view.arrange()
    places = (
        ("tmp", TMP, sandbox.tmp, _FOR_EVERYBODY),
        ("tmp", _SHARED, sandbox.tmp, _FOR_EVERYBODY),
        ("home", HOME, sandbox.home, _PRIVATE),
    )
    for name, path, size, mode in places:
        if size is not False:
            view.add_tmpfs(name, path, size=_DEFAULT_SIZE if size is True else size, mode=mode)
    return view


def _ruleset(sandbox: Sandbox, abi: int, network: bool | Network) -> Ruleset:
    ruleset = Ruleset(abi, network, keeps=sandbox.tmp is True)
    if sandbox.system:
        ruleset.allow_system(network=not is_own(sandbox.network), executes=sandbox.syscalls.policy != "compute")
    for name, access in (("read", READ), ("write", WRITE), ("execute", EXECUTE)):
        ruleset.allow(name, getattr(sandbox, name), access)
    return ruleset
