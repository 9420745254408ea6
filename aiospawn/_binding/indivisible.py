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
    from typing import TypeVar

    _Method = TypeVar("_Method", bound=Callable[[Any], None])

__all__ = ["exhaust", "in_one", "made_again", "mark"]

exhaust: Callable[[Iterable[object]], object] = functools.partial(collections.deque, maxlen=0)
"""Makes the calls of an iterator such as `map`."""


def in_one(*calls: Callable[[], object]) -> None:
    """Makes all of the calls, or those up to the one that raises. A handler can only run in one that is Python's."""
    exhaust(map(operator.call, calls))


def mark(thing: Any, name: str, value: object) -> Callable[[], None]:
    """An assignment to an attribute, as one of the calls."""
    return functools.partial(setattr, thing, name, value)


def made_again(method: _Method) -> _Method:
    """A resumable method that its caller makes once: interrupted, it is made again before the interruption propagates."""

    @functools.wraps(method)
    def made(self: Any) -> None:
        try:
            method(self)
        except BaseException:  # a signal's handler raised
            method(self)
            raise

    return made  # type: ignore[return-value]
