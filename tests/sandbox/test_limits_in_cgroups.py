"""Limits of a sandbox in a cgroup of the tree's own: the kernel bounds its memory, and counts its processor time.

Most need a memory controller of cgroup v2: `python tests/long/emulated_cgroups.py` runs them on an emulated machine that has
one.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import fresh
import place
import pytest

import aiospawn
from aiospawn import Limits, Sandbox
from aiospawn._binding import cgroups

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.once,
    pytest.mark.loops("one"),
    pytest.mark.skipif(os.getuid() != 0, reason="a cgroup to make others in is root's"),
]

_PYTHON = [sys.executable, "-ISc"]
_MIB = 1 << 20
_LONG = 60  # seconds, longer than any of these takes
_FENCE: dict[str, Any] = {"execute": [sys.prefix, sys.base_prefix], "at_least": ["system_calls"]}  # also of an older kernel


@pytest.fixture
def parent(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory of cgroup v2 that holds nothing afterwards either."""
    with place.cgroup(tmp_path, "parent") as directory:
        yield directory
        assert [path.name for path in directory.iterdir() if path.is_dir()] == []


@pytest.fixture
def bounded(parent: pathlib.Path) -> pathlib.Path:
    """One in which the kernel bounds memory."""
    if "memory" not in (parent.parent / "cgroup.controllers").read_text().split():
        pytest.skip("this kernel's memory controller is not that of cgroup v2")
    (parent.parent / "cgroup.subtree_control").write_text("+memory")
    return parent


async def _run(command: list[str], below: Any, limits: Limits, **more: Any) -> aiospawn.CompletedProcess:
    options = {} if below is None else {"init": True, "init_cgroup": below}
    value = Sandbox(**_FENCE, limits=limits, **more)
    return await aiospawn.run(command, sandbox=value, stderr=-3, stdout=-1, timeout=_LONG, **options)


_TAKING = {
    "of its own": f"x = b'x' * {200 * _MIB}; time.sleep({_LONG})",
    "of a child": f"os.fork() or (b'x' * {200 * _MIB}, os._exit(0)); os.waitpid(-1, 0); time.sleep({_LONG})",
    "of all together": f"os.fork(); os.fork(); x = b'x' * {40 * _MIB}; time.sleep({_LONG})",
    "in a file in memory": f"fd = os.memfd_create('')\nfor _ in '_' * 200: os.write(fd, b'x' * 2**20)\ntime.sleep({_LONG})",
    "of who has left the session": f"os.fork() or (os.setsid(), b'x' * {200 * _MIB}); time.sleep({_LONG})",
}


@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize("case", _TAKING)
async def test_memory(case: str, hide: bool, bounded: pathlib.Path) -> None:
    """Everybody is killed by the kernel, and the result says what for."""
    if hide and place.lacks("view"):
        pytest.skip("no view can be made here")
    result = await _run([*_PYTHON, f"import os, time; {_TAKING[case]}"], bounded, Limits(memory=100 * _MIB), hide=hide)
    assert result.limit == "memory"
    assert result.cgroup_peak is not None
    assert result.cgroup_peak.memory is None or result.cgroup_peak.memory <= 100 * _MIB
    assert result.returncode == -9


async def test_shared_pages_count_once(bounded: pathlib.Path) -> None:
    """Where init looks, each of the five has them."""
    rest = "time.sleep(0.5)"
    program = f"import os, time; x = b'x' * {60 * _MIB}; [os.fork() or ({rest}, os._exit(0)) for _ in range(4)]; {rest}"
    result = await _run([*_PYTHON, program], bounded, Limits(memory=150 * _MIB))
    assert (result.returncode, result.limit) == (0, None)


async def test_within(bounded: pathlib.Path) -> None:
    """What keeps to its limit is not touched; its own end, by a signal too, is no limit's."""
    for script, returncode in (("exit 3", 3), ("kill -KILL $$", -9)):
        result = await _run(["sh", "-c", script], bounded, Limits(memory=100 * _MIB, processes=5, wall=_LONG))
        assert (result.returncode, result.limit) == (returncode, None)


async def test_other_limits_beside_it(bounded: pathlib.Path) -> None:
    """They are init's as before."""
    memory = 500 * _MIB
    many = ["sh", "-c", f"while :; do sleep {_LONG} & done"]
    assert (await _run(many, bounded, Limits(memory=memory, processes=10))).limit == "processes"
    assert (await _run(["sleep", str(_LONG)], bounded, Limits(memory=memory, wall=0.1))).limit == "wall"
    busy = ["sh", "-c", "while :; do :; done"]
    assert (await _run(busy, bounded, Limits(memory=memory, cpu_seconds=0.2))).limit == "cpu_seconds"


_AS_SOMEBODY = """
import asyncio, os, sys
import aiospawn
from aiospawn import Limits, Sandbox

async def main():
    value = Sandbox(limits=Limits(memory=100 << 20), execute=[sys.prefix, sys.base_prefix], at_least=[])
    print([line for line in value.explain().splitlines() if line.startswith("memory")])
    taking = [sys.executable, "-ISc", "import time; x = b'x' * (200 << 20); time.sleep(60)"]
    result = await aiospawn.run(taking, sandbox=value)
    print(result.limit, result.cgroup_peak is not None)

asyncio.run(main())
"""


async def test_a_delegated_one_is_found(bounded: pathlib.Path) -> None:
    """Without a word: an ordinary user's process in a cgroup below one that is the user's."""
    above, inside = bounded / "unit", bounded / "unit" / "main"
    (bounded / "cgroup.subtree_control").write_text("+memory")
    above.mkdir()
    inside.mkdir()
    try:
        for path in (
            above,
            inside,
            *(above / name for name in ("cgroup.procs", "cgroup.subtree_control")),
            inside / "cgroup.procs",
        ):
            os.chown(path, 65534, 65534)
        done = await aiospawn.run(
            fresh.command(_AS_SOMEBODY), cgroup=inside, user=65534, group=65534, extra_groups=[],
            env=fresh.environment(), capture_output=True, text=True,
        )  # fmt: skip
        assert done.stderr == ""
        assert f"below {above}" in done.stdout
        assert done.stdout.endswith("memory True\n")
        assert [path.name for path in above.iterdir() if path.is_dir()] == ["main"]
    finally:
        inside.rmdir()
        above.rmdir()


# ---- where the kernel has no such controller -----------------------------------------------------------------------------


async def test_init_counts(parent: pathlib.Path) -> None:
    """In a cgroup without a memory controller."""
    below = parent / "below"
    below.mkdir()
    try:
        result = await _run([*_PYTHON, f"import os, time; {_TAKING['of its own']}"], below, Limits(memory=100 * _MIB))
    finally:
        below.rmdir()
    assert (result.returncode, result.limit) == (-9, "memory")
    assert result.cgroup_peak is not None
    assert result.cgroup_peak.memory is None


_IGNORED = """import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    pid = os.fork()
    if not pid:
        for _ in range(200000): pass
        os._exit(0)
    try: os.waitpid(pid, 0)
    except ChildProcessError: pass
"""


@pytest.mark.parametrize("hide", [False, True])
async def test_time_of_unawaited_children(hide: bool, parent: pathlib.Path) -> None:
    """The kernel counts it in the cgroup, where the process loses it; also where no path leads there."""
    if hide and place.lacks("view"):
        pytest.skip("no view can be made here")
    result = await _run([*_PYTHON, _IGNORED], parent, Limits(cpu_seconds=1, wall=_LONG), hide=hide)
    assert result.limit == "cpu_seconds"


async def test_both_are_given(parent: pathlib.Path) -> None:
    """The same limit twice is refused by name, and nothing is made."""
    value = Sandbox(**_FENCE, limits=Limits(memory=_MIB))
    with pytest.raises(ValueError, match=r"init_cgroup_limits=\{'memory.max': '5'\} and the sandbox's Limits\(memory="):
        await aiospawn.run(["true"], sandbox=value, init=True, init_cgroup=parent, init_cgroup_limits={"memory.max": 5})


def test_it_is_told() -> None:
    """Which way holds here, in words."""
    (line,) = (line for line in Sandbox(limits=Limits(memory=_MIB)).explain().splitlines() if line.startswith("memory"))
    found = cgroups.delegated()
    expected = (
        "counted by init" if found.directory is None else f"bounded by the kernel, in a cgroup below {found.directory}"
    )
    assert expected in line
    assert found.lack in line
