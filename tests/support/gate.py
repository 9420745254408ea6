"""Where a child waits until a test lets it go on."""

import os

__all__ = ["Gate"]


class Gate:
    """The standard input of a child, which goes on when it is opened: `read _` of a shell returns."""

    def __init__(self) -> None:
        self.child, self._parent = os.pipe()

    def open(self) -> None:
        os.write(self._parent, b"\n")

    def close(self) -> None:
        os.close(self.child)
        os.close(self._parent)
