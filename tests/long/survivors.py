"""Who survives: hostile trees, ended by each of several keepers, or with the process that launched them.

    python tests/long/survivors.py

Prints a table: of how many shapes of tree (tests/support/hostile.py) somebody runs on, and how many processes that are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

SUPPORT = str(pathlib.Path(__file__).parents[1] / "support")
sys.path.append(SUPPORT)  # where this is run as a script

from hostile import SHAPES, hostile
from process_trees import marked

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["KEEPERS", "Count", "count"]

_SETTLED = 0.5  # seconds after the end: what was killed is gone by then


class Keeper(NamedTuple):
    """A way to launch, and to end what was launched."""

    shown: str
    launch: Callable[..., Awaitable[Any]]
    end: Callable[[Any], Any]
    needs: str = ""


def _wrapped(*prefix: str) -> Callable[..., Awaitable[Any]]:
    def launch(*command: str, **options: Any) -> Awaitable[Any]:
        return asyncio.create_subprocess_exec(*prefix, *command, **options)

    return launch


def _session(*command: str, **options: Any) -> Awaitable[Any]:
    return asyncio.create_subprocess_exec(*command, start_new_session=True, **options)


def _death_signal(*command: str, **options: Any) -> Awaitable[Any]:
    return aiospawn.create_subprocess_exec(*command, pdeathsig=signal.SIGKILL, **options)


def _init(*command: str, **options: Any) -> Awaitable[Any]:
    return aiospawn.create_subprocess_exec(*command, init=True, **options)


def _kill(process: Any) -> None:
    process.kill()


def _kill_group(process: Any) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def _terminate(process: Any) -> None:
    process.terminate()


KEEPERS = {
    "asyncio": Keeper("asyncio, `process.kill()`", _wrapped(), _kill),
    "group": Keeper("`start_new_session=True`, `os.killpg()`", _session, _kill_group),
    "pdeathsig": Keeper("`PR_SET_PDEATHSIG`, `process.kill()`", _death_signal, _kill),
    "tini": Keeper("`tini -s`, SIGTERM", _wrapped("tini", "-s", "--"), _terminate, "tini"),
    "init": Keeper("`init=True`, `process.kill()`", _init, _kill),
}

# ---- the process that launches ------------------------------------------------------------------------------------------


async def _launch_all(keeper: str, marker: int) -> None:
    """Launches every shape, and ends all of them at a line of input."""
    processes = []
    for shape in SHAPES:
        environment = {**os.environ, "MARK": f"survivor:{keeper}:{shape}:"}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        launch = KEEPERS[keeper].launch
        processes.append(await launch(*hostile(shape, marker), pass_fds=[marker], env=environment, **streams))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for process in processes:
        KEEPERS[keeper].end(process)
    await asyncio.wait([asyncio.ensure_future(process.wait()) for process in processes], timeout=_SETTLED)
    print("ended", flush=True)
    await asyncio.sleep(1000)


# ---- the one that counts --------------------------------------------------------------------------------------------------


class Count(NamedTuple):
    """Shapes of which somebody runs on, and processes."""

    shapes: list[str]
    processes: int


def _survivors(keeper: str) -> Count:
    found: dict[int, str] = {}
    latest = 0
    for _ in range(3):  # what forks without end has another number each time
        now = marked(f"survivor:{keeper}:")
        found, latest = found | now, len(now)
    return Count(sorted({mark.split(":")[2] for mark in found.values()}), latest)


def _clean_up(keeper: str) -> None:
    while found := marked(f"survivor:{keeper}:"):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def count(keeper: str, *, parent_dies: bool) -> Count:
    """Launches all shapes with this keeper in a process of its own, ends them or that, and counts who is left."""
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, __file__, keeper, str(writer)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[writer], text=True, bufsize=1,
    ) as parent:  # fmt: skip
        os.close(writer)
        assert parent.stdin is not None
        assert parent.stdout is not None
        try:
            standing = sum(count for _, count in SHAPES.values())
            while standing:
                standing -= len(os.read(reader, standing))
            if parent_dies:
                parent.kill()
                parent.wait()
            else:
                parent.stdin.write("\n")
                assert parent.stdout.readline() == "ended\n"
            time.sleep(_SETTLED)
            return _survivors(keeper)
        finally:
            os.close(reader)
            parent.kill()
            _clean_up(keeper)


def _there(keepers: Iterable[str]) -> list[str]:
    return [name for name in keepers if not KEEPERS[name].needs or shutil.which(KEEPERS[name].needs)]


def main() -> None:
    print(f"| of {len(SHAPES)} shapes, somebody runs on | it was ended | the launching process was killed |")
    print("|---|---|---|")
    found = {}
    for keeper in _there(KEEPERS):
        ended, orphaned = count(keeper, parent_dies=False), count(keeper, parent_dies=True)
        found[keeper] = ended, orphaned
        cells = [f"{len(each.shapes)} ({each.processes} processes)" if each.shapes else "0" for each in (ended, orphaned)]
        print(f"| {KEEPERS[keeper].shown} | {cells[0]} | {cells[1]} |", flush=True)
    print(json.dumps({name: [each.shapes for each in counts] for name, counts in found.items()}), file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_launch_all(sys.argv[1], int(sys.argv[2])))
    else:
        main()
