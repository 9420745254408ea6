"""Names of options: what is said of one that does not exist."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["UnknownOptionError", "of_function", "unexpected"]


class UnknownOptionError(TypeError):
    """In subprocess's words; a function that knows its own name says that instead (`unexpected`)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Popen.__init__() got an unexpected keyword argument {name!r}")
        self.name = name


def unexpected(function: str, name: str, known: Iterable[str]) -> TypeError:
    """For a keyword that is none of those `known`: the nearest of them is in the text."""
    nearest = difflib.get_close_matches(name, [*known], 1)
    hint = f": did you mean {nearest[0]!r}?" if nearest else ""
    return TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def of_function(function: Callable[..., Any]) -> list[str]:
    """The keywords that a function has itself."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind in kinds]
