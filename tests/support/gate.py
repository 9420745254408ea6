"""The fixture `gate`: where a child waits until a test lets it go on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Gate", "gate"]


class Gate:
    """The standard input of a child, which goes on when it is opened: `read _` of a shell returns."""

    def __init__(self) -> None:
        self.child, self._parent = os.pipe()

    def open(self) -> None:
        os.write(self._parent, b"\n")

    def close(self) -> None:
        os.close(self.child)
        os.close(self._parent)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()
