"""Options that put a sandbox around a command, the same for one command and for many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiospawn

from . import _values
from ._errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

__all__ = ["add_options", "explained", "sandbox_of"]

_OF_SANDBOX = (
    "hide",
    "tmp",
    "home",
    "loopback",
    "read",
    "write",
    "execute",
    "network",
    "connect",
    "bind",
    "udp",
    "unix_sockets",
    "limit",
    "syscalls",
    "allow",
    "deny",
    "answer",
    "at_least",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `run` and `map`."""
    group = parser.add_argument_group("a sandbox around the command; each of these makes one")
    group.add_argument("--sandbox", action="store_true",
        help="it executes what is installed, writes no file, has no network, reaches no other process")  # fmt: skip
    for name, metavar, text in (
        ("read", "PATH", "it may read PATH and what is below it"),
        ("write", "PATH", "it may also write there"),
        ("execute", "PATH", "it may also execute what is there"),
        ("connect", "PORT", "it may connect to that TCP port"),
        ("bind", "PORT", "it may listen on that TCP port; 0: one that the kernel chooses"),
        ("allow", "CALL", "it may make that system call, which the policy refuses"),
        ("deny", "CALL", "that system call is refused besides"),
        ("at-least", "NAME", "a restriction that has to hold; the others may be missing (default: all have to hold)"),
    ):
        kind = _values.whole if metavar == "PORT" else str
        group.add_argument(
            f"--sandbox-{name}", type=kind, action="append", default=[], metavar=metavar, help=f"{text}; may be given again"
        )
    group.add_argument("--sandbox-limit", type=_values.sandbox_limit, action="append", default=[], metavar="NAME=AMOUNT",
        help="how much it may take: memory=512M, processes=20, cpu_seconds=10, wall=1m, file_size=1G, open_files=64;"
        " may be given again")  # fmt: skip
    group.add_argument("--sandbox-syscalls", choices=["default", "compute"],
        help="the policy of system calls; compute: no sockets, no processes,"
        " no programs but those of --sandbox-execute")  # fmt: skip
    group.add_argument(
        "--sandbox-answer", metavar="ERROR", help="what a refused system call gets: kill, or an error as ENOSYS"
    )
    group.add_argument("--sandbox-network", action="store_true", help="it has the network")
    group.add_argument("--sandbox-loopback", action="store_true", help="it has a network of its own, with 127.0.0.1 alone")
    group.add_argument("--sandbox-hide", action="store_true",
        help="it has a file system, processes and a network of its own; what is not named is not there")  # fmt: skip
    group.add_argument(
        "--sandbox-tmp",
        action="store_true",
        help="it has an empty directory for temporary files, gone afterwards: TMPDIR leads there",
    )
    group.add_argument("--sandbox-home", action="store_true", help="with --sandbox-hide: the same as its home directory")
    group.add_argument("--sandbox-udp", action="store_true", help="it may use UDP, as for looking up names")
    group.add_argument("--sandbox-unix-sockets", action="store_true", help="it may connect to Unix sockets")


def sandbox_of(options: argparse.Namespace) -> aiospawn.Sandbox | None:
    """The sandbox, None where no option makes one. Raises UsageError."""
    given = {name: getattr(options, f"sandbox_{name}") for name in _OF_SANDBOX}
    if not options.sandbox and not any(given.values()):
        return None
    tcp = {name: given.pop(name) for name in ("connect", "bind", "udp")}
    loopback = given.pop("loopback")
    if loopback and (any(tcp.values()) or given["network"]):
        raise UsageError("--sandbox-loopback is a network of its own: not with options of another")
    if any(tcp.values()) and given["network"]:
        raise UsageError("--sandbox-network is the whole network: not with --sandbox-connect, --sandbox-bind, --sandbox-udp")
    try:
        if any(tcp.values()):
            given["network"] = aiospawn.Network(**tcp)
        given["network"] = "loopback" if loopback else given["network"]
        limits = given.pop("limit")
        given["limits"] = aiospawn.Limits(**dict(limits)) if limits else None
        calls = {name: value for name in ("allow", "deny", "answer") if (value := given.pop(name))}
        given["syscalls"] = aiospawn.SystemCalls(given["syscalls"] or "default", **calls)
        return aiospawn.Sandbox(**{**given, "at_least": given["at_least"] or None})
    except ValueError as error:
        raise UsageError(f"--sandbox: {error}") from None


def explained(options: argparse.Namespace) -> Iterator[str]:
    """What a command in the sandbox may do, if there is one, as a shell's comments."""
    sandbox = sandbox_of(options)
    if sandbox is not None:
        yield from (f"# {line}" for line in sandbox.explain().splitlines())
