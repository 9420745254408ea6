"""Kinds of values that several options have: numbers, pairs, flags, paths."""

from __future__ import annotations

import inspect
import operator
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ENCODING",
    "ERRORS",
    "INT_MAX",
    "at_least",
    "callback",
    "encoded",
    "flag",
    "integer",
    "number",
    "own_path",
    "pair",
    "seconds",
    "terminated",
    "whole",
]

INT_MAX = 2**31 - 1
ENCODING, ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


def encoded(value: Any) -> bytes:
    """`os.fsencode`, with a short way for what nearly everything is."""
    return value.encode(ENCODING, ERRORS) if type(value) is str else os.fsencode(value)


def whole(name: str, value: Any) -> int:
    """An integer, or what can stand for one (`__index__`), as CPython's own C code takes it; but a bool is a mistake."""
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}: {value!r}")
    return operator.index(value)


def number(name: str, value: Any, lowest: int, highest: int) -> int:
    given = whole(name, value)
    if not lowest <= given <= highest:
        raise ValueError(f"{name} must be between {lowest} and {highest}, got {given}")
    return given


def at_least(name: str, value: Any, lowest: int) -> int:
    given = whole(name, value)
    if given < lowest:
        raise ValueError(f"{name} must be {lowest} or more, got {given}")
    return given


def integer(
    name: str, lowest: int, highest: int, *, unset: int | None = None, optional: bool = True
) -> Callable[[Any], int | None]:
    def check(value: Any) -> int | None:
        if optional and value is None:
            return unset
        given = whole(name, value)
        return given if given == unset else number(name, given, lowest, highest)

    return check


def pair(name: str, parts: str, ranges: tuple[tuple[int, int], tuple[int, int]]) -> Callable[[Any], tuple[int, int] | None]:
    def check(value: Any) -> tuple[int, int] | None:
        if value is None:
            return None
        if not isinstance(value, tuple) or len(value) != 2:
            raise TypeError(f"{name} must be {parts}, got {value!r}")
        first, second = (number(f"{name} {parts}", part, *limits) for part, limits in zip(value, ranges, strict=True))
        return first, second

    return check


def flag(name: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, (bool, int)):
            raise TypeError(f"{name} must be a bool, not {type(value).__name__}: {value!r}")
        return bool(value)

    return check


def callback(name: str, value: Any) -> Any:
    if value is None:
        return None
    if not callable(value):
        raise TypeError(f"{name} must be callable or None, got {value!r}")
    if inspect.iscoroutinefunction(value):
        raise TypeError(f"{name} must not be a coroutine function, got {value!r}")
    return value


def own_path(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value is None:
            return None
        try:
            path = os.fspath(value)
        except TypeError:
            raise TypeError(f"{name} must be a path, not {value!r}") from None
        if b"\0" in os.fsencode(path):
            raise ValueError(f"{name}: embedded null byte in {value!r}")
        return path

    return check


def terminated(name: str, path: Any) -> bytes:
    return os.fsencode(own_path(name)(path)) + b"\0"


def seconds(name: str, value: Any, *, optional: bool = False) -> float | None:
    """Checks a number of seconds, 0 or more. Raises TypeError and ValueError; `optional`: None is one too."""
    if value is None and optional:
        return None
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds{' or None' if optional else ''}, got {value!r}")
    if not value >= 0:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return float(value)
