"""What a signal does to a map: end gently first, then at once.

SIGINT: no job is started any more, those that run may finish. A second one stops them; a third one interrupts the map's own
code, where it is held up by a reader of its output. SIGTERM stops the jobs at once, SIGHUP lets them finish.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import aiospawn

__all__ = ["Interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """A context manager, in the main thread, round the loop."""

    def __init__(self, grace: float = 5.0) -> None:
        """`grace`: seconds that jobs have when they are stopped, for the message."""
        self._grace = grace
        self.status: int | None = None
        """128 and the signal that asks for an early end, once there was one."""
        self._results: aiospawn.Map[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, and a shell's background jobs
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def watch(self, results: aiospawn.Map[Any]) -> None:
        """Signals are for this map from now on, in the running task."""
        self._loop, self._task, self._results = asyncio.get_running_loop(), asyncio.current_task(), results

    def _handle(self, number: int, _frame: object) -> None:
        again = self.status is not None
        self.status = self.status or 128 + number
        if self._loop is None or self._results is None or self._task is None:
            raise KeyboardInterrupt
        if number == signal.SIGTERM or (again and number == signal.SIGINT):
            if self._task.cancelling():
                raise KeyboardInterrupt
            self._say(f"stopping the {self._running()} that run: SIGTERM, SIGKILL after {self._grace:g} s")
            self._loop.call_soon_threadsafe(self._task.cancel)
        elif not again:
            self._say(f"starting no more jobs, {self._running()} may finish; Ctrl-C once more stops them")
            self._loop.call_soon_threadsafe(self._results.stop)

    def _running(self) -> int:
        assert self._results is not None
        return self._results.progress.started - self._results.progress.finished

    def _say(self, text: str) -> None:
        print(f"\naiospawn map: {text}", file=sys.stderr)
