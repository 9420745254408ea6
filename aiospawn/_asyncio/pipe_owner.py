"""A child as the owner of its pipes: made when they are asked for, paused, lost."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from aiospawn._binding.library import CHILD_READS, NO_PIPE, PTY

from .lifecycle import SETTLED, Happening, State
from .read_pipe import ReadPipe
from .standing import Standing
from .stream_protocol import StreamProtocol
from .terminal_input import TerminalInput
from .unread_output import UNREAD_MOST, keep_unread, make_streams
from .write_pipe import WritePipe

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from aiospawn._binding.native import Native
    from aiospawn._request.descriptor_plan import Plan

    from .reactor import Reactor
    from .unread_output import Unread

__all__ = ["PipeOwner"]

_RUNNING, _UNPIPED = SETTLED[State.RUNNING], SETTLED[State.UNPIPED]


class PipeOwner(Standing):
    """What a child has to do with its pipes."""

    # What is here is a child's own once it is another.
    token = 0
    native: Native
    context: contextvars.Context
    _reactor: Reactor
    _open_pipes = 0  # bit n: stream n
    unread: Unread | None = None
    """Outputs that nobody has asked for; None once their streams are made."""
    unread_most = UNREAD_MOST

    def _make_pipes(self, open_pipes: int, plan: Plan) -> None:
        self._open_pipes = open_pipes if plan.pipes[0] != PTY else 0b11
        # A program may look at the streams of a protocol that is not ours; and our own has been asked for an input.
        if self.immediate and not open_pipes & 1 and type(self._protocol) is StreamProtocol:
            keep_unread(self, self._protocol)
        else:
            for stream, end in _ends(plan.pipes):
                self._pipes[stream] = end(self, stream)

    @functools.cached_property
    def _pipes(self) -> dict[int, ReadPipe | WritePipe]:
        """Of those that are asked for their pipes: programs too, as of asyncio's."""
        make_streams(self)
        return self.__dict__.setdefault("_pipes", {})  # type: ignore[no-any-return]

    def outgrown(self, stream: int) -> None:
        """More than `unread_most` of an output is kept."""
        make_streams(self)
        if self.resumed is not None:
            self.resumed.data_taken(stream)

    def forget_pipes(self) -> None:
        """There is no child that has them. They refer to this, and would wait for the garbage collector."""
        self.unread = None
        for pipe in self._pipes.values():
            pipe.forget()
        self._pipes.clear()
        self._open_pipes = 0

    def pipe_lost(self, stream: int) -> None:
        """A pipe has reported its end. The second time nothing happens."""
        self._open_pipes &= ~(1 << stream)
        if self._open_pipes:
            self.rest_if_paused()
            return
        if self._standing is _RUNNING:  # as below: no call is due
            self._standing = _UNPIPED
            return
        try:
            self._happened(Happening.UNPIPED)
        finally:
            self._finish_if_over()

    def pipe_resumed(self) -> None:
        """One is read again."""
        self._reactor.attend(self)

    def rest_if_paused(self) -> None:
        """Nothing comes any more of a child that has ended with all that is open paused: it need not be held."""
        if self._state is not State.EXITED or self.unread is not None:
            return
        open_now = [pipe for stream, pipe in self._pipes.items() if self._open_pipes & 1 << stream]
        if open_now and all(pipe.is_paused for pipe in open_now):
            self._reactor.rest(self.token)

    def soon(self, callback: Callable[[], None]) -> None:
        """For its pipes: makes a resumable callback soon, again until it returns."""
        self._reactor.soon(callback, self.context)

    def on_event(self, number: int, kind: int, stream: int, value: int, extra: int, payload: Any) -> None:
        """As `Target` has it."""
        raise NotImplementedError

    def _finish_if_over(self) -> None:
        raise NotImplementedError


@functools.cache
def _ends(pipes: tuple[int, int, int]) -> tuple[tuple[int, Callable[[PipeOwner, int], ReadPipe | WritePipe]], ...]:
    """What is made for each stream that is a pipe."""
    if pipes[0] == PTY:
        return (0, TerminalInput), (1, ReadPipe)
    return tuple((n, WritePipe if kind == CHILD_READS else ReadPipe) for n, kind in enumerate(pipes) if kind != NO_PIPE)
