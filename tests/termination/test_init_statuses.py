"""How a command ends is reported the same with `init` and without: every exit status, every signal."""

from __future__ import annotations

import asyncio
import resource
import signal
from typing import TYPE_CHECKING, Any

import fresh
import pytest

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

pytestmark = pytest.mark.once

_BATCH = 32
_IGNORED = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}  # unless somebody handles them
_STOPPING = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_SIGNALS = [number for number in range(1, signal.NSIG) if number not in _STOPPING]

ways = pytest.mark.parametrize("way", [{"init": True}, {"init": True, "init_namespace": "pid"}], ids=["init", "namespace"])


async def _each(end: Callable[[int], Awaitable[int]], numbers: Sequence[int]) -> dict[int, int]:
    """A number and what came of it, so many at a time."""
    found = {}
    for first in range(0, len(numbers), _BATCH):
        some = numbers[first : first + _BATCH]
        found.update(zip(some, await asyncio.gather(*map(end, some)), strict=True))
    return found


async def _script(text: str, **options: Any) -> int:
    done = await aiospawn.run(["/bin/sh", "-c", text], rlimits={resource.RLIMIT_CORE: 0}, **options)
    return done.returncode


async def _sent(number: int, **options: Any) -> int:
    """By `send_signal`; what ignores it is killed."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000", rlimits={resource.RLIMIT_CORE: 0}, **options)
    process.send_signal(number)
    if number in _IGNORED:
        process.kill()
    return await process.wait()


@ways
async def test_exit_statuses(way: dict[str, Any]) -> None:
    assert await _each(lambda status: _script(f"exit {status}", **way), range(256)) == {
        number: number for number in range(256)
    }


@ways
async def test_signals(way: dict[str, Any]) -> None:
    """Raised by the command, with what the standard library has no name for too; it goes on where that is the default."""

    async def ends(**options: Any) -> dict[int, int]:
        return await _each(lambda number: _script(f"kill -{number} $$; exit 3", **options), _SIGNALS)

    # posix_spawn(3), by which CPython 3.13 may have started this process, lets it ignore a signal that is glibc's own.
    ignored = _IGNORED | (fresh.signal_set("SigIgn") - signal.valid_signals())
    plain = await ends()
    assert plain == {number: 3 if number in ignored else -number for number in _SIGNALS}
    assert await ends(**way) == plain


@ways
async def test_sent_signals(way: dict[str, Any]) -> None:
    """Sent to the process, which is init."""
    named = sorted(signal.valid_signals() - _STOPPING)
    plain = await _each(_sent, named)
    assert await _each(lambda number: _sent(number, **way), named) == plain
