"""The four kinds of event loop, opened by name; and those of this run of the tests."""

import asyncio
import os
from collections.abc import Callable

import fresh

import aiospawn

__all__ = ["FACTORIES", "VARIANTS", "new_event_loop"]

VARIANTS = fresh.ALL
FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}  # of the loops of this run


def new_event_loop(variant: str) -> asyncio.AbstractEventLoop:
    """A loop of one of `VARIANTS`. The variant is read when the loop is made, from the environment."""
    kind, _, spawn = variant.partition("-")
    kept = os.environ.get("AIOSPAWN_SPAWN")
    os.environ["AIOSPAWN_SPAWN"] = spawn
    try:
        return aiospawn.new_uvloop_event_loop() if kind == "uvloop" else aiospawn.new_event_loop()
    finally:
        if kept is None:
            del os.environ["AIOSPAWN_SPAWN"]
        else:
            os.environ["AIOSPAWN_SPAWN"] = kept
