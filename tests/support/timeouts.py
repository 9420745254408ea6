"""A timeout that strikes when a child has come as far as the test needs it, however slow the machine is."""

from __future__ import annotations

import contextlib
import pathlib
from typing import TYPE_CHECKING

from aiospawn._commands.capture import Capture, Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["delayed_until", "executing", "printed"]

_LOOK = 0.01  # seconds between looks at a child whose time is up


@contextlib.contextmanager
def delayed_until(ready: Callable[[Capture], object]) -> Iterator[None]:
    """A child whose time is up is stopped no sooner than it is ready."""
    interrupt = Capture.interrupt

    def wait_and_interrupt(child: Capture, ending: Ending) -> None:
        if ending is not Ending.TIMED_OUT or child.over.done() or ready(child):
            interrupt(child, ending)
        else:
            child.interrupt_after(_LOOK, ending)

    Capture.interrupt = wait_and_interrupt  # type: ignore[method-assign]
    try:
        yield
    finally:
        Capture.interrupt = interrupt  # type: ignore[method-assign]


def executing(program: str) -> Callable[[Capture], object]:
    """A child is ready when it has come to execute that program."""
    return lambda child: pathlib.Path(f"/proc/{child.pid}/comm").read_text() == f"{program}\n"


def printed(lines: int) -> Callable[[Capture], object]:
    """A child is ready when so many lines of it have come."""
    return lambda child: child.output(1).count(b"\n") >= lines
