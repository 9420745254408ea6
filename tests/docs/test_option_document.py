"""docs/options.md has every option, in the order of the child, with the steps it has and the way it goes."""

import pathlib
import re
from typing import NamedTuple

import every_option
import pytest
from every_option import ROWS
from paths import ROOT
from place import Place

from aiospawn._binding.library import Step
from aiospawn._options.options import Options
from aiospawn._options.validation import validated
from aiospawn._request import request, step_errors, steps

pytestmark = pytest.mark.once


class Described(NamedTuple):
    value: str
    does: str
    order: str
    needs: str
    steps: set[str]
    way: str


def _described() -> dict[str, Described]:
    found = {}
    document = (ROOT / "docs" / "options.md").read_text()
    for line in re.findall(r"^\| (\*\*\w+\*\*.*) \|$", document, re.MULTILINE):
        first, value, does, order, needs, steps, way = (cell.strip() for cell in line.split("|"))
        for name in re.findall(r"\*\*(\w+)\*\*", first):
            found[name] = Described(value, does, order, needs, {*re.findall(r"`(\w+)`", steps)} - {"filename"}, way)
    return found


DESCRIBED = _described()


def test_every_option_has_a_row() -> None:
    """No option is missing, and no row is of something else."""
    assert sorted(DESCRIBED) == sorted(Options._fields)


def test_order() -> None:
    """The rows stand in the order in which the child takes the options."""
    taken = [*dict.fromkeys(name for name, _ in steps._TABLE)]
    assert [name for name in DESCRIBED if name in taken] == taken


def test_steps() -> None:
    """The table has all names that `.step` may have, and no other."""
    assert set().union(*(row.steps for row in DESCRIBED.values())) == {
        *step_errors.OTHER_NAMES,
        *(name for name, _ in step_errors._NAMED.values()),
        *steps.PRCTL_NAMES.values(),
    }


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_way_and_steps(row: every_option.Row, tmp_path: pathlib.Path) -> None:
    """A launch goes the way that is described, by the steps that are named."""
    with Place(tmp_path) as place:
        streams = (None, None, None)
        options = every_option.options_of(row, place)
        program = request.program(streams, validated({key: value for key, value in options.items() if key != "stdin"}))
    described = [DESCRIBED[name] for name in row.options if name != "stdin"]
    assert program.via_launcher == any(each.way == "launcher" for each in described)
    always = DESCRIBED["close_fds"].steps | DESCRIBED["restore_signals"].steps
    named = {
        "chdir" if step[0] == Step.CHDIR else step_errors.name_and_operand(step)[0]
        for step in program.steps[program.prelude :]
    }
    on_the_way = DESCRIBED["via"].steps if program.via_launcher else set()
    assert named <= set().union(always, on_the_way, *(each.steps for each in described))
