"""What the jobs of a map write: each job's output together, never between another's."""

from __future__ import annotations

import errno
import os

from ._errors import UsageError

__all__ = ["Printer", "Results"]

_LONGEST_NAME = 255  # bytes: NAME_MAX of Linux's file systems
_DEEPEST = 100  # arguments: far less than PATH_MAX and the recursion of os.makedirs allow
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\0": "\\0", "/": "\\_"}
_DOTS = {".": "\\.", "..": "\\.."}


class Printer:
    """Writes to standard output and error, without a buffer of its own."""

    def write(self, descriptor: int, tag: bytes, output: bytes) -> None:
        """Whole lines, or all of a job's output. `tag`: what each line begins with.

        Raises OSError, BrokenPipeError where the reader has gone.
        """
        if not output:
            return
        if tag:
            output = tag + output[:-1].replace(b"\n", b"\n" + tag) + output[-1:]
        written = os.write(descriptor, output)
        while written < len(output):
            written += os.write(descriptor, memoryview(output)[written:])


class Results:
    r"""A directory with the files `stdout`, `stderr` and `seq` of each job, as GNU parallel's `--results`.

    They are in `1/ARGUMENT`, or `1/FIRST/2/SECOND` where a job has several arguments. In these a backslash, a tab, NUL and a
    slash become `\\`, `\t`, `\0` and `\_`, and each is cut to 255 bytes. Jobs with the same arguments share a directory, in
    which the last one to end is seen.
    """

    def __init__(self, path: str, width: int | None = 1) -> None:
        """Makes the directory. `width`: how many arguments a job has at most, where that is known. Raises UsageError."""
        if width is not None and width > _DEEPEST:
            raise UsageError(f"--results: a directory for each argument, in that of the one before: {width} are too many")
        self._path = path
        try:
            os.makedirs(path, exist_ok=True)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(f"{path!r} cannot be written")
        except OSError as error:
            raise UsageError(f"--results: {error}") from None

    def has(self, arguments: tuple[str, ...], columns: tuple[str, ...] = ()) -> bool:
        """Are there results of a job with these arguments?"""
        return os.path.exists(os.path.join(self._directory(arguments, columns), "seq"))

    def _directory(self, arguments: tuple[str, ...], columns: tuple[str, ...]) -> str:
        """`columns`: their names, which take the place of their numbers."""
        named = [*columns, *map(str, range(len(columns) + 1, len(arguments) + 1))]
        places = (part for name, argument in zip(named, arguments, strict=False) for part in (_name(name), _name(argument)))
        return os.path.join(self._path, *places)

    def write(
        self, arguments: tuple[str, ...], number: int, stdout: bytes, stderr: bytes, columns: tuple[str, ...] = ()
    ) -> None:
        """Raises OSError."""
        if len(arguments) > _DEEPEST:
            raise OSError(
                errno.ENAMETOOLONG, f"--results: job {number} has {len(arguments)} arguments, a directory for each"
            )
        directory = self._directory(arguments, columns)
        os.makedirs(directory, exist_ok=True)
        for name, content in (("stdout", stdout), ("stderr", stderr), ("seq", b"%d" % number)):
            with open(os.path.join(directory, name), "wb") as file:
                file.write(content)


def _name(argument: str) -> str:
    escaped = "".join(_ESCAPES.get(character, character) for character in argument)
    return os.fsdecode(os.fsencode(_DOTS.get(escaped, escaped))[:_LONGEST_NAME])
