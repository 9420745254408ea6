"""Every option does what docs/options.md says, and the child itself shows it."""

import pathlib
import shlex
from collections.abc import Iterator
from typing import Any

import every_option
import fresh
import pytest
from every_option import ROWS, Row
from place import ALL_CAPABILITIES, Place, lacks
from together import shown_together

import aiospawn
from aiospawn._options.options import Options

rows = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
ways = pytest.mark.parametrize(
    "way",
    [{}, {"via": "launcher"}, {"init": True}, {"init": True, "init_namespace": "pid"}, {"preexec_fn": lambda: None}],
    ids=["direct", "launcher", "init", "namespace", "forked"],
)


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Iterator[Place]:
    with Place(tmp_path) as place:
        yield place


def require(*capabilities: str) -> None:
    if missing := lacks(*capabilities):
        pytest.skip(f"needs {', '.join(missing)}")


def test_the_table_has_every_option() -> None:
    """No option is forgotten; hooks, `via` and those of init have tests of their own."""
    elsewhere = {"hook", "via", *(name for name in Options._fields if name.startswith("init"))}
    assert {row.name.partition(":")[0] for row in ROWS} == {*Options._fields} - elsewhere


@pytest.mark.once
@ways
@rows
async def test_shown(row: Row, way: dict[str, Any], place: Place) -> None:
    """The child shows what was asked for, whether it was made directly, by the launcher, by its init, or by a fork."""
    if (way and "preexec_fn" in row.options) or ("init" in way and "pdeathsig" in row.options):
        way = {}  # it is the way, or refused together with it
    if "init_namespace" in way and row.name == "process_group: another's":
        way = {"init": True}  # likewise
    require(row.needs)
    shown, expected = await every_option.shown(row, place, **way)
    assert shown == expected


@ways
async def test_together(way: dict[str, Any], place: Place) -> None:
    """All options in one launch: none hinders another."""
    require(*ALL_CAPABILITIES)
    for name, shown, expected in await shown_together(place, **way):
        assert (name, shown) == (name, expected)


async def test_an_iterator_for_many_launches(place: Place) -> None:
    """`pass_fds` may be an iterator, as in `subprocess`: each launch that it is for passes all of them."""
    command = ["cat", f"/proc/self/fd/{place.reader}"]
    shown = [line async for line in aiospawn.lines(command, text=True, pass_fds=iter([place.reader]))]
    async with aiospawn.map([command, command], text=True, capture_output=True, pass_fds=iter([place.reader])) as results:
        shown += [result.stdout async for result in results]
    pipeline = await aiospawn.pipeline(command, command, text=True, capture_output=True, pass_fds=iter([place.reader]))
    shown.append(pipeline.stdout)
    async with await aiospawn.popen(shlex.join(command), pass_fds=iter([place.reader])) as pipe:
        shown.append(await pipe.read())
    async with aiospawn.ProcessGroup(pass_fds=iter([place.reader])) as group:
        for _ in range(2):
            process = await group.spawn(*command, stdout=aiospawn.PIPE)
            shown.append((await process.communicate())[0].decode())
    assert shown == ["of a file"] * 7


# ---- where the kernel or the machine offers less ----------------------------------------------------------------------

_ALL_ROWS = """
import asyncio, os, pathlib, tempfile
import fresh, every_option, place

async def main():
    for row in every_option.ROWS:
        if place.lacks(row.needs):
            continue
        with tempfile.TemporaryDirectory() as directory, place.Place(pathlib.Path(directory)) as here:
            shown, expected = await every_option.shown(row, here)
            assert shown == expected, (row.name, shown, expected)

{first}
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""

_WITHOUT_THE_LAUNCHER = """
for fd, target in fresh.descriptors().items():
    if target.endswith("/_launcher"):
        os.close(fd)
"""


def test_shown_without_the_launcher(variant: str) -> None:
    """Where the launcher cannot be executed, the same steps run in a child that shares no memory."""
    fresh.run(_ALL_ROWS.format(first=_WITHOUT_THE_LAUNCHER), variant)


def test_shown_on_an_old_kernel(variant: str) -> None:
    """Without clone3 and close_range every option does the same."""
    fresh.run(_ALL_ROWS.format(first=""), variant, AIOSPAWN_WITHOUT="clone3,close_range")


def test_shown_with_a_shared_descriptor_table(variant: str) -> None:
    """With so many descriptors open that launches share the table, every option does the same."""
    fresh.run(_ALL_ROWS.format(first=""), variant, crowd=700)
