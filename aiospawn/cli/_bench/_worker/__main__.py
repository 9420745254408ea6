"""The process: what it holds before it measures, and the loop on which it does."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import sys
import tempfile

from aiospawn.cli._measure import methods

from ._calls import calls, repeated
from ._launches import launches
from ._live import storm
from ._loop import delayed, hold, opening, paced
from ._pipes import read, write
from ._spec import Spec

_KINDS = {each.__name__: each for each in (launches, paced, opening, delayed, storm, read, write, repeated)}


def _in_use(mib: int) -> mmap.mmap | None:
    """Private memory in pages of 4 KiB, as a heap has it, each of them touched."""
    if not mib:
        return None
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(0, len(memory), mmap.PAGESIZE):
        memory[page] = 1
    return memory


def _main(text: str) -> None:
    fields = json.loads(text)
    if fields["kind"] == "hold":
        hold(*fields["program"])
        return
    spec = Spec(**fields)
    if spec.kind == "calls":
        print(json.dumps(calls(spec)))
        return
    factory = next(method.loop_factory for method in methods() if method.name == spec.loop)
    ballast = _in_use(spec.ballast)
    reserved = mmap.mmap(-1, spec.reserved << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) if spec.reserved else None
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(spec.descriptors if spec.kind != "opening" else 0)]
    if spec.stderr_file:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
    with asyncio.Runner(loop_factory=factory) as runner:
        figures = runner.run(_KINDS[spec.kind](spec))
    del ballast, reserved, opened
    print(json.dumps(figures))


if __name__ == "__main__":
    try:
        _main(sys.argv[1])
    except OSError as error:
        sys.exit(f"{type(error).__name__}: {error}")
