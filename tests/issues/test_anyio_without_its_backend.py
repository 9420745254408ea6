"""anyio was imported in a Python without `ssl`, so its backend cannot be: no scope, and a cancellation is asyncio's.

The question for a scope raised ModuleNotFoundError in its place, and the child lived on.
"""

import fresh
import pytest

pytest.importorskip("anyio")


def test_cancellation_ends_the_child() -> None:  # uvloop needs ssl as well
    printed = fresh.run(
        """
        import asyncio, sys
        sys.modules["ssl"] = None
        import anyio
        import aiospawn, fresh

        async def main():
            running = asyncio.ensure_future(aiospawn.run(["sleep", "1000"]))
            while not fresh.children():
                await asyncio.sleep(0.01)
            running.cancel()
            try:
                await running
            except asyncio.CancelledError:
                print("cancelled", fresh.children())

        with asyncio.Runner(loop_factory=fresh.new_event_loop) as runner:
            runner.run(main())
        """
    )
    assert printed == "cancelled []\n"
