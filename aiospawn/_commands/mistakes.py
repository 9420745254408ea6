"""What is wrong with a command that could not be compiled: the argument, variable or stream, by its name and value.

The exceptions of `create_subprocess_exec` are the stdlib's, which name neither. Here no code expects those, and the person
who reads the text has not put the command together. It is searched for only when a launch has failed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["named"]

_TEXT = (str, bytes, os.PathLike)


def named(error: Exception, argv: Sequence[Any], keywords: Mapping[str, Any], streams: Sequence[Any]) -> Exception:
    """The exception that says what was meant by `error`, a TypeError, ValueError or AttributeError; or that itself."""
    for mistake in (
        _of_arguments(argv),
        _of_environment(keywords.get("env")),
        _of_cwd(keywords.get("cwd")),
        _of_streams(streams),
    ):
        if mistake is not None:
            return mistake
    return error


def _of_arguments(argv: Iterable[Any]) -> Exception | None:
    for number, argument in enumerate(argv):
        if not isinstance(argument, _TEXT):
            unpacked = f": unpack it, *{argument!r}" if isinstance(argument, (list, tuple)) else ""
            return TypeError(f"args[{number}] must be a str, bytes or a path, got {argument!r}{unpacked}")
        if b"\0" in os.fsencode(argument):
            return ValueError(f"args[{number}]: embedded null byte in {argument!r}")
    return None


def _of_environment(env: Any) -> Exception | None:
    """Without values of the right type, which may be secrets."""
    for key, value in env.items() if hasattr(env, "items") else ():
        if not isinstance(key, (str, bytes)):
            return TypeError(f"env: a name must be a str or bytes, got {key!r}")
        if not isinstance(value, _TEXT):
            return TypeError(f"env[{key!r}] must be a str, bytes or a path, got {value!r}")
        name = os.fsencode(key)
        if b"\0" in name + os.fsencode(value):
            return ValueError(f"env[{key!r}]: embedded null byte")
        if b"=" in name or not name:
            return ValueError(f"env: illegal environment variable name {key!r}")
    return None


def _of_cwd(cwd: Any) -> Exception | None:
    if cwd is None or isinstance(cwd, (*_TEXT, int)) or hasattr(cwd, "fileno"):
        return (
            ValueError(f"cwd: embedded null byte in {cwd!r}")
            if isinstance(cwd, _TEXT) and b"\0" in os.fsencode(cwd)
            else None
        )
    return TypeError(f"cwd must be a path or a directory's descriptor, got {cwd!r}")


def _of_streams(streams: Sequence[Any]) -> Exception | None:
    for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
        if isinstance(stream, _TEXT):
            flags = "os.O_RDONLY" if name == "stdin" else "os.O_WRONLY | os.O_CREAT | os.O_TRUNC"
            number = ("stdin", "stdout", "stderr").index(name)
            return TypeError(
                f"{name} must be a file, a descriptor, PIPE or DEVNULL, got {stream!r}: "
                f"open() it, or pass open_fds={{{number}: ({stream!r}, {flags})}}"
            )
        if stream is not None and not isinstance(stream, int) and not hasattr(stream, "fileno"):
            return TypeError(f"{name} must be a file, a descriptor, PIPE or DEVNULL, got {stream!r}")
    return None
