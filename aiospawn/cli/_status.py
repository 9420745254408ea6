"""Exit statuses, by the conventions of shells and of coreutils' `env`, `nice` and `timeout`."""

from __future__ import annotations

import errno

__all__ = ["CANNOT_EXECUTE", "CANNOT_SET_UP", "NOT_FOUND", "TIMED_OUT", "of_error", "of_returncode"]

TIMED_OUT = 124
CANNOT_SET_UP = 125
CANNOT_EXECUTE = 126
NOT_FOUND = 127


def of_returncode(returncode: int) -> int:
    """The program's own status, 128 and the signal where one ended it."""
    return returncode if returncode >= 0 else 128 - returncode


def of_error(error: Exception) -> int:
    """Of a command that could not be launched."""
    if getattr(error, "step", "execve") != "execve":
        return CANNOT_SET_UP
    if isinstance(error, OSError):
        return NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else CANNOT_EXECUTE
    return CANNOT_EXECUTE
