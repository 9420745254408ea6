"""Every option does what docs/options.md says, and the child itself shows it."""

import pathlib
import sys

import every_option
import fresh
import pytest
from every_option import ROWS, Place, Row, bits, limit, stat, status

import aiospawn
from aiospawn._options import Options

_CAPABILITIES = {"setgid": 6, "setuid": 7, "setpcap": 8, "sys_chroot": 18, "sys_admin": 21, "sys_nice": 23}

rows = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
variants = pytest.mark.parametrize("variant", fresh.VARIANTS)


@pytest.fixture
def place(tmp_path: pathlib.Path):
    with Place(tmp_path) as place:
        yield place


def require(capability: str) -> None:
    held = int(status("CapEff")(pathlib.Path("/proc/self/status").read_text()), 16)
    if capability and not held >> _CAPABILITIES[capability] & 1:
        pytest.skip(f"needs CAP_{capability.upper()}")


def test_the_table_has_every_option() -> None:
    """No option is forgotten; hooks and `via` have tests of their own."""
    named = {row.name.partition(":")[0] for row in ROWS}
    assert named == {*Options._fields} - {"hook", "via"}


@rows
async def test_shown(row: Row, place: Place) -> None:
    """The child shows what was asked for."""
    require(row.needs)
    shown, expected = await every_option.shown(row, place)
    assert shown == expected


@rows
async def test_shown_through_the_launcher(row: Row, place: Place) -> None:
    """The same in a child that was made by the launcher."""
    require(row.needs)
    shown, expected = await every_option.shown(row, place, via="launcher")
    assert shown == expected
