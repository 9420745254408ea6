"""Options of the child, the same for one command and for many."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import _sandbox_options, _values

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
    _sandbox_options.add_options(parser)


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
    given["sandbox"] = _sandbox_options.sandbox_of(options)
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
