"""Trees of processes to be ended, and how a test sees that they are: for tests, and for programs of `fresh`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib

__all__ = [
    "CLEANING_GRANDCHILD",
    "DEAF",
    "DEAF_GRANDCHILD",
    "OBEDIENT",
    "SLEEPING",
    "STUBBORN",
    "Tree",
    "lives",
    "marked",
    "none_lives",
    "none_marked",
]

# A shell, a grandchild, and one of its own: all ignore SIGTERM, and print their pids.
_STUBBORN = "trap '' TERM; (trap '' TERM; echo $BASHPID; sleep 1000 & echo $!; wait) & echo $$; wait"

STUBBORN = ["bash", "-c", _STUBBORN]


def lives(pid: int) -> bool:
    """Does a process with this number run? A zombie has ended."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def none_lives(pids: list[int]) -> bool:
    """Killed, they need a moment, on a busy machine seconds. One that lives on is the test's timeout."""
    while any(map(lives, pids)):  # noqa: ASYNC110 - they are nobody's children
        await asyncio.sleep(0.01)
    return True


def marked(mark: str) -> dict[int, str]:
    """The processes that inherited MARK with this beginning, and what it is. A zombie has no environment."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = path.read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended, or not ours
            continue
        for variable in variables:
            if variable.startswith(f"MARK={mark}"):
                found[int(path.parent.name)] = variable.removeprefix("MARK=")
    return found


async def none_marked(mark: str) -> dict[int, str]:
    """Killed, they may need a moment, and a processor, which others may have; none needs two minutes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 120
    while (left := marked(mark)) and loop.time() < deadline:  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.01)
    return left


SLEEPING = "sh -c 'echo ready >&2; exec sleep 1000'"  # who says so has no handler of the shell's any more

OBEDIENT = f"exec {SLEEPING}"

DEAF = f"trap '' TERM; {SLEEPING} & wait"

DEAF_GRANDCHILD = f"(trap '' TERM; exec {SLEEPING}) & exec sleep 1000"  # the child itself ends at SIGTERM

CLEANING_GRANDCHILD = f'(trap "sleep 0.2; echo clean >&2; exit" TERM; {SLEEPING} & wait) & exec sleep 1000'


class Tree:
    """What a script and its descendants say on their standard error, whose end comes when all of them are gone."""

    def __init__(self) -> None:
        self._reader, self.stderr = os.pipe2(os.O_NONBLOCK)
        os.set_blocking(self.stderr, True)

    async def line(self) -> bytes:
        said = b""
        while not said.endswith(b"\n"):
            said += await self._said(1)
        return said

    async def is_ready(self) -> None:
        assert await self.line() == b"ready\n"

    async def last_words(self) -> bytes:
        """Waits until nobody lives."""
        os.close(self.stderr)
        self.stderr = -1
        return await self._said(1 << 16)

    async def _said(self, size: int) -> bytes:
        said = b""
        while len(said) < size:
            with contextlib.suppress(BlockingIOError):
                part = os.read(self._reader, size - len(said))
                if not part:
                    break
                said += part
                continue
            await asyncio.sleep(0.005)
        return said

    def close(self) -> None:
        for descriptor in (self._reader, self.stderr):
            if descriptor >= 0:
                os.close(descriptor)
