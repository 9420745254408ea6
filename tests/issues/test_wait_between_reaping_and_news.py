"""A view that waited in the loop's thread when its child was reaped and its loop not notified: it waited for ever."""

import asyncio
import os
import signal
from typing import Any


async def test_wait_between_reaping_and_news() -> None:
    """The status is known from the moment of the reaping."""
    loop = asyncio.get_running_loop()
    transport: Any = (await loop.subprocess_exec(asyncio.SubprocessProtocol, "sleep", "1000", stdin=None, stdout=None))[0]
    transport.terminate()
    os.waitid(os.P_PID, transport.get_pid(), os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop must not see it
    loop._aiospawn_reactor._on_ready()  # type: ignore[attr-defined]
    assert transport.get_returncode() is None
    assert transport.get_extra_info("subprocess").wait() == -signal.SIGTERM
    assert await transport._wait() == -signal.SIGTERM
    transport.close()
