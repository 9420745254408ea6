"""The environment of a child: the process's own, or a mapping that was given."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from aiospawn._options.values import encoded

from .library import read_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["given", "inherited", "own_search_path", "search_path"]

_Environ = type(os.environ)


def inherited() -> tuple[int, bytes]:
    """How many variables the process's own has, and the NUL-terminated strings."""
    read: tuple[int, bytes] = read_environment()
    return read


def given(env: Mapping[Any, Any], *, by_path: bool) -> tuple[int, bytes]:
    """The same of a mapping. `by_path`: for a program with a slash in its name.

    Raises TypeError for what is no str, bytes or path, ValueError for a NUL byte, "=" in a name and, from CPython 3.13 on,
    an empty name: from there on most programs with a slash are launched by `os.posix_spawn`, which refuses it.
    """
    refuses_empty_names = by_path and sys.version_info >= (3, 13)
    entries = []
    for key, value in env.items():
        name = encoded(key)
        if b"=" in name or (refuses_empty_names and not name):
            raise ValueError("illegal environment variable name")
        entries.append(b"%b=%b\0" % (name, encoded(value)))
    joined = b"".join(entries)
    if joined.count(b"\0") != len(entries):
        raise ValueError("embedded null byte")
    return len(entries), joined


def own_search_path() -> Any:
    """`os.environ`'s PATH, None if there is none; of a mapping that a program has put in its place, its str."""
    mapping = os.environ
    if type(mapping) is _Environ:
        return mapping._data.get(b"PATH")  # type: ignore[attr-defined]  # noqa: SLF001 - else four calls, which decode and encode
    return mapping.get("PATH")


def search_path(env: Mapping[Any, Any]) -> Any:
    """The mapping's PATH as `os.get_exec_path` finds it, None if there is none.

    A mapping may refuse names that are not of its type (`os.environ`, `os.environb`) by TypeError. Without
    `os.get_exec_path`, which changes the warning filters of all threads meanwhile; where there are BytesWarnings it has to.
    Raises ValueError for one as str and one as bytes, and what else the mapping raises.
    """
    if sys.flags.bytes_warning:
        return os.pathsep.join(os.get_exec_path(env))
    try:
        path = env.get("PATH")
    except TypeError:
        path = None
    try:
        as_bytes = env[b"PATH"]
    except (KeyError, TypeError):
        return path
    if path is not None:
        raise ValueError("env cannot contain 'PATH' and b'PATH' keys")
    return as_bytes
