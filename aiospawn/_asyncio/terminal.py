"""Our side of a child's pseudo terminal: its size, its settings, and the character that ends the input.

What is written here is typed there, and the line discipline decides what comes of it (termios(3), the kernel's n_tty.c):

 - In canonical mode the child reads whole lines. VEOF ends a line without being in it, so that an empty one is an
   end-of-file; within a line it is typed twice. It is the end for one read: the next one waits for a line again.
 - Otherwise VEOF is a character, and a line editor (readline, libedit, Python's) takes it for the end on an empty line.
 - A switch of the mode makes characters of what was typed before and is not read yet: of VEOF a NUL.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

with contextlib.suppress(ImportError):  # not on Windows
    import termios

if TYPE_CHECKING:
    from aiospawn._binding.native import Native

__all__ = ["Settings", "Terminal"]

_UNDEFINED = b"\0"  # _POSIX_VDISABLE on Linux
_CONTROL_D = b"\x04"


class Settings(NamedTuple):
    """What of tcgetattr(3) says how input is read."""

    iflag: int
    lflag: int
    characters: list[bytes]

    @property
    def canonical(self) -> bool:
        return bool(self.lflag & termios.ICANON)

    @property
    def echo(self) -> bool:
        return bool(self.lflag & termios.ECHO)

    @property
    def interrupt(self) -> bytes:
        """VINTR, or a control-C."""
        given = self.characters[termios.VINTR]
        return b"\x03" if given == _UNDEFINED else given

    @property
    def end_of_file(self) -> bytes | None:
        """VEOF; None where nothing ends the input: in canonical mode after `stty eof undef`."""
        end = self.characters[termios.VEOF]
        if end != _UNDEFINED:
            return end
        return None if self.canonical else _CONTROL_D

    def leaves_line_open(self, last: bytes) -> bool:
        """Does the line go on after this character? One that erases counts as if it erased nothing."""
        if not self.canonical:
            return False
        ending = [termios.VEOF, termios.VEOL, termios.VEOL2, termios.VKILL]
        if self.lflag & termios.ISIG and not self.lflag & termios.NOFLSH:
            ending += [termios.VINTR, termios.VQUIT, termios.VSUSP]
        is_newline = last == b"\n" or (last == b"\r" and self.iflag & termios.ICRNL)
        return not (is_newline or last in [self.characters[place] for place in ending])


class Terminal(NamedTuple):
    """A child's. Its methods raise OSError once the child is reaped, or the pipe objects are closed."""

    native: Native
    token: int

    def settings(self) -> Settings:
        """As they are now; the child may change them at any time."""
        try:
            iflag, _, _, lflag, _, _, characters = termios.tcgetattr(self.descriptor())
        except termios.error as error:
            raise OSError(*error.args) from None
        # VMIN and VTIME are numbers outside canonical mode.
        return Settings(iflag, lflag, [each if isinstance(each, bytes) else bytes([each]) for each in characters])

    def resize(self, rows: int, columns: int) -> None:
        """The foreground group gets SIGWINCH if that is a new size."""
        termios.tcsetwinsize(self.descriptor(), (rows, columns))

    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = termios.tcgetwinsize(self.descriptor())
        return rows, columns

    def set_echo(self, on: bool) -> None:
        """Is what is typed written back?"""
        attributes: list[Any] = termios.tcgetattr(self.descriptor())
        attributes[3] = attributes[3] | termios.ECHO if on else attributes[3] & ~termios.ECHO
        termios.tcsetattr(self.descriptor(), termios.TCSANOW, attributes)

    def foreground_runs(self) -> bool:
        """Is the leader of the process group that may read on a processor, or about to be? False if that is unknown."""
        try:
            with open(f"/proc/{os.tcgetpgrp(self.descriptor())}/stat", "rb") as stat:
                return stat.read().rpartition(b") ")[2][:1] in (b"R", b"D")
        except (FileNotFoundError, ProcessLookupError):  # it is gone, or was when its file was open
            return False

    def type(self, text: bytes) -> None:
        """Raises BlockingIOError where there is no space for it."""
        os.write(self.descriptor(), text)

    def has_unread_input(self) -> bool:
        """Would a read of the child return at once?"""
        return self.native.has_unread_input(self.token, self._stream())

    def descriptor(self) -> int:
        """Of the master side; the child's transport closes it."""
        return self.native.stream(self.token, self._stream())

    def _stream(self) -> int:
        """Both streams are the same terminal. A closed one keeps its descriptor as long as the child lives."""
        with contextlib.suppress(OSError):
            self.native.stream(self.token, 0)
            return 0
        return 1
