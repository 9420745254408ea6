"""Many commands in sandboxes leave nothing behind: no descriptor, mount, namespace, process, directory or cgroup.

python tests/long/many_sandboxes.py [--commands 10000] [--concurrency 64]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pathlib
import sys
import tempfile
import time
from typing import Any

import aiospawn

_KINDS: dict[str, dict[str, Any]] = {
    "Landlock and seccomp": {"read": ["/proc"]},
    "with limits": {"read": ["/proc"], "limits": aiospawn.Limits(memory=2**30, processes=50, wall=600)},
    "with a network of its own": {"read": ["/proc"], "network": "loopback"},
    "with a view of its own": {"hide": True, "tmp": True, "home": True},
}
_NAMESPACES = ["sh", "-c", "cd /proc/self/ns && readlink *"]


def _there() -> dict[str, list[str]]:
    """What this process holds, and cgroups and files of ours."""
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    cgroups = [str(path) for path in pathlib.Path("/sys/fs/cgroup").glob("**/aiospawn-*")]
    return {
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "mounts": pathlib.Path("/proc/self/mountinfo").read_text().splitlines(),
        "processes": children,
        "files": sorted([*os.listdir(tempfile.gettempdir()), *os.listdir("/dev/shm")]),
        "cgroups": cgroups,
    }


def _held() -> set[str]:
    """Every namespace that some process is in."""
    found = set()
    for link in pathlib.Path("/proc").glob("[0-9]*/ns/*"):
        try:
            found.add(os.readlink(link))
        except OSError:
            continue
    return found


async def _left(keywords: dict[str, Any], commands: int, concurrency: int) -> list[str]:
    value = aiospawn.Sandbox(**keywords)
    await aiospawn.run(["true"], sandbox=value)
    before, own, seen, failed = _there(), _held(), set[str](), 0
    source = (_NAMESPACES for _ in range(commands))
    async with aiospawn.map(source, concurrency=concurrency, sandbox=value, capture_output=True) as results:
        async for result in results:
            failed += not result.ok
            if result.completed is not None:
                seen |= {*result.completed.stdout.decode().split()}
    after = _there()
    left = [f"{name}: {[*set(after[name]) - set(before[name])]}" for name in before if set(after[name]) - set(before[name])]
    left += [f"namespace {name}" for name in sorted((seen - own) & _held())]
    print(f"  {failed} failed, {len(seen - own)} namespaces were made", flush=True)
    return [*left, *([f"{failed} failed"] if failed else [])]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    given = parser.parse_args()
    left: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        tempfile.tempdir = directory
        for factory in (aiospawn.new_event_loop, aiospawn.new_uvloop_event_loop):
            for kind, keywords in _KINDS.items():
                began = time.perf_counter()
                with asyncio.Runner(loop_factory=factory) as runner:
                    found = runner.run(_left(keywords, given.commands, given.concurrency))
                rate = given.commands / (time.perf_counter() - began)
                print(f"{factory.__name__}, {kind}: {given.commands} commands, {rate:.0f} a second", flush=True)
                print("  left:", ", ".join(found) or "nothing", flush=True)
                left += found
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
