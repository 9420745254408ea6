"""The four ways to launch, and one round of commands on one of them, measured.

The loop's stall is measured by a task that sleeps for a millisecond over and over: by how much a beat comes late is how
long a timer, a socket or a request would have waited. A loop that is held for 30 ms sees one beat, 29 ms late; the beat
that is pending when the last command ends is waited for, for it may be the latest.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import math
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, TypeAlias

import aiospawn

from ._errors import CannotRunError

__all__ = ["Command", "Method", "Round", "beat", "measure", "methods", "p99", "support", "uvloop_version"]

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]

_BEAT_S = 0.001
_DRAW_EVERY_S = 0.25

# ---- the ways to launch -----------------------------------------------------------------------------------------------


def support() -> aiospawn.Support:
    """`aiospawn.supported()`."""
    try:
        return aiospawn.supported()
    except ValueError as error:  # AIOSPAWN_WITHOUT names what is not a feature
        raise CannotRunError(error) from None


class Method(NamedTuple):
    """An event loop that launches; `loop_factory` is None where uvloop is not installed."""

    name: str
    loop_factory: LoopFactory | None
    ours: bool


def uvloop_version() -> str | None:
    """The version of uvloop, None where it is not installed."""
    try:
        import uvloop  # noqa: F401 - it may be there for another Python, or broken
    except ImportError:
        return None
    return importlib.metadata.version("uvloop")


def methods() -> tuple[Method, ...]:
    """Stock asyncio, uvloop, and aiospawn on each of the two."""
    uvloop_factory = uvloop_with_aiospawn = None
    if uvloop_version() is not None:
        import uvloop

        uvloop_factory = uvloop.new_event_loop
        uvloop_with_aiospawn = aiospawn.new_uvloop_event_loop
    return (
        Method("asyncio", asyncio.SelectorEventLoop, ours=False),
        Method("uvloop", uvloop_factory, ours=False),
        Method("aiospawn", aiospawn.new_event_loop, ours=True),
        Method("aiospawn on uvloop", uvloop_with_aiospawn, ours=True),
    )


# ---- one round --------------------------------------------------------------------------------------------------------


class Command(NamedTuple):
    """What is launched, and what it must write."""

    arguments: tuple[str, ...]
    expected: bytes


class Round(NamedTuple):
    """What one round of commands came to."""

    commands: int  # that ran to their end
    seconds: float
    cut: bool  # by the time limit
    p99_stall_s: float
    worst_stall_s: float
    wrong: tuple[str, ...]
    descriptors_left: int
    children_left: int


def measure(
    loop_factory: LoopFactory,
    commands: Sequence[Command],
    *,
    jobs: int,
    seconds: float,
    draw: Callable[[int], None] | None = None,
) -> Round:
    """Runs the commands on a new loop, `jobs` at a time, and launches none any more after `seconds`.

    `draw`, if given, is called a few times a second with the number of commands that have ended.
    """
    gc.collect()  # the garbage of the round before is not this loop's stall
    descriptors, children = _open_descriptors(), _children()
    running = _Running(commands, seconds, draw)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(running.run(jobs))
    except BaseException:
        _end(_children() - children)
        raise
    return Round(
        commands=running.ended,
        seconds=running.elapsed,
        cut=running.cut,
        p99_stall_s=p99(running.stalls),
        worst_stall_s=max(running.stalls),
        wrong=tuple(running.wrong),
        descriptors_left=len(_open_descriptors() - descriptors),
        children_left=len(_children() - children),
    )


async def beat() -> float:
    """Sleeps for one beat. Returns by how many seconds it came late."""
    due = perf_counter() + _BEAT_S
    await asyncio.sleep(_BEAT_S)
    return max(0.0, perf_counter() - due)  # uvloop's timers may be early by a fraction


def p99(stalls: Sequence[float]) -> float:
    """The stall that 99 of 100 beats do not exceed."""
    return sorted(stalls)[math.ceil(0.99 * len(stalls)) - 1]


class _Running:
    def __init__(self, commands: Sequence[Command], seconds: float, draw: Callable[[int], None] | None) -> None:
        self.ended = 0
        self.cut = False
        self.elapsed = 0.0
        self.stalls: list[float] = []
        self.wrong: list[str] = []
        self._commands = iter(commands)
        self._seconds = seconds
        self._draw = draw
        self._drawing = 0.0
        self._over = False
        self._error: OSError | None = None

    async def run(self, jobs: int) -> None:
        async with asyncio.TaskGroup() as heart:
            heart.create_task(self._heartbeat())
            started = perf_counter()
            async with asyncio.TaskGroup() as workers:
                for _ in range(jobs):
                    workers.create_task(self._worker(self._before(started + self._seconds)))
            self.elapsed = perf_counter() - started - self._drawing
            self._over = True
        if self._error is not None:
            raise self._error

    def _before(self, deadline: float) -> Iterator[Command]:
        for command in self._commands:
            if perf_counter() > deadline:
                self.cut = True
            if self.cut or self._error is not None:
                return
            yield command

    async def _worker(self, commands: Iterator[Command]) -> None:
        for command in commands:
            try:
                output = await _output_of(command.arguments)
            except OSError as error:
                self._error = error
                return
            if output != command.expected:
                self.wrong.append(f"{' '.join(command.arguments)}: {output!r}, not {command.expected!r}")
            self.ended += 1

    async def _heartbeat(self) -> None:
        drawn = perf_counter()
        while not self._over:
            self.stalls.append(await beat())
            now = perf_counter()
            if self._draw is not None and now - drawn > _DRAW_EVERY_S:
                self._draw(self.ended)
                drawn = perf_counter()
                self._drawing += drawn - now
                # What came in during the drawing is worked off in this beat, which therefore does not count.
                await asyncio.sleep(_BEAT_S)


async def _output_of(arguments: tuple[str, ...]) -> bytes:
    process = await asyncio.create_subprocess_exec(*arguments, stdout=PIPE)
    try:
        output, _ = await process.communicate()
    except BaseException:  # cancelled, by Ctrl-C for one
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return output


# ---- what is left over ------------------------------------------------------------------------------------------------


def _open_descriptors() -> set[str]:
    try:
        # The listing's own descriptor is among them, and has the lowest free number both times.
        return set(os.listdir("/proc/self/fd"))
    except OSError as error:
        raise CannotRunError(f"descriptors are counted in /proc, which is not there ({error})") from None


def _end(children: set[int]) -> None:
    """Kills and reaps. uvloop does not wait for a child whose creation was cancelled."""
    for pid in children:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _children() -> set[int]:
    """This process's children, dead or alive."""
    me = os.getpid()
    children = set()
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            # The command's name is in parentheses, and may contain some.
            state_and_parent = Path("/proc", entry, "stat").read_bytes().rpartition(b") ")[2].split()
        except OSError:  # gone meanwhile
            continue
        if int(state_and_parent[1]) == me:
            children.add(int(entry))
    return children
