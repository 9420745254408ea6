"""`init_cgroup`: a cgroup of the tree's own."""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from hostile import hostile
from marker import Marker, stands
from place import cgroup, lacks

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.once,
    pytest.mark.loops("one"),
    pytest.mark.skipif(os.getuid() != 0, reason="a cgroup to make others in is root's"),
]


@pytest.fixture
def parent(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory of cgroup v2 that holds nothing afterwards either."""
    with cgroup(tmp_path, "parent") as directory:
        yield directory
        assert _below(directory) == []


def _below(directory: pathlib.Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.is_dir())


def _has(parent: pathlib.Path, *controllers: str) -> bool:
    return {*controllers} <= {*(parent / "cgroup.controllers").read_text().split()}


async def test_the_tree_is_in_it(parent: pathlib.Path) -> None:
    """The command and its descendants are in it, but not init; it is removed with the tree."""
    script = "cat /proc/self/cgroup; setsid cat /proc/self/cgroup; read line"
    process = await aiospawn.create_subprocess_exec("sh", "-c", script, init=True, init_cgroup=parent, stdin=-1, stdout=-1)
    assert process.stdout is not None
    (name,) = _below(parent)
    for _ in range(2):
        line = b""
        while not line.startswith(b"0::"):
            line = await process.stdout.readline()
        assert line.rstrip().endswith(f"/{parent.name}/{name}".encode())
    assert name not in await asyncio.to_thread(pathlib.Path(f"/proc/{process.pid}/cgroup").read_text)
    assert process.cgroup_peak is None
    await process.stop()
    assert isinstance(process.cgroup_peak, aiospawn.CgroupPeak)


@pytest.mark.usefixtures("parent")  # there is a mount then
async def test_its_own_cgroup() -> None:
    """Below that of this process."""
    done = await aiospawn.run(["cat", "/proc/self/cgroup"], init=True, init_cgroup=True, capture_output=True)
    assert re.search(rb"^0::.*/aiospawn-\d+-\d+$", done.stdout, re.MULTILINE)
    assert done.cgroup_peak is not None


@pytest.mark.parametrize("how", ["kill", "stop", "end"])
async def test_hostile_trees(how: str, parent: pathlib.Path, marker: Marker) -> None:
    process = await aiospawn.create_subprocess_exec(
        *hostile("breeding", marker.writer), init=True, init_cgroup=parent, pass_fds=[marker.writer]
    )
    await stands(marker, 1)
    if how == "kill":
        process.kill()
    elif how == "stop":
        await process.stop(0.01)
    else:
        children = await asyncio.to_thread(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text)
        os.kill(int(children.split()[0]), signal.SIGKILL)
    await process.wait()
    assert marker.has_ended()


async def test_an_outsider_kills_init(parent: pathlib.Path, marker: Marker) -> None:
    """Whoever is left is killed with the cgroup when this process sees that."""
    process = await aiospawn.create_subprocess_exec(
        *hostile("deep", marker.writer), init=True, init_cgroup=parent, pass_fds=[marker.writer]
    )
    await stands(marker, 21)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    await asyncio.to_thread(marker.ends)
    while _below(parent):  # what could not be removed at once is when another is made
        await aiospawn.run(["true"], init=True, init_cgroup=parent)


_PARENT = """
import asyncio, os, sys
import aiospawn, fresh
from hostile import hostile

async def main():
    await aiospawn.create_subprocess_exec(
        *hostile("setsid", int(sys.argv[1])), pass_fds=[int(sys.argv[1])], init=True, init_cgroup=sys.argv[2],
        sandbox=aiospawn.Sandbox(
            hide=True, execute=[sys.prefix, sys.base_prefix], read=[os.path.dirname(hostile.__code__.co_filename)],
        ) if sys.argv[3] == "hidden" else None)
    await asyncio.sleep(1000)

fresh.new_event_loop().run_until_complete(main())
"""


@pytest.mark.parametrize("where", ["seen", "hidden"])
def test_this_process_is_killed(where: str, parent: pathlib.Path, marker: Marker) -> None:
    """Init removes the cgroup, also from a view of its own, in which no path leads there."""
    if where == "hidden" and lacks("sandbox"):
        pytest.skip("needs Landlock ABI 6 and namespaces")
    command = fresh.command(_PARENT, str(marker.writer), str(parent), where)
    with subprocess.Popen(command, pass_fds=[marker.writer], env=fresh.environment(), process_group=0) as holder:
        marker.stands(2)
        assert len(_below(parent)) == 1
        holder.kill()
        marker.ends()
        while _below(parent):  # init removes it a moment later
            time.sleep(0.01)


@pytest.mark.parametrize("options", [{"cwd": "/nowhere"}, {"rlimits": {"nofile": (1, 1 << 40)}}])
async def test_a_failed_launch_leaves_none(options: dict[str, Any], parent: pathlib.Path) -> None:
    with pytest.raises(OSError):
        await aiospawn.run(["true"], init=True, init_cgroup=parent, **options)
    with pytest.raises(FileNotFoundError):
        await aiospawn.create_subprocess_exec("no such program", init=True, init_cgroup=parent)
    assert _below(parent) == []


async def test_limits(parent: pathlib.Path) -> None:
    """Of files that every cgroup has; what the tree makes below its own is removed with it."""
    limits = {"cgroup.max.descendants": 1}
    script = f"cd {parent}/aiospawn-* && mkdir one; mkdir two 2>/dev/null; ls -d */ | wc -l"
    done = await aiospawn.run(
        ["sh", "-c", script], init=True, init_cgroup=parent, init_cgroup_limits=limits, capture_output=True
    )
    assert done.stdout == b"1\n"


async def test_limits_of_memory_and_processes(parent: pathlib.Path) -> None:
    """The tree that is too large is killed, this process is not, and the result has its peak."""
    if not _has(parent.parent, "memory", "pids"):
        pytest.skip("this kernel's memory and pids controllers are not those of cgroup v2")
    (parent.parent / "cgroup.subtree_control").write_text("+memory +pids")
    limits = {"memory.max": 32 << 20, "memory.swap.max": 0, "pids.max": 10}
    program = "x = bytearray(64 << 20); x[::4096] = bytes([1]) * len(x[::4096])"
    done = await aiospawn.run(
        fresh.command(program, flags=["-I", "-S"]), init=True, init_cgroup=parent, init_cgroup_limits=limits
    )
    assert done.returncode == -signal.SIGKILL
    assert done.cgroup_peak is not None
    assert done.cgroup_peak.memory is None or 16 << 20 < done.cgroup_peak.memory <= 32 << 20
    script = "i=0; while [ $i -lt 20 ]; do sleep 1000 & i=$((i + 1)); done; echo all"
    done = await aiospawn.run(
        ["sh", "-c", script], init=True, init_cgroup=parent, init_cgroup_limits=limits, capture_output=True
    )
    assert done.stdout == b""
    assert done.cgroup_peak is not None
    assert done.cgroup_peak.pids in (None, 10)


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"nothing.max": 1}, "has no nothing controller; available: "),
        ({"cgroup.max.depth": "many"}, "cgroup.max.depth"),
    ],
)
async def test_limits_that_cannot_be_set(limits: dict[str, Any], named: str, parent: pathlib.Path) -> None:
    with pytest.raises(OSError) as refused:
        await aiospawn.run(["true"], init=True, init_cgroup=parent, init_cgroup_limits=limits)
    assert refused.value.step == "cgroup"  # type: ignore[attr-defined]
    assert named in str(refused.value)
    assert _below(parent) == []


async def test_no_directory_of_cgroups(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match="it is no directory of cgroup v2") as refused:
        await aiospawn.run(["true"], init=True, init_cgroup=tmp_path)
    assert refused.value.step == "cgroup"  # type: ignore[attr-defined]
    assert _below(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "options", "named"),
    [
        (ValueError, {"init_cgroup": True}, "init_cgroup=True needs init"),
        (ValueError, {"init": True, "init_cgroup": ""}, "init_cgroup must be a bool or a directory, got ''"),
        (TypeError, {"init": True, "init_cgroup": 7}, "init_cgroup must be a path, not 7"),
        (ValueError, {"init": "leave", "init_cgroup": True}, 'init="leave" cannot be combined with init_cgroup=True'),
        (ValueError, {"init": True, "init_cgroup": True, "cgroup": "/x"}, "init_cgroup=True and cgroup='/x'"),
        (ValueError, {"init": True, "init_cgroup_limits": {}}, "init_cgroup_limits={} needs init_cgroup"),
        (TypeError, {"init_cgroup_limits": ["memory.max"]}, "got ['memory.max']"),
        (ValueError, {"init_cgroup_limits": {"../x": 1}}, "got '../x'"),
        (ValueError, {"init_cgroup_limits": {"cgroup.procs": 1}}, "got 'cgroup.procs'"),
        (TypeError, {"init_cgroup_limits": {"memory.max": 1.5}}, "init_cgroup_limits['memory.max'] must be"),
        (ValueError, {"init_cgroup_limits": {"memory.max": -1}}, "got -1"),
    ],
)
async def test_refused(error: type[Exception], options: dict[str, Any], named: str) -> None:
    """By name, before anything is made."""
    with pytest.raises(error) as refused:
        await aiospawn.run(["true"], **options)
    assert named in str(refused.value)
