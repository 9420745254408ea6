"""What is measured."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Spec"]


class Spec(NamedTuple):
    """What is measured: `kind` names a function of this package. Times in seconds, sizes in MiB."""

    kind: str
    loop: str  # a name of `_measure.methods()`
    program: list[str]
    total: int = 1  # launches, or bytes
    seconds: float = 1e9
    window: int = 1
    way: str = "create"  # asyncio's, read and wait; communicate; run, map: aiospawn's; of calls and repeated: a scenario
    capture: str = "none"  # or pipe
    tools: bool = False  # strace and valgrind count as well
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    ballast: int = 0  # memory in use
    reserved: int = 0  # memory that is only there
    descriptors: int = 0
    live: int = 0  # children that are alive meanwhile
    gate: str = ""  # what these run
    rate: int = 0  # launches a second
    through: str = "streams"  # or transport
    stderr_file: bool = False  # standard error is a regular file
