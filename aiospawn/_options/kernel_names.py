"""Numbers of the kernel's that have names: signals, resources of limits, scheduling policies."""

from __future__ import annotations

import difflib
import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["policy_number", "resource_number", "signal_number"]


def signal_number(name: str, value: Any) -> Any:
    """Of `"TERM"` or `"SIGTERM"`; what is no str stays what it is. Raises ValueError for a name that is none."""
    if not isinstance(value, str):
        return value
    return _number(name, value, "SIG", {each.name: int(each) for each in signal.Signals})


def resource_number(name: str, value: Any) -> Any:
    """The same of `"nofile"` or `"RLIMIT_NOFILE"`."""
    if not isinstance(value, str):
        return value
    import resource

    return _number(
        name, value, "RLIMIT_", {each: getattr(resource, each) for each in dir(resource) if each.startswith("RLIMIT_")}
    )


def policy_number(name: str, value: Any) -> Any:
    """The same of `"batch"` or `"SCHED_BATCH"`."""
    names = ("SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_IDLE")
    return _number(name, value, "SCHED_", {each: getattr(os, each) for each in names if hasattr(os, each)})


def _number(name: str, value: Any, prefix: str, numbers: Mapping[str, int]) -> Any:
    if not isinstance(value, str):
        return value
    wanted = value.upper() if value.upper().startswith(prefix) else prefix + value.upper()
    if wanted in numbers:
        return numbers[wanted]
    nearest = difflib.get_close_matches(wanted, numbers, 1)
    hint = f": did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"{name}: there is no {value!r}{hint}")
