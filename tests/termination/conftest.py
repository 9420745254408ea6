"""What the tests of trees share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from marker import Marker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def marker() -> Iterator[Marker]:
    made = Marker()
    yield made
    made.close_writer()
    os.close(made.reader)
