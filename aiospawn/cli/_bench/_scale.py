"""How much of everything is measured."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FULL", "QUICK", "SPARE_DESCRIPTORS", "Scale"]

SPARE_DESCRIPTORS = 600  # what a measurement opens besides: aiospawn's reserved block, 64 launches on their way


class Scale(NamedTuple):
    """Counts, times in seconds, sizes in MiB."""

    launches: int
    seconds: float  # after which a slow method launches no more
    ballast: tuple[int, ...]  # memory of the parent that is in use
    descriptors: tuple[int, ...]  # open in the parent
    windows: tuple[int, ...]  # launches at a time
    piped_windows: tuple[int, ...]
    rate: int  # launches a second, paced
    paced_s: float
    live: tuple[int, ...]  # children alive meanwhile
    storm: int  # children that exit at once
    pipe: int
    counted: int = 80  # launches whose calls are counted
    tools: bool = True  # strace and valgrind count as well, which takes seconds for each figure

    def within(self, hard: int) -> Scale:
        """With as many children alive as a hard RLIMIT_NOFILE allows: each has a pidfd and a pipe."""
        most = max(min(self.live), (hard - SPARE_DESCRIPTORS) // 200 * 100)
        return self._replace(live=tuple(min(live, most) for live in self.live))


FULL = Scale(
    launches=10_000,
    seconds=2.0,
    ballast=(0, 64, 256, 1024, 4096),
    descriptors=(0, 100, 1000, 5000, 15_000),
    windows=(1, 4, 16, 64, 256),
    piped_windows=(1, 16, 64),
    rate=1000,
    paced_s=3.0,
    live=(10, 10_000),
    storm=5000,
    pipe=1024,
)
QUICK = Scale(
    launches=20,
    seconds=0.2,
    ballast=(0, 16),
    descriptors=(0, 300),
    windows=(4,),
    piped_windows=(4,),
    rate=100,
    paced_s=0.1,
    live=(2, 20),
    storm=20,
    pipe=2,
    counted=8,
    tools=False,
)
