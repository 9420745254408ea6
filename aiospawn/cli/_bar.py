"""How far a map has got, on standard error: a bar below the output on a terminal, else now and then a line.

The bar is rich's. It is drawn by the loop: rich's own thread would take the GIL in mid-launch. Output goes above it: before
that the bar is taken away, and at the next tick it is drawn again.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import aiospawn

__all__ = ["Progress", "progress"]

_DRAW_EVERY_S = 0.1
_SAY_EVERY_S = 10.0


class _Display(Protocol):
    def show(self, progress: aiospawn.MapProgress, elapsed: float, /) -> None: ...
    def clear(self) -> None: ...


class Progress:
    """A context manager in a running loop; shows how far a map has got, from the beginning to the end."""

    results: aiospawn.Map[Any]
    """The map, to be set before the block is entered."""

    def __init__(self, display: _Display, every: float) -> None:
        self._display = display
        self._every = every
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        done, elapsed = self.results.progress, self._elapsed()
        if isinstance(self._display, _Bar):
            self._display.show(done, elapsed)
        self._display.clear()
        rate = done.finished / elapsed if elapsed else 0.0
        print(
            f"aiospawn map: {done.finished} done, {done.failed} failed, {elapsed:.1f} s, {rate:.3g} jobs/s", file=sys.stderr
        )

    def make_way(self, descriptor: int) -> None:
        """For output to this descriptor: where it goes to a terminal, the bar is in its way."""
        if os.isatty(descriptor):
            self._display.clear()

    def _tick(self) -> None:
        self._display.show(self.results.progress, self._elapsed())
        self._timer = self._loop.call_later(self._every, self._tick)

    def _elapsed(self) -> float:
        return self._loop.time() - self._began


def progress(total: int | None, *, bar: bool, eta: bool) -> Progress | None:
    """None where nobody wants it. Raises ModuleNotFoundError for a bar without rich."""
    if not (bar or eta):
        return None
    if os.isatty(2) or bar:
        return Progress(_Bar(total), _DRAW_EVERY_S)
    return Progress(_Lines(total), _SAY_EVERY_S)


class _Bar:
    """Nothing is drawn where standard error is no terminal."""

    def __init__(self, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Drawn

        console = Console(stderr=True)
        self._active = console.is_terminal
        self._on_screen = False
        self._drawn = Drawn(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[running]} running, {task.fields[failed]} failed"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=time.monotonic,
        )
        self._task = self._drawn.add_task("", total=total, failed=0, running=0)

    def show(self, progress: aiospawn.MapProgress, _elapsed: float) -> None:
        if not self._active:
            return
        if not self._on_screen:
            self._drawn.start()
            self._on_screen = True
        running = progress.started - progress.finished
        self._drawn.update(self._task, completed=progress.finished, failed=progress.failed, running=running, refresh=True)

    def clear(self) -> None:
        if self._on_screen:
            self._drawn.stop()
            self._on_screen = False


class _Lines:
    """For a file, or another program that reads it."""

    def __init__(self, total: int | None) -> None:
        self._total = total

    def show(self, progress: aiospawn.MapProgress, elapsed: float) -> None:
        if elapsed < _SAY_EVERY_S:  # nothing is worth a line at the start
            return
        of = "" if self._total is None else f" of {self._total}"
        left = ""
        if self._total is not None and progress.finished:
            left = f", {elapsed * max(0, self._total - progress.finished) / progress.finished:.0f} s left"
        print(f"aiospawn map: {progress.finished}{of} done, {progress.failed} failed{left}", file=sys.stderr)

    def clear(self) -> None:
        """It stays."""
