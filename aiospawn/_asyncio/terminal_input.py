"""A child's stdin where it is a pseudo terminal: bytes are typed, and so is their end."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from .terminal import Terminal
from .write_pipe import WritePipe

if TYPE_CHECKING:
    import asyncio

    from .terminal import Settings

__all__ = ["TerminalInput"]

_FIRST_LOOK_S, _LAST_LOOK_S = 0.001, 0.1


class TerminalInput(WritePipe):
    """The writing side of a pseudo terminal. `write_eof` is a control-D, after which one may write on; `close` is final."""

    _MODE = "wb"
    _within_line = False

    def write(self, data: Any) -> None:
        settings = None if self._closing else self._settings()
        super().write(data)
        if settings is not None and len(data):
            self._within_line = settings.leaves_line_open(bytes(memoryview(data).cast("B")[-1:]))

    def can_write_eof(self) -> bool:
        """False where the terminal is in canonical mode and has no end-of-file character (`stty eof undef`)."""
        settings = None if self._closing else self._settings()
        return settings is None or settings.end_of_file is not None

    def write_eof(self) -> None:
        """Types the terminal's end-of-file character (VEOF, termios(3)) as a user does; more may be written afterwards.

        In canonical mode it ends what the child reads now, and is typed twice within a line. Otherwise it is a character for
        the program to read, 0x04 where the terminal has none. Raises NotImplementedError where `can_write_eof` is false.
        """
        settings = None if self._closing else self._settings()
        if settings is None:
            return
        if settings.end_of_file is None:
            raise NotImplementedError("the terminal is in canonical mode and has no end-of-file character (VEOF)")
        self.write(settings.end_of_file * (2 if settings.canonical and self._within_line else 1))

    def _settings(self) -> Settings | None:
        try:
            return self._terminal.settings()
        except OSError:  # the child is reaped
            return None

    @property
    def _terminal(self) -> Terminal:
        return Terminal(self._owner.native, self._owner.token)

    def _finish(self) -> None:
        owner = self._owner
        if not self._ended and not owner.native.dead and not owner.loop.is_closed():
            _EndedInput(owner.loop, self._terminal).look()
        super()._finish()


class _EndedInput:
    """Types the end of an input that is closed, as often as somebody reads on, until the child is reaped.

    Only where nothing is left to read: what is typed ahead would be another character after a switch of the mode. In
    canonical mode each read takes the end away, as does a program that discards what was typed ahead, as for a password.
    Otherwise one cannot know whose read took it, nor whether a line editor wants it again. What is no line editor takes it
    for data, so it is typed less often. A shell that has just read a command switches the mode for it, and the command would
    read the character: so it is typed only when nothing was unread at the look before, either, and the shell waits.
    Nothing reports a read or a new mode, so it looks, soon, and then ever less often.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, terminal: Terminal) -> None:
        self._loop = loop
        self._terminal = terminal
        self._context = contextvars.Context()  # the context of the closing task need not live as long as the child
        self._pause = _FIRST_LOOK_S
        self._looked = False  # was nothing unread at the last look, outside canonical mode?

    def look(self) -> None:
        try:
            self._type_if_due()
        except BlockingIOError:
            pass
        except OSError:  # the child is reaped
            return
        self._loop.call_later(self._pause, self.look, context=self._context)
        self._pause = min(2 * self._pause, _LAST_LOOK_S)

    def _type_if_due(self) -> None:
        looked, self._looked = self._looked, False
        if self._terminal.has_unread_input():
            return
        runs = self._terminal.foreground_runs()
        settings = self._terminal.settings()  # after that: out of canonical mode, it waits for input
        if settings.end_of_file is None:
            return
        if settings.canonical:
            self._terminal.type(settings.end_of_file)
            self._pause = _FIRST_LOOK_S
        elif looked and not runs:
            self._terminal.type(settings.end_of_file)
        else:
            self._looked = True
