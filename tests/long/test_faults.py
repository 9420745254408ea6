"""System calls of a launch fail, and what comes of it is what docs/faults.md says: an error, or another way."""

from __future__ import annotations

import concurrent.futures
import os
import shutil

import pytest
from fault_target import PRIVILEGES
from faults import BAD, DOCUMENT, Cell, cells_of, documented, struck
from place import ALL_CAPABILITIES, lacks

pytestmark = pytest.mark.once

STRUCK = 40  # of the table's; a prime distance spreads them over shapes, calls and errors


def _few() -> list[Cell]:
    cells = [cell for cell in documented() if cell.shape != PRIVILEGES or not lacks(*ALL_CAPABILITIES)]
    return cells[:: len(cells) // STRUCK]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
def test_faults() -> None:
    """Some of the table, struck again: each comes to what the table says."""
    few = _few()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
        shapes = dict.fromkeys(cell.shape for cell in few)
        calls = {cell: call for found in executor.map(cells_of, shapes) for cell, call in found.items() if cell in few}
        found = dict(zip(calls, executor.map(struck, calls, calls.values()), strict=True))
    assert len(found) >= STRUCK * 3 // 4  # a loop wakes up more or less often: some calls are not made
    told = documented()
    assert {cell: outcome for cell, outcome in found.items() if outcome not in (told[cell], None)} == {}


def test_document() -> None:
    """The table has hundreds of faults, counts them, and none of them ends badly."""
    told = documented()
    assert f"made to fail: {len(told)} faults." in DOCUMENT.read_text()
    assert len(told) > 500
    assert [cell for cell, outcome in told.items() if outcome.startswith(BAD)] == []
