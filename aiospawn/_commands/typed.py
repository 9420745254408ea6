"""A function whose type for checkers is written elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["typed"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def typed(_signature: Callable[[], _Function]) -> Callable[[Callable[..., Any]], _Function]:
    """A decorator that leaves the function as it is; to a checker it has the type of what `_signature` would return."""
    return lambda function: function  # type: ignore[return-value]
