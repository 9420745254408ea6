"""The pipe's end was not waited for when a child had been stopped: what did not fit into one read was lost."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from timeouts import delayed_until

import aiospawn

if TYPE_CHECKING:
    from aiospawn._commands.capture import Capture

SIZE = 1_000_000
_LAST_WORDS = f"""
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
os.write(1, b".")
signal.sigwait({{signal.SIGTERM}})
for fd in (2, 1):
    with open(fd, "wb", closefd=False) as out:
        out.write(b"x" * {SIZE})
"""
_COMMAND = fresh.command(_LAST_WORDS)


def _has_spoken(child: Capture) -> bool:
    return child.output(1) != b""


async def _run() -> None:
    await aiospawn.run(_COMMAND, capture_output=True, timeout=0.01, grace=1000)


async def _pipeline() -> None:
    await aiospawn.pipeline(["sleep", "1000"], _COMMAND, capture_output=True, timeout=0.01, grace=1000)


@pytest.mark.parametrize("way", [_run, _pipeline])
async def test_all_of_it(way: Any) -> None:
    """The exception has everything that the child wrote until its end."""
    with delayed_until(_has_spoken):
        for _ in range(10):
            with pytest.raises(subprocess.TimeoutExpired) as caught:
                await way()
            assert len(caught.value.output or b"") == SIZE + 1
            assert len(caught.value.stderr or b"") == SIZE
