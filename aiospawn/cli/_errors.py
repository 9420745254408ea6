"""What commands raise for `main` to print, in a line and without a traceback. Both are exit status 2."""

__all__ = ["CannotRunError", "UsageError"]


class CannotRunError(Exception):
    """Something that a command needs is not there."""


class UsageError(Exception):
    """The command line asks for what cannot be done: printed with the usage."""
