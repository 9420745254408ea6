"""Several calls as one step, for state that a signal's handler must not find half changed.

A handler written in Python runs between two bytecodes, and what it raises (KeyboardInterrupt by default) is raised there. So
it may strike anywhere in a function of Python, but not between two calls that C code makes: a deque that extends itself by
`map` runs no bytecode of ours.

The handlers of events rest on that. Each is resumable: interrupted, it is run again from its start, and skips what was done.
For that each step either may be done twice, or is done indivisibly with the mark that records it.
"""

from __future__ import annotations

import collections
import functools
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["exhaust", "in_one", "mark"]

exhaust: Callable[[Iterable[object]], object] = functools.partial(collections.deque, maxlen=0)
"""Makes the calls of an iterator such as `map`."""


def in_one(*calls: Callable[[], object]) -> None:
    """Makes all of the calls, or those up to the one that raises. A handler can only run in one that is Python's."""
    exhaust(map(operator.call, calls))


def mark(thing: Any, name: str, value: object) -> Callable[[], None]:
    """An assignment to an attribute, as one of the calls."""
    return functools.partial(setattr, thing, name, value)
