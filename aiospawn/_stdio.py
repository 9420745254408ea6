"""Standard streams and passed descriptors: what the child's numbers become, as a plan of steps. Nothing is opened here."""

from __future__ import annotations

import asyncio.subprocess
import os
from typing import Any, NamedTuple

from . import _errors
from ._clib import CHILD_READS, CHILD_WRITES, NO_PIPE, Step

__all__ = ["Plan", "planned"]

PIPE, STDOUT, DEVNULL = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT, asyncio.subprocess.DEVNULL
_NAMES = ("stdin", "stdout", "stderr")
_NULL_DEVICE = os.fsencode(os.devnull) + b"\0"
_LAST = 2**31 - 1


class Plan(NamedTuple):
    """Pipes by stream, and the steps that give the child its descriptors: kind, descriptor, value, data."""

    pipes: tuple[int, int, int]
    steps: tuple[tuple[int, int, int, bytes], ...]
    top: int
    """The highest descriptor number that the steps write to."""


def planned(stdin: Any, stdout: Any, stderr: Any) -> Plan:
    """The plan for what the three arguments may be: None, PIPE, DEVNULL, a descriptor, a file; STDOUT for stderr.

    Raises ValueError for a misplaced STDOUT, OSError (EBADF) for a closed descriptor, and what `fileno()` raises.
    """
    arguments = (stdin, stdout, stderr)
    pipes = tuple(
        NO_PIPE if argument != PIPE else CHILD_READS if stream == 0 else CHILD_WRITES
        for stream, argument in enumerate(arguments)
    )
    sources: dict[int, int | None] = {}
    for stream, argument in enumerate(arguments):
        if argument is None or (argument == STDOUT and stream == 2):
            continue
        sources[stream] = _source(stream, argument)
    steps = list(_steps(sources))
    if stderr == STDOUT:
        steps.append((Step.DUP, 1, 2, b""))
        sources[2] = 1
    return Plan(pipes, tuple(steps), max(sources, default=-1))  # type: ignore[arg-type]


def _source(stream: int, argument: Any) -> int | None:
    """A descriptor of the parent, the child's end of a pipe as -1 - stream, or None: the null device."""
    if argument == PIPE:
        return -1 - stream
    if argument == DEVNULL:
        return None
    if argument == STDOUT:
        if stream == 1:
            raise ValueError("STDOUT can only be used for stderr")
        raise _errors.bad_descriptor(_NAMES[stream], argument)
    descriptor = argument if isinstance(argument, int) else argument.fileno()
    if not _is_open(descriptor):
        raise _errors.bad_descriptor(_NAMES[stream], descriptor)
    return int(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _steps(sources: dict[int, int | None]) -> Any:
    """Two passes: descriptors that would be overwritten before they are used are set aside first."""
    registers: dict[int, int] = {}
    for number, source in sources.items():
        if source is not None and source >= 0 and source != number and source in sources and source not in registers:
            registers[source] = len(registers)
            yield Step.SAVE, source, registers[source], b""
    for number, source in sources.items():
        if source is None:
            yield Step.OPEN, number, os.O_RDWR, _NULL_DEVICE
        elif source in registers and source != number:
            yield Step.DUP_SAVED, registers[source], number, b""
        else:
            yield Step.DUP, source, number, b""


def closing(keep: tuple[int, ...], *, close_others: bool) -> list[tuple[int, int, int, bytes]]:
    """The steps that pass the descriptors in `keep` on and close the others from 3 up; `keep` is sorted."""
    steps = [(int(Step.DUP), fd, fd, b"") for fd in keep]
    if close_others:
        first = 3
        for fd in (*(fd for fd in keep if fd >= 3), _LAST):
            if first < fd:
                steps.append((int(Step.CLOSE), first, fd - 1 if fd != _LAST else _LAST, b""))
            first = fd + 1
    return steps
