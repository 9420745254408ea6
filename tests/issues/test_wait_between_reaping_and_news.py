"""A view that waited in the loop's thread when its child was reaped, and the loop not yet told: it waited for ever."""

import asyncio
import os
import signal
from typing import Any

import aiospawn


async def test_wait_between_reaping_and_news() -> None:
    """The status is known from the moment of the reaping."""
    process: Any = await aiospawn.create_subprocess_exec("sleep", "1000")
    process.terminate()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop must not see it
    asyncio.get_running_loop()._aiospawn_reactor._on_ready()  # type: ignore[attr-defined]
    view = process._transport.get_extra_info("subprocess")
    assert process.returncode is None
    assert view.wait(timeout=10) == -signal.SIGTERM
    assert await process.wait() == -signal.SIGTERM
