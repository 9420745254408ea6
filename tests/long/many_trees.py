"""Ten thousand hostile trees, ended in each way that there is: who survives?

    python tests/long/many_trees.py [--trees 10000] [--others 240] [--ways stop,kill]

Twelve shapes in turn (tests/support/hostile_trees.c), in batches that stand at the same time. Everybody in a batch holds a
pipe: its end says that nobody survives. The other keepers get fewer trees: whoever survives has to be found and killed.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
sys.path += [str(SUPPORT), str(pathlib.Path(__file__).parent)]  # where this is run as a script

from process_trees import marked
from survivors import KEEPERS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WAYS", "compiled", "counted"]

COUNTS = {  # bytes that a shape writes when it stands
    "plain": 1,
    "setsid": 2,
    "double_fork": 2,
    "daemon": 2,
    "nohup": 2,
    "deaf": 2,
    "stopped": 2,
    "threads": 4,
    "deep": 21,
    "wide": 21,
    "chain": 1,
    "breeding": 1,
}
BATCH, _AT_A_TIME = 120, 2
PATIENCE = 60.0  # seconds until a batch stands, and until it is gone
SETTLED = 1.0  # seconds after which what was killed is gone, for other keepers

# ---- the process that launches --------------------------------------------------------------------------------------------


def _commands(program: str, marker: int, batch: int, keeper: str, count: int) -> Iterator[tuple[list[str], dict[str, Any]]]:
    for number in range(count):
        shape = [*COUNTS][number % len(COUNTS)]
        environment = {**os.environ, "MARK": f"tree:{keeper}:{batch}:{number}:"}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        yield [program, shape, str(marker)], {"pass_fds": [marker], "env": environment, **streams}


async def _told() -> None:
    """Until the one that counts has seen them stand."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def _stopped(process: Any, keeper: str) -> None:
    if keeper == "init":
        await process.stop(0)
    else:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.2)
        with contextlib.suppress(ProcessLookupError):
            KEEPERS[keeper].end(process)


async def _run(keeper: str, command: list[str], options: dict[str, Any], timeout: float | None) -> None:
    """As a program does that waits for a command, and ends it where that is cancelled or lasts too long."""
    import aiospawn

    if keeper == "init":
        with contextlib.suppress(subprocess.TimeoutExpired):
            await aiospawn.run(command, init=True, grace=0, timeout=timeout, **options)
        return
    process = await KEEPERS[keeper].launch(*command, **options)
    try:
        await asyncio.wait_for(process.wait(), timeout)
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            KEEPERS[keeper].end(process)


async def _waiting(keeper: str, commands: list[tuple[list[str], dict[str, Any]]], way: str) -> None:
    timeout = 3.0 if way == "timeout" else None
    tasks = [asyncio.ensure_future(_run(keeper, *command, timeout)) for command in commands]
    if way == "cancel":
        await _told()
        for task in tasks:
            task.cancel()
    await asyncio.wait(tasks)


async def _launched(keeper: str, commands: list[tuple[list[str], dict[str, Any]]]) -> list[Any]:
    return [await KEEPERS[keeper].launch(*command, **options) for command, options in commands]


def _hold(keeper: str, way: str, commands: list[tuple[list[str], dict[str, Any]]], marker: int) -> None:
    """The life of a process that has a batch of trees."""
    import aiospawn

    loop = aiospawn.new_event_loop()
    if way in ("cancel", "timeout"):
        loop.run_until_complete(_waiting(keeper, commands, way))
    else:
        processes: list[Any] = []
        launch = lambda: processes.extend(loop.run_until_complete(_launched(keeper, commands)))  # noqa: E731
        if way == "thread":
            thread = threading.Thread(target=launch)
            thread.start()
            thread.join()
        else:
            launch()
        if way == "stop":
            loop.run_until_complete(_told())
            loop.run_until_complete(_all([_stopped(process, keeper) for process in processes]))
        else:
            sys.stdin.readline()
    os.close(marker)
    if way == "crash":
        os.abort()
    if way == "exec":
        os.execlp("sleep", "sleep", "1000")
    if way == "loop":
        loop.close()
    print("ended", flush=True)
    time.sleep(1000)  # until it is killed


async def _all(endings: list[Any]) -> None:
    await asyncio.gather(*endings)


WAYS = ("stop", "cancel", "timeout", "kill", "crash", "exec", "thread", "loop")

# ---- the one that counts --------------------------------------------------------------------------------------------------


def _standing(reader: int, missing: int) -> None:
    while missing > 0:
        assert select.select([reader], [], [], PATIENCE)[0], f"{missing} processes do not stand"
        said = os.read(reader, missing)
        assert said, "all have ended"
        missing -= len(said)


def _is_over(reader: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0] and not os.read(reader, 4096):
            return True
    return False


def _survivors(keeper: str, batch: int) -> set[str]:
    found: set[str] = set()
    for _ in range(3):  # what forks without end has another number each time
        found |= {*marked(f"tree:{keeper}:{batch}:").values()}
    return found


def _reap_orphans() -> None:
    """As process 1 of a PID namespace, which is what this is best run as, it gets those of everybody."""
    while os.getpid() == 1:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def _clean_up(keeper: str, batch: int) -> None:
    _reap_orphans()
    while found := marked(f"tree:{keeper}:{batch}:"):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _batch(program: str, keeper: str, way: str, batch: int, count: int) -> int:
    """Of so many trees, how many have survivors?"""
    reader, writer = os.pipe()
    command = [sys.executable, __file__, "--hold", json.dumps([program, keeper, way, batch, count, writer])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=[writer], bufsize=0
    ) as holder:
        os.close(writer)
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            shapes = [*COUNTS.values()]
            if way != "timeout":
                _standing(reader, sum(shapes[number % len(shapes)] for number in range(count)))
            if way in ("kill", "thread"):
                holder.kill()
            elif way != "timeout":
                holder.stdin.write(b"\n")
            if way in ("stop", "cancel", "timeout", "loop"):
                holder.stdout.readline()
            if _is_over(reader, PATIENCE if keeper == "init" else SETTLED):
                return 0
            return len(_survivors(keeper, batch))
        finally:
            os.close(reader)
            holder.kill()
            _clean_up(keeper, batch)


def counted(program: str, keeper: str, way: str, trees: int) -> int:
    """How many of so many trees had survivors."""
    sizes = [min(BATCH, trees - first) for first in range(0, trees, BATCH)]
    with concurrent.futures.ThreadPoolExecutor(_AT_A_TIME) as executor:
        return sum(executor.map(lambda batch: _batch(program, keeper, way, batch, sizes[batch]), range(len(sizes))))


def compiled(directory: str) -> str:
    program = os.path.join(directory, "hostile_trees")
    subprocess.run(["cc", "-O2", "-pthread", str(SUPPORT / "hostile_trees.c"), "-o", program], check=True)
    return program


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trees", type=int, default=10000)
    parser.add_argument("--others", type=int, default=240)
    parser.add_argument("--ways", default=",".join(WAYS))
    options = parser.parse_args()
    keepers = [name for name in KEEPERS if name != "init" and (not KEEPERS[name].needs or shutil.which(KEEPERS[name].needs))]
    with tempfile.TemporaryDirectory() as directory:
        program = compiled(directory)
        for way in options.ways.split(","):
            began = time.monotonic()
            print(f"| {way} | init | {counted(program, 'init', way, options.trees)} of {options.trees} |", flush=True)
            print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            for keeper in keepers if options.others else ():
                print(
                    f"| {way} | {keeper} | {counted(program, keeper, way, options.others)} of {options.others} |", flush=True
                )


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--hold":
        program, keeper, way, batch, count, marker = json.loads(sys.argv[2])
        _hold(keeper, way, [*_commands(program, marker, batch, keeper, count)], marker)
    else:
        main()
