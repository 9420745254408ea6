"""Standard output and error as files in memory: nobody has to read while the child writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .capture import Ending

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType
    from typing import Self

    from .capture import Capture

__all__ = ["OutputFiles"]

_LOOK = 0.05  # seconds between looks at the sizes: the kernel does not report that a file grows
_MOST = 1 << 30  # bytes of one read: the kernel's limit is just below 2 GiB


class OutputFiles:
    """Two memfds, closed when the block is left. `limit`: the most bytes that both may have."""

    __slots__ = ("_limit", "_numbers", "_timer")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._numbers: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        try:
            for name in ("stdout", "stderr"):
                self._numbers.append(os.memfd_create(f"aiospawn-{name}", os.MFD_CLOEXEC))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        while self._numbers:
            os.close(self._numbers.pop())

    @property
    def streams(self) -> tuple[int, int]:
        return self._numbers[0], self._numbers[1]

    def _sizes(self) -> list[int]:
        return [os.fstat(number).st_size for number in self._numbers]

    def watch(self, child: Capture) -> None:
        """Ends the waiting for the child when there is too much."""
        if self._limit is None or child.over.done():
            return
        if sum(self._sizes()) > self._limit:
            child.interrupt(Ending.TOO_MUCH)
        else:
            self._timer = child.loop.call_later(_LOOK, self.watch, child)

    def judged(self, ending: Ending) -> Ending:
        """The child's end, in view of what was written since the last look."""
        too_much = self._limit is not None and sum(self._sizes()) > self._limit
        return Ending.TOO_MUCH if too_much and ending is not Ending.TIMED_OUT else ending

    def read(self) -> tuple[bytes, bytes]:
        """What is in them, as far as it is within the limit."""
        out_size, err_size = self._sizes()
        if self._limit is not None:
            out_size = min(out_size, self._limit)
            err_size = min(err_size, self._limit - out_size)
        return self._read(0, out_size), self._read(1, err_size)

    def _read(self, which: int, size: int) -> bytes:
        parts = []
        at = 0
        while at < size and (part := os.pread(self._numbers[which], min(size - at, _MOST), at)):
            parts.append(part)
            at += len(part)
        return b"".join(parts)
