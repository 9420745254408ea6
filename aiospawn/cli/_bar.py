"""The progress bar of a map, on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import aiospawn

__all__ = ["Bar"]

_DRAW_EVERY_S = 0.1


class Bar:
    """A context manager; nothing is drawn where standard error is no terminal. Raises ModuleNotFoundError without rich."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._last = 0.0
        self._on_screen = False
        self._active = console.is_terminal
        # Drawn by the loop: rich's own thread would take the GIL in mid-launch.
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]} failed"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=total, failed=0)

    def __enter__(self) -> Self:
        if self._active:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._active:
            self._progress.stop()

    def clear(self) -> None:
        """Makes way for output on the same terminal."""
        if self._on_screen:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._on_screen = False

    def draw(self, progress: aiospawn.MapProgress) -> None:
        """A few times a second, and at the end."""
        now = time.monotonic()
        if self._active and (now - self._last > _DRAW_EVERY_S or progress.finished == progress.total):
            self._last = now
            self._on_screen = True
            self._progress.update(self._task, completed=progress.finished, failed=progress.failed, refresh=True)
