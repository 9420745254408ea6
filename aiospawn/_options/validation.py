"""Keyword arguments into checked options: what can be refused before anything is created is refused here."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from .names import unknown_option
from .options import CHECKS, DEFAULTS, Options

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["only_native", "refuse_text", "validated", "with_added_environment"]

_NEW_USER = 0x10000000  # CLONE_NEWUSER
_POPENS = frozenset(Options._fields[: Options._fields.index("fds")])


def refuse_text(universal_newlines: Any, bufsize: Any, encoding: Any, errors: Any, text: Any) -> None:
    """Raises ValueError for text mode and buffering, which asyncio's streams do not have."""
    if universal_newlines:
        raise ValueError("universal_newlines must be False")
    if bufsize != 0:
        raise ValueError("bufsize must be 0")
    if text:
        raise ValueError("text must be False")
    if encoding is not None:
        raise ValueError("encoding must be None")
    if errors is not None:
        raise ValueError("errors must be None")


def only_native(keywords: Mapping[str, Any]) -> list[str]:
    """The options among these that no other launcher has."""
    return sorted(name for name in keywords if name in Options._fields and name not in _POPENS)


def with_added_environment(keywords: dict[str, Any]) -> dict[str, Any]:
    """With the whole environment as `env`. Raises TypeError, as the checks of both options."""
    added = CHECKS["env_add"](keywords["env_add"])
    kept = {name: value for name, value in keywords.items() if name != "env_add"}
    if added is None:
        return kept
    env = CHECKS["env"](keywords.get("env"))
    if any(isinstance(name, bytes) for name in (*added, *(env or ()))):  # one variable must not be there by two names
        return {
            **kept,
            "env": {
                os.fsencode(name): value
                for each in (os.environ if env is None else env, added)
                for name, value in each.items()
            },
        }
    return {**kept, "env": {**(os.environ if env is None else env), **added}}


def validated(keywords: dict[str, Any]) -> Options:
    """The options of a launch, each in its final form: names turned into ids, collections into masks.

    Raises TypeError for an unknown option or a wrong type, ValueError for a wrong value or options that contradict each
    other, KeyError for an unknown user or group, OSError (EBADF) for a closed descriptor, and what a sandbox raises.
    """
    if not keywords:
        return DEFAULTS
    unknown = keywords.keys() - DEFAULTS._fields
    if unknown:
        name = next(name for name in keywords if name in unknown)
        raise unknown_option(name)
    if "env_add" in keywords:
        keywords = with_added_environment(keywords)
    checked = {name: CHECKS[name](value) for name, value in keywords.items()}
    options = Options(**checked)
    for contradicts in _CONTRADICTIONS:
        contradicts(options)
    return options if options.sandbox is None else options.sandbox.applied(options)


# ---- options that contradict each other -------------------------------------------------------------------------------


def _twice(options: Options) -> None:
    numbers: dict[int, str] = {}
    for name, given in (("fds", options.fds or ()), ("open_fds", options.open_fds or ()), ("pass_fds", options.pass_fds)):
        for number in given:
            other = numbers.setdefault(number, name)
            if other != name and not (name == "pass_fds" and options.fds and options.fds.get(number) == number):
                raise ValueError(f"descriptor {number} is in both {other} and {name}")


def _maps(options: Options) -> None:
    for name in ("uid_map", "gid_map"):
        if getattr(options, name) is not None and not (options.unshare or 0) & _NEW_USER:
            raise ValueError(f"{name} needs unshare with CLONE_NEWUSER, got unshare={options.unshare!r}")


def _sessions(options: Options) -> None:
    if options.pty and options.controlling_terminal is not None:
        raise ValueError(f"pty and controlling_terminal={options.controlling_terminal!r}: a session has one terminal")
    if options.pty and options.process_group not in (None, -1):
        raise ValueError(f"pty makes a new session, whose leader cannot join process_group={options.process_group!r}")


def _hooks(options: Options) -> None:
    if options.hook is not None and options.via is not None:
        raise ValueError(f"hook is a function of this program, it cannot run via={options.via!r}")


def _forks(options: Options) -> None:
    if options.forks and options.via is not None:
        raise ValueError(
            f"via={options.via!r} cannot be combined with preexec_fn={options.preexec_fn!r}, which needs a fork"
        )


def _keepers(options: Options) -> None:
    if options.init is None:
        for name in ("init_lease", "init_namespace", "init_cgroup"):
            if getattr(options, name) != getattr(DEFAULTS, name):
                raise ValueError(f"{name}={getattr(options, name)!r} needs init")
    elif options.forks:
        raise ValueError(
            f"init={options.init!r} cannot be combined with preexec_fn={options.preexec_fn!r}, which needs a fork"
        )
    elif options.hook is not None:
        raise ValueError(f"init={options.init!r} cannot be combined with hook, a function of this program")
    elif options.pdeathsig is not None:
        raise ValueError(
            f"init={options.init!r} cannot be combined with pdeathsig={options.pdeathsig}: the tree ends with its parent"
        )


def _bounds_of_trees(options: Options) -> None:
    if options.init_cgroup_limits is not None and not options.init_cgroup:
        raise ValueError(f"init_cgroup_limits={options.init_cgroup_limits!r} needs init_cgroup")
    if options.init_cgroup and options.cgroup is not None:
        raise ValueError(f"init_cgroup={options.init_cgroup!r} and cgroup={options.cgroup!r}: the tree is in one cgroup")
    for name in ("init_namespace", "init_cgroup"):
        if options.init == "leave" and getattr(options, name):
            raise ValueError(f'init="leave" cannot be combined with {name}={getattr(options, name)!r}: that ends with init')


def _namespaces(options: Options) -> None:
    if options.init_namespace is not None and options.process_group is not None and options.process_group > 0:
        raise ValueError(
            f"init_namespace={options.init_namespace!r} cannot be combined with process_group={options.process_group}: "
            "that group is none of the new namespace"
        )


def _signal_plans(options: Options) -> None:
    both = (options.sigdefault or 0) & (options.sigignore or 0)
    if both:
        raise ValueError(f"signal {both.bit_length()} is in both sigdefault and sigignore")


def _death(options: Options) -> None:
    # The kernel ties the signal to the launching thread: its end would count as the parent's (prctl(2)).
    if options.pdeathsig is not None and threading.current_thread() is not threading.main_thread():
        raise ValueError(f"pdeathsig={options.pdeathsig} works from the main thread only: it is sent when the thread ends")


def _sandboxes(options: Options) -> None:
    if options.sandbox is None:
        return
    for name in ("landlock", "seccomp", "capabilities"):
        if getattr(options, name) is not None:
            raise ValueError(f"sandbox and {name} are both given: a sandbox sets {name} itself")


_CONTRADICTIONS = (
    _twice,
    _maps,
    _sessions,
    _hooks,
    _forks,
    _keepers,
    _bounds_of_trees,
    _namespaces,
    _signal_plans,
    _death,
    _sandboxes,
)
