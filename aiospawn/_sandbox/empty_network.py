"""A network namespace without anything in it, for commands that can make no socket.

To make one takes longer than everything else of a view, and its end too. One that is empty, and in which nobody can make a
socket, is the same for everybody: nothing that a command does in it can be seen by another. So it is shared.
"""

from __future__ import annotations

import contextlib
import os
import weakref

from aiospawn._binding import restrictions as kernel

__all__ = ["EmptyNetwork"]

_shared: weakref.WeakValueDictionary[int, EmptyNetwork] = weakref.WeakValueDictionary()  # by process


class EmptyNetwork:
    """Its descriptor is closed with the object."""

    __slots__ = ("__weakref__", "descriptor")

    def __init__(self) -> None:
        """Raises OSError."""
        self.descriptor = kernel.empty_network()
        weakref.finalize(self, os.close, self.descriptor)

    @staticmethod
    def shared() -> EmptyNetwork | None:
        """The one of all sandboxes, as long as one of them has it. None where it cannot be made.

        To enter it takes CAP_SYS_ADMIN here, in the user namespace to which it belongs (setns(2)): a process without that
        makes a user namespace with each view, and so a network namespace of its own.
        """
        if not kernel.may_make_namespaces():
            return None
        network = _shared.get(os.getpid())
        if network is None:
            with contextlib.suppress(OSError):
                network = _shared[os.getpid()] = EmptyNetwork()
        return network
