"""Kinds of values that several options have: numbers, pairs, flags, paths."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INT_MAX", "callback", "flag", "integer", "number", "own_path", "pair", "terminated"]

INT_MAX = 2**31 - 1


def number(name: str, value: Any, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}: {value!r}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be between {lowest} and {highest}, got {value}")
    return value


def integer(
    name: str, lowest: int, highest: int, *, unset: int | None = None, optional: bool = True
) -> Callable[[Any], int | None]:
    def check(value: Any) -> int | None:
        if (optional and value is None) or (unset is not None and value == unset):
            return unset
        return number(name, value, lowest, highest)

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
