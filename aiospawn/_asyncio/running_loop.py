"""The running event loop, and the error where there is none."""

from __future__ import annotations

import asyncio
import sys

__all__ = ["running_loop"]


def running_loop() -> asyncio.AbstractEventLoop:
    """Raises RuntimeError, which says what runs one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(f"no running event loop: {_advice()}") from None


def _advice() -> str:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return (
            "aiospawn is for asyncio, and this is trio, which has trio.run_process; trio-asyncio runs one within the other"
        )
    return "aiospawn is awaited within asyncio.run(main()), or whatever else runs asyncio"
