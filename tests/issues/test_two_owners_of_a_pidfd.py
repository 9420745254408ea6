"""Two handles owned a gone leader's pidfd where an interruption's traceback kept the first, which closed it at its end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from typing import TYPE_CHECKING, Any

import aiospawn
from aiospawn._termination.handles import GroupHandle

if TYPE_CHECKING:
    import pytest


class _Strike(BaseException):
    """As KeyboardInterrupt, but that the loop goes on."""


async def test_struck_where_a_handle_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group can be signalled behind it, also when the traceback is gone."""
    original, struck = GroupHandle.signal, False
    kept: list[Any] = []

    def signalled(self: GroupHandle, signum: int) -> None:
        nonlocal struck
        if not struck:
            struck = True
            raise _Strike
        original(self, signum)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: kept.append(context))
    monkeypatch.setattr(GroupHandle, "signal", signalled)
    process = await aiospawn.create_subprocess_exec("sh", "-c", "sleep 1000 & echo $!", stdout=-1, start_new_session=True)
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    await process.wait()
    process._transport.close()  # its pipe, which the member of the group holds
    while not struck:  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    kept.clear()
    gc.collect()
    try:
        process.send_signal(signal.SIGKILL, group=True)
    except ProcessLookupError:  # before Linux 6.9 a group is not reached behind its leader
        os.kill(pid, signal.SIGKILL)
