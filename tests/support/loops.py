"""The four kinds of event loop by name, and on which of them a test runs.

`--loops` chooses those of a run. A coroutine runs on each of them, and so does a test that takes `variant`, the name of one,
for `fresh.run`. A test that needs fewer has a mark, `@pytest.mark.loops("kinds")`:

 - "one": what it tests does not depend on the loop;
 - "kinds": one for each kind of loop, asyncio's and uvloop: nothing is launched, or it does not matter how;
 - "spawns": one for each way to launch: it matters how, not where;
 - "concurrent": those where the loop runs on while a child is launched.
"""

import asyncio
import functools
import os
from collections.abc import Callable

import aiospawn

__all__ = ["ALL", "CONCURRENT", "FACTORIES", "SPAWNS", "VARIANTS", "choose", "chosen", "new_event_loop"]

ALL = ("stdlib", "uvloop", "stdlib-vfork", "uvloop-vfork")
VARIANTS = [*ALL]  # those of this run
KINDS: list[str] = []
SPAWNS: list[str] = []
CONCURRENT: list[str] = []
FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}


def choose(*variants: str) -> None:
    """The run is for these. Called before the tests are imported, whose parameters they are."""
    VARIANTS[:] = variants
    KINDS[:] = {variant.partition("-")[0]: variant for variant in reversed(variants)}.values()
    SPAWNS[:] = {variant.partition("-")[2]: variant for variant in reversed(variants)}.values()
    CONCURRENT[:] = [variant for variant in variants if not variant.endswith("-vfork")]
    FACTORIES.clear()
    FACTORIES.update({variant: functools.partial(new_event_loop, variant) for variant in variants})


def chosen(which: str | None) -> list[str]:
    """Those of a mark, or all of this run if there is none."""
    return {None: VARIANTS, "one": VARIANTS[:1], "kinds": KINDS, "spawns": SPAWNS, "concurrent": CONCURRENT}[which]


def new_event_loop(variant: str) -> asyncio.AbstractEventLoop:
    """A loop of one of `ALL`. The variant is read when the loop is made, from the environment."""
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


choose(*ALL)
