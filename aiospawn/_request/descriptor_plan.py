"""Descriptors of the child: what its numbers become, as a plan of steps. Nothing is opened here."""

from __future__ import annotations

import asyncio.subprocess
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from aiospawn import _errors
from aiospawn._binding.library import CHILD_READS, CHILD_WRITES, MAX_SAVED, NO_PIPE, PTY, REGISTER, Step
from aiospawn._options import descriptors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiospawn._options.options import Options

__all__ = ["DEVNULL", "PIPE", "STDOUT", "Plan", "StepTuple", "closing", "planned"]

StepTuple: TypeAlias = "tuple[int, int, int, bytes]"  # kind, descriptor, value, data

PIPE, STDOUT, DEVNULL = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT, asyncio.subprocess.DEVNULL
_NAMES = ("stdin", "stdout", "stderr")
_NULL_DEVICE = (os.fsencode(os.devnull) + b"\0", os.O_RDWR, 0)
_FOLLOWS = (b"", 0, 0)  # standard error is what the child opens as standard output: one open file
_LAST = 2**31 - 1

# Where a number of the child comes from: a descriptor of the parent, an end of a pipe (-1 - stream), or what the child
# opens itself (path, flags, mode).
_Source: TypeAlias = "int | tuple[bytes, int, int]"


class Plan(NamedTuple):
    """Pipes by stream, and the steps that give the child its descriptors."""

    pipes: tuple[int, int, int]
    steps: tuple[StepTuple, ...]
    top: int
    """The highest descriptor number that the steps write to."""
    sources: frozenset[int]
    """The descriptors and ends that the steps read."""
    kept: frozenset[int]
    """The child's numbers."""
    moved: dict[int, int]
    """Descriptors that later steps need and these overwrite, and the operand that means them from then on."""

    def operand(self, fd: int) -> int:
        return self.moved.get(fd, fd)

    def open_pipes(self) -> int:
        """Bit n: stream n is a pipe, or a terminal."""
        first, second, third = self.pipes
        return (first != NO_PIPE) | (second != NO_PIPE) << 1 | (third != NO_PIPE) << 2


def planned(  # noqa: C901 - one branch a way to give a descriptor
    streams: tuple[Any, Any, Any], options: Options, needed: Iterable[int]
) -> Plan:
    """The plan for the standard streams, `pass_fds`, `fds`, `open_fds` and `pty`.

    A stream is None, PIPE, DEVNULL, a descriptor or a file; stderr may be STDOUT. `needed` are the descriptors that later
    steps refer to. Raises ValueError for a misplaced STDOUT or a stream that is given twice, OSError (EBADF) for a closed
    descriptor, and what `fileno()` raises.
    """
    sources: dict[int, _Source] = {}
    pipes = (PTY, NO_PIPE, NO_PIPE) if options.pty else _pipes(streams)
    for stream, argument in enumerate(streams):
        if options.pty:
            if argument is not None:
                raise ValueError(f"pty and {_NAMES[stream]}={argument!r}: the terminal is all three streams")
            sources[stream] = -1
        elif argument is not None and not (argument == STDOUT and stream == 2):
            sources[stream] = _source(stream, argument)
    for number in options.pass_fds:
        sources.setdefault(number, number)
    for name, given in (("fds", options.fds), ("open_fds", options.open_fds)):
        for number, source in (given or {}).items():
            if number == 2 and streams[2] == STDOUT:
                raise ValueError(f"{name}[2] and stderr={STDOUT} (STDOUT) are both given")
            if number in sources and sources[number] != source and (number < 3 or name == "open_fds"):
                raise ValueError(f"{name}[{number}] and {_NAMES[number] if number < 3 else 'pass_fds'} are both given")
            sources[number] = source
    if streams[2] == STDOUT and not options.pty:
        source = sources.get(1, 1)
        sources.pop(2, None)  # behind what becomes standard output
        sources[2] = source if isinstance(source, int) else _FOLLOWS
    return _finished(pipes, sources, tuple(needed))


def _finished(pipes: tuple[int, int, int], sources: dict[int, _Source], needed: tuple[int, ...]) -> Plan:
    registers: dict[int, int] = {}
    steps = tuple(_steps(sources, needed, registers))
    return Plan(
        pipes=pipes,
        steps=steps,
        top=max(sources, default=-1),
        sources=frozenset(source for source in sources.values() if isinstance(source, int)),
        kept=frozenset(sources),
        moved={fd: REGISTER - registers[fd] for fd in needed if fd in registers and sources.get(fd) != fd},
    )


def _pipes(streams: tuple[Any, Any, Any]) -> tuple[int, int, int]:
    stdin, stdout, stderr = streams
    return (
        CHILD_READS if stdin == PIPE else NO_PIPE,
        CHILD_WRITES if stdout == PIPE else NO_PIPE,
        CHILD_WRITES if stderr == PIPE else NO_PIPE,
    )


def _source(stream: int, argument: Any) -> _Source:
    if argument == PIPE:
        return -1 - stream
    if argument == DEVNULL:
        return _NULL_DEVICE
    if argument == STDOUT:
        if stream == 1:
            raise ValueError("STDOUT can only be used for stderr")
        raise _errors.bad_descriptor(_NAMES[stream], argument)
    return descriptors.descriptor(_NAMES[stream], argument)


def _steps(sources: dict[int, _Source], needed: tuple[int, ...], registers: dict[int, int]) -> Iterator[StepTuple]:
    """Descriptors that would be overwritten before they are used are set aside first; what the child opens comes last.

    Opening may wait, and the child must not hold the parent's streams meanwhile.
    """
    wanted = [source for number, source in sources.items() if isinstance(source, int) and source != number]
    for fd in (*wanted, *needed):
        if fd < 0 or fd not in sources or fd in registers or (fd in needed and fd not in wanted and sources[fd] == fd):
            continue
        registers[fd] = len(registers)
        if len(registers) > MAX_SAVED:
            raise ValueError(f"more than {MAX_SAVED} descriptors change places")
        yield Step.SAVE, fd, registers[fd], b""
    for number, source in sources.items():
        if not isinstance(source, int):
            continue
        if source in registers and source != number:
            yield Step.DUP_SAVED, registers[source], number, b""
        else:
            yield Step.DUP, source, number, b""
    yield from _opening(sources)


def _opening(sources: dict[int, _Source]) -> Iterator[StepTuple]:
    for number, source in sources.items():
        if source is _FOLLOWS:
            yield Step.DUP, 1, 2, b""
        elif isinstance(source, tuple):
            path, flags, mode = source
            yield Step.OPEN, number, flags | mode << 32, path


def closing(kept: Iterable[int]) -> Iterator[StepTuple]:
    """The steps that close the descriptors from 3 up but these."""
    first = 3
    for fd in (*sorted(fd for fd in kept if fd >= 3), _LAST + 1):
        if first < fd:
            yield Step.CLOSE, first, fd - 1, b""
        first = fd + 1
