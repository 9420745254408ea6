"""Where a child stands, and the calls of its protocol that are due: what the table of `lifecycle` says."""

from __future__ import annotations

import asyncio
import functools
import operator
from typing import TYPE_CHECKING, Any

from aiospawn._binding.indivisible import in_one, mark

from .lifecycle import SETTLED, TRANSITIONS, Call, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lifecycle import Happening

__all__ = ["Standing", "logger"]

logger = asyncio.log.logger  # type: ignore[attr-defined]
_CALLERS: dict[Call, Callable[[Any], object]] = {
    Call.PROCESS_EXITED: operator.methodcaller("process_exited"),
    Call.CONNECTION_LOST: operator.methodcaller("connection_lost", None),
}


class Standing(asyncio.SubprocessTransport):
    """A child as its protocol knows it."""

    # No __slots__: programs read and write _proc, _returncode, _closed, _pipes, and hang attributes on transports.
    loop: asyncio.AbstractEventLoop
    resumed: Any = None
    """The calls of a protocol that `only_notes`; None of others, and at the end."""
    immediate = False
    _protocol: Any  # None at the end, as in asyncio
    _standing: tuple[State, tuple[Call, ...]] = SETTLED[State.LAUNCHING]  # and the calls that are due
    _pid: int | None = None
    _arguments: Any  # as Popen.args: a tuple, or a shell's command

    @property
    def _state(self) -> State:
        return self._standing[0]

    def _happened(self, happening: Happening) -> None:
        if self._standing[1]:
            self._make_due_calls()  # of what happened before
        transition = TRANSITIONS.get((self._standing[0], happening))
        if transition is None:  # reported twice: after an interruption, or by a program that calls _process_exited itself
            return
        state, calls = transition
        self._standing = transition if calls else SETTLED[state]
        if calls:
            self._make_due_calls()

    def _make_due_calls(self) -> None:
        """The protocol's calls, each in turn even if one raises, and once."""
        state, (call, *rest) = self._standing
        made, resumed = (state, (*rest,)) if rest else SETTLED[state], self.resumed
        try:
            if resumed is None:
                in_one(mark(self, "_standing", made), functools.partial(self._caller(call), self._protocol))
            elif call is Call.CONNECTION_MADE:
                self._log_start()
                resumed.connection_made(self)
                self._standing = made
            else:
                _CALLERS[call](resumed)
                self._standing = made
        finally:
            if self._standing[1]:
                self._make_due_calls()

    def _caller(self, call: Call) -> Callable[[Any], object]:
        if call is not Call.CONNECTION_MADE:
            return _CALLERS[call]
        self._log_start()
        return operator.methodcaller("connection_made", self)

    def _log_start(self) -> None:
        if self.loop.get_debug():
            logger.debug("process %r created: pid %s", self._program, self._pid)

    @property
    def _program(self) -> Any:
        """What may be logged: the arguments may be secret."""
        return self._arguments if isinstance(self._arguments, (str, bytes)) else self._arguments[0]

    @property
    def _executable(self) -> Any:
        """Of a launch without options."""
        return "/bin/sh" if isinstance(self._arguments, (str, bytes)) else self._arguments[0]
