"""Functions that a launch runs in the child: `preexec_fn`, of Python, and a native hook, of C."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SETPGRP", "SETSID", "LeadingGroup", "NativeHook", "is_step", "makes_group"]

SETSID, SETPGRP = getattr(os, "setsid", None), getattr(os, "setpgrp", None)  # as preexec_fn they are steps


@dataclass(frozen=True, slots=True)
class NativeHook:
    """A C function that runs in the child, just before the program: `int function(void *argument)`.

    It returns 0 for success, otherwise the errno of the failure. It makes raw system calls only, and calls no function of
    libc or of any other library; writes no memory but its own stack (59 KiB, with a guard page below); takes no lock; and
    ends by `return`: the child shares the memory and the thread-local storage of a thread that is running.
    docs/options.md, "The hook", has the whole contract.

    Attributes:
        function: The function's address: an int, or a pointer of cffi's.
        argument: What it is called with: an address likewise. Default: 0, which is NULL.
    """

    function: Any
    argument: Any = 0


class LeadingGroup:
    """A preexec_fn after which the child leads a process group, unless it has left the parent's itself.

    In this order, for `os.setsid` fails in a leader (setsid(2)).
    """

    __slots__ = ("_preexec_fn",)

    def __init__(self, preexec_fn: Callable[[], object]) -> None:
        self._preexec_fn = preexec_fn

    def __repr__(self) -> str:
        return repr(self._preexec_fn)

    def __call__(self) -> None:
        parents = os.getpgrp()
        self._preexec_fn()
        if os.getpgrp() == parents:
            os.setpgid(0, 0)


def is_step(preexec_fn: Any) -> bool:
    """Is there no such function, or one that becomes a step?"""
    return preexec_fn is None or preexec_fn is SETSID or preexec_fn is SETPGRP


def makes_group(preexec_fn: Any) -> bool:
    """Does the child lead a process group by this function, as far as is known?"""
    return preexec_fn is not None and (is_step(preexec_fn) or isinstance(preexec_fn, LeadingGroup))
