"""A command on its way to a result."""

from __future__ import annotations

from typing import Any

__all__ = ["Job"]


class Job:
    """One command, and the workers that were lost with it."""

    __slots__ = ("args", "attempt", "command", "lost", "number", "options")

    def __init__(self, number: int, command: Any, args: Any, options: dict[str, Any] | None) -> None:
        self.number = number
        self.command = command
        """As the source gave it."""
        self.args = args
        self.options = options
        """Its own."""
        self.attempt = 0
        """The last one."""
        self.lost: tuple[str, ...] = ()
        """The workers that were lost while they had it."""
