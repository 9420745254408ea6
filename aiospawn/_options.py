"""Keyword arguments of a launch, checked: what can be refused without making anything is refused here.

The options and their defaults are `subprocess.Popen`'s; so are the exceptions, word for word where the stdlib promises
nothing else (https://docs.python.org/3/library/subprocess.html#popen-constructor).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from . import _errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Options", "Path", "refuse_text", "validated"]

Path: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"


class Options(NamedTuple):
    """How the child is set up, besides its standard streams. Built by `validated`."""

    executable: Path | None = None
    preexec_fn: Callable[[], Any] | None = None
    close_fds: bool = True
    cwd: Path | None = None
    env: Mapping[Any, Any] | None = None
    startupinfo: Any = None
    creationflags: int = 0
    restore_signals: bool = True
    start_new_session: bool = False
    pass_fds: Sequence[int] = ()
    user: str | int | None = None
    group: str | int | None = None
    extra_groups: Iterable[str | int] | None = None
    umask: int = -1
    pipesize: int = -1
    process_group: int | None = None


_DEFAULTS = Options()
_ID_LIMIT = 2**32 - 1


def refuse_text(universal_newlines: Any, bufsize: Any, encoding: Any, errors: Any, text: Any) -> None:
    """Raises ValueError for text mode and buffering, which asyncio's streams do not have."""
    if universal_newlines:
        raise ValueError("universal_newlines must be False")
    if bufsize != 0:
        raise ValueError("bufsize must be 0")
    if text:
        raise ValueError("text must be False")
    if encoding is not None:
        raise ValueError("encoding must be None")
    if errors is not None:
        raise ValueError("errors must be None")


def validated(keywords: dict[str, Any]) -> Options:
    """The options of a launch, with user and group names turned into ids.

    Raises TypeError for an unknown option or a wrong type, ValueError for a wrong value, KeyError for an unknown user or
    group, OSError (EBADF) for a closed descriptor.
    """
    if not keywords:
        return _DEFAULTS
    unknown = keywords.keys() - _DEFAULTS._fields
    if unknown:
        name = min(unknown)
        raise TypeError(f"Popen.__init__() got an unexpected keyword argument {name!r}")
    checked = {name: _CHECKS[name](value) for name, value in keywords.items() if name in _CHECKS}
    return Options(**{**keywords, **checked})


def _windows_only(name: str, unset: object) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value != unset:
            raise ValueError(f"{name} is only supported on Windows platforms")
        return value

    return check


def _integer(name: str, lowest: int, highest: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int):
            raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
        if not lowest <= value <= highest:
            raise ValueError(f"{name} must be between {lowest} and {highest}, got {value}")
        return value

    return check


def _path(value: Any) -> Any:
    return None if value is None else os.fspath(value) if not isinstance(value, (str, bytes)) else value


def _descriptors(value: Any) -> tuple[int, ...]:
    """Each must be open: the child could only tell later."""
    descriptors = tuple(sorted({int(fd) for fd in value}))
    for fd in descriptors:
        if fd < 0:
            raise ValueError("bad value(s) in fds_to_keep")
        try:
            os.fstat(fd)
        except OSError:
            raise _errors.bad_descriptor("pass_fds", fd) from None
    return descriptors


def _user(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str):
        import pwd

        return pwd.getpwnam(value).pw_uid
    if not isinstance(value, int):
        raise TypeError("User must be a string or an integer")
    return _identity("User", value)


def _group_id(value: Any, what: str) -> int:
    if isinstance(value, str):
        import grp

        return grp.getgrnam(value).gr_gid
    if not isinstance(value, int):
        raise TypeError(f"{what} must be a string or an integer, not {type(value)}")
    return _identity("Group", value)


def _group(value: Any) -> int | None:
    return None if value is None else _group_id(value, "Group")


def _identity(what: str, value: int) -> int:
    if value < 0:
        raise ValueError(f"{what} ID cannot be negative, got {value}")
    if value >= _ID_LIMIT:  # (uid_t)-1 means "leave as it is" to the kernel
        raise ValueError(f"{what} ID must be below {_ID_LIMIT}, got {value}")
    return value


def _extra_groups(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        raise TypeError("Groups must be a list, not a string")
    return tuple(_group_id(item, "Items in extra_groups") for item in value)


def _process_group(value: Any) -> int | None:
    if value is None or value == -1:
        return None
    return _integer("process_group", 0, 2**31 - 1)(value)


def _pipesize(value: Any) -> int:
    return value if value == -1 else _integer("pipesize", 0, 2**31 - 1)(value)


def _umask(value: Any) -> int:
    return value if value == -1 else _integer("umask", 0, 0o7777)(value)


def _preexec_fn(value: Any) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"preexec_fn must be callable, not {type(value).__name__}")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "preexec_fn": _preexec_fn,
    "startupinfo": _windows_only("startupinfo", None),
    "creationflags": _windows_only("creationflags", 0),
    "executable": _path,
    "cwd": _path,
    "pass_fds": _descriptors,
    "user": _user,
    "group": _group,
    "extra_groups": _extra_groups,
    "umask": _umask,
    "pipesize": _pipesize,
    "process_group": _process_group,
}
