"""Descriptors as values of options: open ones of this process, and numbers of the child."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from . import _errors, _values

__all__ = [
    "descriptor",
    "fds",
    "is_open",
    "open_fds",
    "optional",
    "own_descriptor",
    "own_path_or_descriptor",
    "pass_fds",
    "path_or_descriptor",
    "setns",
]


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except (OSError, OverflowError):  # or a number that no descriptor can have
        return False
    return True


def descriptor(name: str, value: Any) -> int:
    """A descriptor, or what has a `fileno()`. Open now: the child could only tell later."""
    fd = value if isinstance(value, int) else value.fileno()
    if not is_open(fd):
        raise _errors.bad_descriptor(name, value)
    return int(fd)


def own_descriptor(name: str, value: Any) -> int:
    """For an option that the stdlib does not have: the wrong type is told in our words."""
    if isinstance(value, bool) or not (isinstance(value, int) or hasattr(value, "fileno")):
        raise TypeError(f"{name} must be a descriptor or a file, not {value!r}")
    return descriptor(name, value)


def optional(name: str) -> Callable[[Any], int | None]:
    return lambda value: None if value is None else own_descriptor(name, value)


def path_or_descriptor(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        is_descriptor = isinstance(value, int) or hasattr(value, "fileno")
        if is_descriptor:
            return descriptor(name, value)
        if value is not None:
            os.fspath(value)  # raises the stdlib's TypeError
        return value  # as given: the errors' filename

    return check


def own_path_or_descriptor(name: str) -> Callable[[Any], Any]:
    check_path = _values.own_path(name)

    def check(value: Any) -> Any:
        is_descriptor = isinstance(value, int) or hasattr(value, "fileno")
        return own_descriptor(name, value) if is_descriptor else check_path(value)

    return check


def pass_fds(value: Any) -> tuple[int, ...]:
    numbers = tuple(sorted({int(fd) for fd in value}))
    for fd in numbers:
        if not 0 <= fd <= _values.INT_MAX:
            raise ValueError("bad value(s) in fds_to_keep")
        if not is_open(fd):
            raise _errors.bad_descriptor("pass_fds", fd)
    return numbers


def _child_number(name: str, value: Any) -> int:
    _values.number(f"a descriptor in {name}", value, 0, _values.INT_MAX)
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and value >= soft:
        raise ValueError(f"{name}[{value}]: descriptors are below {soft}, the soft RLIMIT_NOFILE")
    return int(value)


def fds(value: Any) -> dict[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"fds must map child descriptors to descriptors or files, not {value!r}")
    return {_child_number("fds", number): own_descriptor(f"fds[{number}]", source) for number, source in value.items()}


def open_fds(value: Any) -> dict[int, tuple[bytes, int, int]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"open_fds must map child descriptors to (path, flags, mode), not {value!r}")
    opened = {}
    for number, specification in value.items():
        _child_number("open_fds", number)
        if not isinstance(specification, tuple) or len(specification) not in (2, 3):
            raise TypeError(f"open_fds[{number}] must be (path, flags) or (path, flags, mode), got {specification!r}")
        path, flags, mode = specification if len(specification) == 3 else (*specification, 0o666)
        _values.number(f"open_fds[{number}] flags", flags, 0, _values.INT_MAX)
        _values.number(f"open_fds[{number}] mode", mode, 0, 0o7777)
        opened[number] = (_values.terminated(f"open_fds[{number}]", path), flags & ~os.O_CLOEXEC, mode)
    return opened


def setns(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"setns must be a list of descriptors, not {value!r}")
    return tuple(own_descriptor("setns", item) for item in value)
