"""Names of options: the error for one that does not exist."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["of_function", "renamed", "unexpected", "unknown_option"]


def unknown_option(name: str, function: str = "Popen.__init__", hint: str = "") -> TypeError:
    """In subprocess's words, unless it is known whose keyword it is. Its `unknown_option` is the name, for `renamed`."""
    error = TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
    error.unknown_option = name  # type: ignore[attr-defined]
    return error


def unexpected(function: str, name: str, known: Iterable[str]) -> TypeError:
    """For a keyword that is none of those `known`: the nearest of them is in the text."""
    nearest = difflib.get_close_matches(name, [*known], 1)
    return unknown_option(name, function, f": did you mean {nearest[0]!r}?" if nearest else "")


def renamed(error: TypeError, function: str, known: Iterable[str]) -> TypeError:
    """What `unknown_option` made, for the function that was called; another error as it is."""
    name: str | None = getattr(error, "unknown_option", None)
    return error if name is None else unexpected(function, name, known)


def of_function(function: Callable[..., Any]) -> list[str]:
    """The keywords that a function has itself."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind in kinds]
