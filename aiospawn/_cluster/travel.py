"""Which options make sense on another machine."""

from __future__ import annotations

import pickle
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

__all__ = ["check_own", "travelling"]

_OF_THIS_PROCESS = {
    "pass_fds": "descriptors are this process's",
    "fds": "descriptors are this process's",
    "controlling_terminal": "descriptors are this process's",
    "foreground": "descriptors are this process's",
    "setns": "descriptors are this process's",
    "landlock": "descriptors are this process's",
    "preexec_fn": "code of this process does not run in a worker's child",
    "hook": "code of this process does not run in a worker's child",
    "on_event": "events are not sent from one machine to another",
    "tee": "output is not written here while commands run there; on_line tells its lines",
    "init_lease": "the lease is the cluster's: Cluster(..., lease=)",
}
_STREAMS = {"stdin": (None, PIPE, DEVNULL), "stdout": (None, PIPE, DEVNULL), "stderr": (None, PIPE, DEVNULL, STDOUT)}
_PATHS = ("executable", "cwd", "cgroup")  # may be descriptors


def travelling(options: dict[str, Any]) -> dict[str, Any]:
    """The options as agents get them: with an init, so that commands end with their agent.

    Raises ValueError for one that means this process, and TypeError for one that cannot be sent.
    """
    _check(options)
    init = options.get("init")
    if init is False or init == "leave":
        raise ValueError(f"init={init!r} with cluster: what outlives its worker could run twice")
    return {**options, "init": True if init is None else init}


def check_own(options: dict[str, Any]) -> None:
    """A command's own options. Raises as `travelling`."""
    _check(options)
    if "init" in options:
        raise ValueError(f"init={options['init']!r} of a Command with cluster: it is one for all of a map's commands")


def _check(options: dict[str, Any]) -> None:
    for name, reason in _OF_THIS_PROCESS.items():
        if options.get(name):
            raise ValueError(f"{name}={options[name]!r} with cluster: {reason}")
    for name, possible in _STREAMS.items():
        if options.get(name) not in possible:
            raise ValueError(f"{name}={options[name]!r} with cluster: files are this process's; it may be PIPE or DEVNULL")
    for name in _PATHS:
        if isinstance(options.get(name), int):
            raise ValueError(f"{name}={options[name]!r} with cluster: descriptors are this process's")
    for name, value in options.items():
        try:
            pickle.dumps(value)
        except Exception as error:  # noqa: BLE001 - whatever its methods raise
            raise TypeError(f"{name}={value!r} with cluster cannot be sent to workers: {error}") from None
