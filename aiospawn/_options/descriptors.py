"""Descriptors as values of options: open ones of this process, and numbers of the child."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from types import NoneType
from typing import Any

from aiospawn import _errors

from . import values

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
    """A descriptor, or what has a `fileno()`. It must be open now: in the child the error would come late.

    Raises OSError (EBADF) for one that is not, OverflowError for a number that none can have, and what `fileno()` raises.
    """
    number = value if isinstance(value, int) else value.fileno()
    fd = int(number) if isinstance(number, int) else values.whole(f"{name}: fileno() of {value!r}", number)
    if not -values.INT_MAX - 1 <= fd <= values.INT_MAX:
        raise OverflowError(f"{name}={value!r}: a descriptor's number is an int of C's")
    if not is_open(fd):
        raise _errors.bad_descriptor(name, value)
    return fd


def own_descriptor(name: str, value: Any) -> int:
    """For an option that the stdlib does not have: the error for a wrong type is ours."""
    if isinstance(value, bool) or not (isinstance(value, int) or hasattr(value, "fileno")):
        raise TypeError(f"{name} must be a descriptor or a file, not {value!r}")
    return descriptor(name, value)


def optional(name: str) -> Callable[[Any], int | None]:
    return lambda value: None if value is None else own_descriptor(name, value)


def _is_descriptor(value: Any) -> bool:
    """Rather than a path: an object that can be both is the path that the stdlib takes it for."""
    if isinstance(value, (str, bytes, bool, NoneType, os.PathLike)):
        return False
    return isinstance(value, int) or hasattr(value, "fileno")


def path_or_descriptor(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if _is_descriptor(value):
            return descriptor(name, value)
        if value is not None:
            os.fspath(value)  # raises the stdlib's TypeError
        return value  # as given: the errors' filename

    return check


def own_path_or_descriptor(name: str) -> Callable[[Any], Any]:
    check_path = values.own_path(name)

    def check(value: Any) -> Any:
        return own_descriptor(name, value) if _is_descriptor(value) else check_path(value)

    return check


def pass_fds(value: Any) -> tuple[int, ...]:
    if not value:  # None too, as where CPython launches by posix_spawn
        return ()
    numbers = tuple(sorted({int(fd) for fd in value}))
    for fd in numbers:
        if not 0 <= fd <= values.INT_MAX:
            raise ValueError("bad value(s) in fds_to_keep")
        if not is_open(fd):
            raise _errors.bad_descriptor("pass_fds", fd)
    return numbers


def _child_number(name: str, value: Any) -> int:
    number = values.number(f"a descriptor in {name}", value, 0, values.INT_MAX)
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and number >= soft:
        raise ValueError(f"{name}[{number}]: descriptors are below {soft}, the soft RLIMIT_NOFILE")
    return number


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
    for key, specification in value.items():
        number = _child_number("open_fds", key)
        if not isinstance(specification, tuple) or len(specification) not in (2, 3):
            raise TypeError(f"open_fds[{number}] must be (path, flags) or (path, flags, mode), got {specification!r}")
        path, *numbers = specification if len(specification) == 3 else (*specification, 0o666)
        flags = values.number(f"open_fds[{number}] flags", numbers[0], 0, values.INT_MAX)
        mode = values.number(f"open_fds[{number}] mode", numbers[1], 0, 0o7777)
        opened[number] = (values.terminated(f"open_fds[{number}]", path), flags & ~os.O_CLOEXEC, mode)
    return opened


def setns(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"setns must be a list of descriptors, not {value!r}")
    return tuple(own_descriptor("setns", item) for item in value)
