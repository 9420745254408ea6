"""A memory cgroup kills the child that is too large for it, never the parent, which is a hundred times larger.

A child that shares memory with its parent is charged with it: in a cgroup of its own it would be the largest victim there,
and whoever shares its memory dies with it. So the cgroup is joined in memory that is the child's own.
"""

from __future__ import annotations

import os
import pathlib
import signal
from typing import TYPE_CHECKING, NamedTuple

import fresh
import pytest

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Controller(NamedTuple):
    """Where the memory controller is, and what its files are called; with no swap beside."""

    mount: pathlib.Path
    limits: tuple[str, ...]


def _controller() -> Controller | None:
    """Of version 1, or of version 2 where it may be used below the root."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        mount = pathlib.Path(place)
        if kind == "cgroup" and {"memory", "rw"} <= {*options.split(",")}:
            return Controller(mount, ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"))
        if kind == "cgroup2" and "memory" in (mount / "cgroup.subtree_control").read_text().split():
            return Controller(mount, ("memory.max",))
    return None


LIMIT = 4 << 20
CONTROLLER = _controller()
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(CONTROLLER is None or os.getuid() != 0, reason="no memory controller to make a cgroup with"),
]


@pytest.fixture
def group() -> Iterator[pathlib.Path]:
    """A cgroup that holds a hundredth of the parent."""
    assert CONTROLLER is not None
    group = CONTROLLER.mount / f"aiospawn-test-{os.getpid()}"
    group.mkdir()
    try:
        for name in CONTROLLER.limits:
            if (group / name).exists():
                (group / name).write_text(str(LIMIT))
        if (group / "memory.swap.max").exists():
            (group / "memory.swap.max").write_text("0")
        yield group
    finally:
        group.rmdir()


# `tail` of an endless file without lines grows until it is stopped: one is beside each launch.
_PROGRAM = """
import asyncio, collections, os
import aiospawn, fresh

ballast = bytearray(300 << 20)
ballast[::4096] = bytes([1]) * len(ballast[::4096])
HOG = ("/bin/sh", "-c", "exec tail /dev/zero", "sh")
ARGUMENTS = ["x" * 100_000] * 18

async def outcome(*arguments):
    try:
        process = await aiospawn.create_subprocess_exec(*HOG, *arguments, cgroup=os.environ["GROUP"], {options})
    except ChildProcessError as error:
        assert "SIGKILL" in str(error)
        return "died"
    return await process.wait()

async def main():
    outcomes = collections.Counter()
    for _ in range({pairs}):
        outcomes.update(await asyncio.gather(outcome(), outcome(*ARGUMENTS)))
    print(sum(outcomes.values()), sorted({{*outcomes}} - {{"died", -9}}, key=str))

{first}
loop = fresh.new_event_loop()
loop.run_until_complete(main())
assert fresh.children() == []
loop.close()
"""

_WITHOUT_THE_LAUNCHER = """
for fd, target in fresh.descriptors().items():
    if target.endswith("/_launcher"):
        os.close(fd)
"""


@pytest.mark.loops("spawns")
@pytest.mark.parametrize(
    ("pairs", "options", "first"),
    [(50, "", ""), (10, "oom_score_adj=500", ""), (10, "", _WITHOUT_THE_LAUNCHER)],  # the last copies the page tables
    ids=["launcher", "chosen victim", "no launcher"],
)
def test_the_child_is_killed(pairs: int, options: str, first: str, variant: str, group: pathlib.Path) -> None:
    """Children that outgrow their cgroup, one with long arguments and one beside it: each is killed, and nobody else."""
    program = _PROGRAM.format(pairs=pairs, options=options, first=first)
    assert fresh.run(program, variant, GROUP=str(group)) == f"{2 * pairs} []\n"


async def test_stopped(group: pathlib.Path) -> None:
    """A child in a cgroup of version 1, which has no `cgroup.kill`, is stopped like any other."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000", cgroup=group)
    try:
        assert await process.stop() == -signal.SIGTERM
    finally:
        await process.wait()
