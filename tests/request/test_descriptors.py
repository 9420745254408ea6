"""Any plan of descriptors comes out as a plain model says, whichever of its own 0, 1, 2 the parent has closed."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import fresh
import loops
import pytest
from place import Place

import aiospawn

if TYPE_CHECKING:
    import pathlib

pytestmark = pytest.mark.once

CLOSED = [closed for count in range(4) for closed in itertools.combinations(range(3), count)]
# The seeds make every run the same. With DESCRIPTOR_EXAMPLES=N there are N new examples each time.
_EXAMPLES = int(os.environ.get("DESCRIPTOR_EXAMPLES", "0"))

_PLANS = """
import os

spare = []
while (number := os.dup(0)) < 12:
    spare.append(number)
os.close(number)

import descriptor_plans

assert descriptor_plans.LOW == 12
descriptor_plans.compare(spare, {closed}, {examples}, {seed})
"""


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: "".join(map(str, closed)) or "none")
@pytest.mark.parametrize(
    ("variant", "without"),
    [*((variant, "") for variant in loops.SPAWNS), pytest.param(loops.SPAWNS[0], "close_range", marks=pytest.mark.slow)],
)
def test_plans(variant: str, without: str, closed: tuple[int, ...]) -> None:
    """Streams, `pass_fds`, `fds`, `open_fds` and `close_fds` together, by a child that shares memory or by the launcher."""
    seed = None if _EXAMPLES else CLOSED.index(closed)
    program = _PLANS.format(closed=closed, examples=_EXAMPLES or 60, seed=seed)
    variant = variant.replace("uvloop", "stdlib")  # uvloop opens descriptors of its own, on the closed numbers
    assert fresh.run(program, variant, AIOSPAWN_WITHOUT=without) == ""


@pytest.mark.parametrize("crowd", [0, 700])
def test_opened_under_any_number(variant: str, crowd: int, tmp_path: pathlib.Path) -> None:
    """Whichever number the child opens a file under, it is not where the error would be reported."""
    program = """
import asyncio, os
import aiospawn, fresh

NULL = {"stdin": aiospawn.DEVNULL, "stdout": aiospawn.DEVNULL, "stderr": aiospawn.DEVNULL}

async def main(path):
    for number in range(3, 600):
        try:
            await aiospawn.create_subprocess_exec("/nowhere", **NULL, open_fds={number: (path, os.O_RDWR)})
        except FileNotFoundError as error:
            assert error.step == "execve"
        else:
            raise AssertionError(number)
    assert os.stat(path).st_size == 0

loop = fresh.new_event_loop()
loop.run_until_complete(main(os.environ["FILE"]))
loop.close()
"""
    file = tmp_path / "file"
    file.touch()
    assert fresh.run(program, variant, crowd, FILE=str(file)) == ""


@pytest.mark.parametrize("via", [{}, {"via": "launcher"}], ids=["direct", "launcher"])
async def test_a_program_whose_descriptor_is_overwritten(via: dict[str, str], tmp_path: pathlib.Path) -> None:
    """A program given as a descriptor is run, also when its number becomes something else in the child."""
    with Place(tmp_path) as place:
        process = await aiospawn.create_subprocess_exec(
            "head", f"/proc/self/fd/{place.head}", executable=place.head, fds={place.head: place.reader}, stdout=-1, **via
        )
        assert await process.communicate() == (b"of a file", None)


@pytest.mark.parametrize("option", ["fds", "open_fds"])
async def test_standard_error_given_twice(option: str, tmp_path: pathlib.Path) -> None:
    """Standard error cannot both follow standard output and be something else."""
    with Place(tmp_path) as place:
        given = {"fds": {2: place.reader}, "open_fds": {2: (place.file, os.O_RDONLY)}}
        with pytest.raises(ValueError, match="both given"):
            await aiospawn.create_subprocess_exec("true", stderr=aiospawn.STDOUT, **{option: given[option]})


@pytest.mark.parametrize("via", [{}, {"via": "launcher"}], ids=["direct", "launcher"])
async def test_standard_error_follows_a_file_that_the_child_opens(via: dict[str, str], tmp_path: pathlib.Path) -> None:
    """Both streams are one open file: made once, and nothing in it overwrites the other's."""
    opened = {1: (tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_EXCL)}
    process = await aiospawn.create_subprocess_exec(
        "/bin/sh", "-c", "echo text; echo error >&2; echo more", open_fds=opened, stderr=aiospawn.STDOUT, **via
    )
    assert await process.wait() == 0
    assert (tmp_path / "file").read_text() == "text\nerror\nmore\n"
