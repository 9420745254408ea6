"""The four kinds of event loop, opened by name: for scripts, which have no fixtures."""

import asyncio
import os

import fresh

import aiospawn

__all__ = ["VARIANTS", "new_event_loop"]

VARIANTS = fresh.ALL


def new_event_loop(variant: str) -> asyncio.AbstractEventLoop:
    """A loop of one of `VARIANTS`. The variant is read when the loop is made, from the environment."""
    kind, _, spawn = variant.partition("-")
    kept = os.environ.get("AIOSPAWN_SPAWN", "")
    os.environ["AIOSPAWN_SPAWN"] = spawn
    try:
        return aiospawn.new_uvloop_event_loop() if kind == "uvloop" else aiospawn.new_event_loop()
    finally:
        os.environ["AIOSPAWN_SPAWN"] = kept
