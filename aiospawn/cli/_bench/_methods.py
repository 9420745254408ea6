"""The launchers that are compared, and the command that measures one of them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn.cli._measure import methods, uvloop_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._programs import Programs

__all__ = [
    "COMMUNICATE",
    "EVERY",
    "LIMIT",
    "LOOPS",
    "MAP",
    "RUN",
    "THEIR_COMMUNICATE",
    "YARDSTICKS",
    "Method",
    "in_c",
    "in_python",
    "installed",
    "of_peer",
    "other_ways",
]

LIMIT = "C limit"
COMMUNICATE, THEIR_COMMUNICATE = "aiospawn, communicate", "asyncio, communicate"
RUN, MAP = "aiospawn.run", "aiospawn.map"


class Method(NamedTuple):
    """One launcher. `mode` is limit.c's, `loop` the name of an event loop; a method has one of the two."""

    name: str
    mode: str = ""
    loop: str = ""
    way: str = "create"
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    environment: dict[str, str] = {}  # noqa: RUF012 - never changed
    stderr_file: bool = False  # the parent's standard error is a regular file


_LIMIT = Method(LIMIT, mode="clone")
LOOPS = tuple(Method(method.name, loop=method.name) for method in methods())
YARDSTICKS = (_LIMIT, *LOOPS)
EVERY = (
    _LIMIT,
    Method("C fork + exec", mode="fork"),
    Method("C vfork + exec", mode="vfork"),
    Method("C posix_spawn", mode="posix_spawn"),
    Method("C system", mode="system"),
    Method("C popen", mode="popen"),
    *LOOPS,
    Method("aiospawn suspended", loop="aiospawn", environment={"AIOSPAWN_SPAWN": "vfork"}),
    Method("aiospawn launcher", loop="aiospawn", options={"via": "launcher"}),
    Method("aiospawn, stderr a file", loop="aiospawn", stderr_file=True),
)


def installed(candidates: Sequence[Method]) -> list[Method]:
    """Without uvloop's, where that is not installed."""
    return [each for each in candidates if "uvloop" not in each.loop or uvloop_version() is not None]


def other_ways(capture: str) -> list[Method]:
    """Than to create a child and to read its output."""
    communicate = [
        Method(THEIR_COMMUNICATE, loop="asyncio", way="communicate"),
        Method(COMMUNICATE, loop="aiospawn", way="communicate"),
    ]
    ours = [Method(RUN, loop="aiospawn", way="run"), Method(MAP, loop="aiospawn", way="map")]
    return [*(communicate if capture == "pipe" else []), *ours]


def in_c(programs: Programs, mode: str, program: Sequence[str], **options: float | str | bool) -> list[str]:
    """limit.c's command line; options by their letters."""
    words = [f"-{letter}" if value is True else f"-{letter}{value}" for letter, value in options.items() if value]
    return [programs.limit, mode, *words, *program]


def in_python(kind: str, method: Method, program: Sequence[str], **fields: Any) -> list[str]:
    """A worker's command line."""
    spec = {"kind": kind, "loop": method.loop, "way": method.way, "program": program, "options": method.options, **fields}
    if method.stderr_file:
        spec["stderr_file"] = True
    return [sys.executable, "-P", "-m", f"{__package__}._worker", json.dumps(spec)]


def of_peer(command: Sequence[str], program: str, count: int, seconds: float, window: int, capture: str) -> list[str]:
    """The command line of a program in another language."""
    return [*command, program, str(count), str(seconds), str(window), capture]
