"""Limits of a sandbox: each ends the command with all that it started, and the result says which."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

import place
import pytest

import aiospawn
from aiospawn import Limits, Sandbox

if TYPE_CHECKING:
    import pathlib

pytestmark = [pytest.mark.once, pytest.mark.loops("one")]
enforced = pytest.mark.skipif(bool(place.lacks("sandbox")), reason="needs Landlock ABI 6 and seccomp")

_PYTHON = [sys.executable, "-ISc"]
_INTERPRETER = [sys.prefix, sys.base_prefix]
_MIB = 1 << 20
_LONG = 60  # seconds, longer than any of these takes


@pytest.mark.parametrize(
    ("kind", "keywords", "said"),
    [
        (TypeError, {"memory": "1G"}, "Limits: memory must be an integer, not str: '1G'"),
        (ValueError, {"processes": 0}, "Limits: processes must be between 1 and 4398046511104, got 0"),
        (TypeError, {"cpu_seconds": True}, "Limits: cpu_seconds must be a number of seconds or None, got True"),
        (ValueError, {"wall": 0}, "Limits: wall must be from 0.001 to 4398046511 seconds, got 0"),
        (ValueError, {"wall": float("nan")}, "Limits: wall must be from 0.001"),
        (ValueError, {"open_files": 2}, "Limits: open_files must be between 3"),
        (ValueError, {"file_size": -1}, "Limits: file_size must be between 0"),
    ],
)
def test_bad_limits(kind: type[Exception], keywords: dict[str, Any], said: str) -> None:
    """Refused by name and value."""
    with pytest.raises(kind) as caught:
        Limits(**keywords)
    assert said in str(caught.value)


def test_a_value() -> None:
    """Immutable, equal by its fields, part of its sandbox and of what that explains."""
    value = Limits(memory=_MIB, wall=5)
    assert pickle.loads(pickle.dumps(value)) == value != Limits(memory=_MIB)
    assert repr(value) == "Limits(memory=1048576, wall=5.0)"
    with pytest.raises(AttributeError, match="immutable"):
        value.wall = 6
    with pytest.raises(TypeError, match="limits must be a Limits or None, not 5"):
        Sandbox(limits=5)  # type: ignore[arg-type]
    sandbox = Sandbox(limits=value)
    assert sandbox != Sandbox()
    assert "at more than: 1048576 bytes of memory, 5.0 s" in sandbox.explain()


_ENDED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "memory": ({"memory": 100 * _MIB}, [*_PYTHON, f"x = b'x' * {400 * _MIB}\nimport time; time.sleep({_LONG})"]),
    "of all together": (
        {"memory": 150 * _MIB},
        [*_PYTHON, f"import os, time\nfor _ in range(3): os.fork()\nx = b'x' * {60 * _MIB}\ntime.sleep({_LONG})"],
    ),
    "in shared memory": (
        {"memory": 100 * _MIB},
        [*_PYTHON, f"import mmap, time\nx = mmap.mmap(-1, {200 * _MIB})\nx.write(b'x' * len(x))\ntime.sleep({_LONG})"],
    ),
    "processes": ({"processes": 20}, ["sh", "-c", f"while :; do sleep {_LONG} & done"]),
    "processes that left the session": ({"processes": 20}, ["sh", "-c", f"while :; do setsid sleep {_LONG} & done"]),
    "cpu_seconds": ({"cpu_seconds": 0.2}, ["sh", "-c", "while :; do :; done"]),
    "of children that it waits for": ({"cpu_seconds": 0.2}, ["sh", "-c", "while :; do /bin/true; done"]),
    "of orphans": ({"cpu_seconds": 0.2}, ["sh", "-c", f"(sh -c 'while :; do :; done' & ) ; sleep {_LONG}"]),
    "wall": ({"wall": 0.1}, ["sleep", str(_LONG)]),
    "of what it leaves": ({"wall": 0.1}, ["sh", "-c", f"trap '' TERM; setsid sleep {_LONG} & sleep {_LONG}"]),
    "file_size": ({"file_size": 100}, ["sh", "-c", "exec head -c 1000 /dev/zero >file"]),
}
_OF = {"of all together": "memory", "in shared memory": "memory", "processes that left the session": "processes"}
_OF |= {"of children that it waits for": "cpu_seconds", "of orphans": "cpu_seconds", "of what it leaves": "wall"}


@enforced
@pytest.mark.parametrize("case", _ENDED)
async def test_ended(case: str, tmp_path: Any) -> None:
    """By the one that was exceeded, and not without a sandbox's limits."""
    limits, command = _ENDED[case]
    value = Sandbox(execute=_INTERPRETER, write=[tmp_path], limits=Limits(**limits))
    result = await aiospawn.run(command, sandbox=value, cwd=tmp_path, stderr=aiospawn.DEVNULL, timeout=_LONG)
    assert result.limit == _OF.get(case, case)
    assert result.returncode == (-25 if case == "file_size" else -9)
    with pytest.raises(aiospawn.CalledProcessError, match=f"ended by the limit {result.limit}"):
        result.check_returncode()


# Each process doubles, until there are far more of them than init lets there be.
_DOUBLING = """
import os, time
made = os.open("made", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
while os.fstat(made).st_size < 2000:
    if os.fork() == 0:
        os.write(made, b".")
time.sleep(60)
"""


@enforced
@pytest.mark.parametrize("hide", [False, True])
async def test_what_doubles(hide: bool, tmp_path: pathlib.Path) -> None:
    """Init comes first, and kills all of them by one call: some tens are made."""
    value = Sandbox(hide=hide, execute=_INTERPRETER, write=[tmp_path], limits=Limits(processes=20))
    result = await aiospawn.run([*_PYTHON, _DOUBLING], sandbox=value, cwd=tmp_path, stderr=aiospawn.DEVNULL)
    assert result.limit == "processes"
    assert (tmp_path / "made").stat().st_size < 1000


@enforced
async def test_not_exceeded() -> None:
    """A command within its limits is not touched, and its own failure is no limit's."""
    value = Sandbox(limits=Limits(memory=500 * _MIB, processes=10, cpu_seconds=50, wall=_LONG, file_size=0, open_files=20))
    for script, returncode in (("exit 3", 3), ("kill -KILL $$", -9), ("sleep 0.1", 0)):
        result = await aiospawn.run(["sh", "-c", script], sandbox=value)
        assert (result.returncode, result.limit) == (returncode, None)
    result = await aiospawn.run(["sh", "-c", "ulimit -n; ulimit -f"], sandbox=value, capture_output=True)
    assert result.stdout.split() == [b"20", b"0"]


@enforced
async def test_other_launches() -> None:
    """A process says it after its end, and the results of `map` have it."""
    value = Sandbox(limits=Limits(wall=0.1))
    async with await aiospawn.create_subprocess_exec("sleep", str(_LONG), sandbox=value) as process:
        assert process.limit is None
        assert (await process.wait(), process.limit) == (-9, "wall")
    async with aiospawn.map([["sleep", str(_LONG)], ["true"]], sandbox=value) as results:
        assert {result.completed.limit async for result in results if result.completed} == {"wall", None}


@enforced
async def test_what_cannot_be_together() -> None:
    """Init keeps the limits: what excludes it is refused, as is a resource limit given twice."""
    with pytest.raises(ValueError, match="are both given: init keeps them"):
        await aiospawn.run(["true"], sandbox=Sandbox(limits=Limits(wall=5)), pdeathsig=9)
    with pytest.raises(ValueError, match=r"rlimits\[7\] and the sandbox's Limits\(open_files=9\) are both given"):
        await aiospawn.run(["true"], sandbox=Sandbox(limits=Limits(open_files=9)), rlimits={"nofile": 8})
