"""Options of the child, the same for one command and for many."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import aiospawn

from . import _values
from ._errors import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["add_options", "of_run"]


def add_options(parser: argparse.ArgumentParser, *, short: bool = True) -> None:
    """What decides how a command is set up, by systemd-run's names; `short`: also those that mean something else in map."""
    group = parser.add_argument_group("how the command is set up")
    add = group.add_argument
    add("--cwd", *[] if short else ["--wd", "--workdir"], dest="cwd", metavar="DIR", help="its directory")
    add("--setenv", *["--env"] if short else [], dest="setenv", type=_values.variable, action="append", default=[],
        metavar="NAME=VALUE", help="a variable of its environment; may be given again")  # fmt: skip
    add("--clear-env", action="store_true", help="begin with an empty environment")
    add("--nice", type=_nice, metavar="N", help="add N to its niceness")
    add("--rlimit", type=_values.rlimit, action="append", default=[], metavar="NAME=SOFT[:HARD]",
        help="a resource limit, as nofile=64 or as=1000000000:unlimited; may be given again")  # fmt: skip
    add("--umask", type=_values.umask, metavar="OCTAL", help="its file mode creation mask")
    add("--uid", "--user", dest="user", metavar="USER", help="its user, a name or a number")
    add("--gid", *["--group"] if short else [], dest="gid", metavar="GROUP", help="its group, a name or a number")
    add("--cgroup", metavar="DIR", help="the cgroup it joins, a directory below /sys/fs/cgroup")
    add("--no-new-privs", action="store_true", help="it gains no privileges by a program's file")
    add("--new-session", action="store_true", help="it leads a session of its own, without a terminal")
    # Each is an option string, for the next word is the command.
    add("--init", "--init=kill", dest="init", action="store_const", const="kill",
        help="nothing that it starts outlives it, its stop, or this program; what is left is killed")  # fmt: skip
    add("--init=wait", dest="init", action="store_const", const="wait", help="the same, but they are waited for")
    add("--init=leave", dest="init", action="store_const", const="leave", help="the same, but they are left")
    add("--init-namespace=pid", dest="init_namespace", action="store_const", const="pid",
        help="with --init: in a PID namespace of its own")  # fmt: skip
    add("--init-cgroup", dest="init_cgroup", action="store_const", const=True,
        help="with --init: in a cgroup of its own, below that of this program")  # fmt: skip
    add("--init-cgroup-below", dest="init_cgroup", metavar="DIR", help="with --init: in a cgroup of its own, below DIR")
    add("--init-cgroup-limit", dest="init_cgroup_limits", type=_values.variable, action="append", metavar="NAME=VALUE",
        help="a limit of that cgroup, as memory.max=1000000000; may be given again")  # fmt: skip
    add("--init-lease", type=_values.duration, metavar="TIME",
        help="with --init: they also end where this program is stopped, or hangs, for so long")  # fmt: skip
    _add_sandbox(parser)


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


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
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
        "--sandbox-tmp", action="store_true", help="with --sandbox-hide: it has an empty /tmp, gone afterwards"
    )
    group.add_argument("--sandbox-home", action="store_true", help="with --sandbox-hide: the same as its home directory")
    group.add_argument("--sandbox-udp", action="store_true", help="it may use UDP, as for looking up names")
    group.add_argument("--sandbox-unix-sockets", action="store_true", help="it may connect to Unix sockets")


def _sandbox(options: argparse.Namespace) -> aiospawn.Sandbox | None:
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


def _nice(text: str) -> int:
    return int(text)


_nice.__name__ = "whole number"  # argparse's "invalid ... value"


def of_run(options: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of `aiospawn.run`: only what was given, so that the rest stays what it is by default."""
    keywords: dict[str, Any] = {}
    if options.setenv or options.clear_env:
        kept = getattr(options, "env", ()) if options.clear_env else os.environ
        keywords["env"] = {name: os.environ[name] for name in kept if name in os.environ} | dict(options.setenv)
    if options.rlimit:
        keywords["rlimits"] = dict(options.rlimit)
    same = ("cwd", "nice", "umask", "cgroup", "init", "init_lease", "init_namespace", "init_cgroup")
    given = {name: getattr(options, name) for name in same}
    given["sandbox"] = _sandbox(options)
    keywords |= {name: value for name, value in given.items() if value is not None}
    for name, value in (("user", options.user), ("group", options.gid)):
        if value is not None:
            keywords[name] = int(value) if value.isascii() and value.isdigit() else value
    if options.init_cgroup_limits:
        keywords["init_cgroup_limits"] = dict(options.init_cgroup_limits)
    if options.no_new_privs:
        keywords["no_new_privs"] = True
    if options.new_session:
        keywords["start_new_session"] = True
    return keywords
