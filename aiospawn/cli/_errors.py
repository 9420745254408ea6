"""What commands raise for a command line that asks for what cannot be."""

__all__ = ["UsageError"]


class UsageError(Exception):
    """Told in a line with the usage, exit status 2."""
