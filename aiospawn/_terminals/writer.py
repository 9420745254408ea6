"""What is typed at a terminal, and the logs of a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable  # noqa: TC003 - typing.get_type_hints(TerminalSession) looks here for it
from typing import TYPE_CHECKING, Any, AnyStr, Protocol, TypeVar

from .reader import TerminalReader

if TYPE_CHECKING:
    from aiospawn._asyncio.process import Process
    from aiospawn._asyncio.terminal import Settings

__all__ = ["Log", "TerminalWriter"]

_CONTROLS = {"@": 0, "`": 0, "[": 27, "{": 27, "\\": 28, "|": 28, "]": 29, "}": 29, "^": 30, "~": 30, "_": 31, "?": 127}

_Written_contra = TypeVar("_Written_contra", str, bytes, contravariant=True)


class Log(Protocol[_Written_contra]):
    """A file that is written to."""

    def write(self, text: _Written_contra, /) -> object: ...


class TerminalWriter(TerminalReader[AnyStr]):
    """The half of a TerminalSession that types."""

    def __init__(self, encoding: str | None, errors: str, *, strip_ansi: bool) -> None:
        super().__init__(encoding, errors, strip_ansi=strip_ansi)
        self._encoding = encoding
        self.delaybeforesend: float | None = None
        """Seconds before each `send`."""
        self.logfile: Log[AnyStr] | None = None
        """What is read and sent is written to this; the two below get one of both."""
        self.logfile_read: Log[AnyStr] | None = None
        self.logfile_send: Log[AnyStr] | None = None

    @property
    def process(self) -> Process:
        raise NotImplementedError

    def _settings(self) -> Settings:
        raise NotImplementedError

    async def send(self, text: AnyStr) -> int:
        """Types text.

        Args:
            text: str or bytes, as the session's output is. In canonical mode a line has 4095 bytes at most (termios(3)).

        Returns:
            How many bytes that were.

        Raises:
            TypeError: The other type.
        """
        if not isinstance(text, type(self._empty)):
            raise TypeError(f"send() needs a {type(self._empty).__name__}, got {text!r}")
        if self.delaybeforesend is not None:
            await asyncio.sleep(self.delaybeforesend)
        for log in (self.logfile, self.logfile_send):
            _write(log, text)
        data = text.encode(self._encoding or "") if isinstance(text, str) else text
        await self._type(data)
        return len(data)

    async def sendline(self, text: AnyStr | None = None) -> int:
        """Types text and a newline.

        Args:
            text: As that of `send`; None: nothing before the newline.

        Returns:
            How many bytes that were.
        """
        newline: Any = "\n" if isinstance(self._empty, str) else b"\n"
        return await self.send((self._empty if text is None else text) + newline)

    async def write(self, text: AnyStr) -> None:
        """As `send`, without a result: for functions that write to a file.

        Args:
            text: As that of `send`.
        """
        await self.send(text)

    async def writelines(self, lines: Iterable[AnyStr]) -> None:
        """Types each as `send` does; no newlines are added.

        Args:
            lines: An iterable of what `send` takes.
        """
        for line in lines:
            await self.send(line)

    async def sendcontrol(self, character: str) -> int:
        """Types a control character: control-C by `sendcontrol("c")`.

        Args:
            character: A letter, `@`, `[`, `]`, `^`, `_`, `?` or a backslash.

        Returns:
            How many bytes that were: 1.

        Raises:
            ValueError: There is no such control character.
        """
        key = character.lower()
        code = ord(key) - ord("a") + 1 if len(key) == 1 and "a" <= key <= "z" else _CONTROLS.get(key)
        if code is None:
            raise ValueError(f"sendcontrol() needs a letter or one of {' '.join(_CONTROLS)}, got {character!r}")
        await self._type(bytes([code]))
        return 1

    async def sendeof(self) -> None:
        """Types the terminal's end-of-file character (VEOF), which at the beginning of a line ends the input."""
        stdin = self.process.stdin
        assert stdin is not None
        stdin.write_eof()

    async def sendintr(self) -> None:
        """Types the terminal's interrupt character (VINTR)."""
        await self._type(self._settings().interrupt)

    async def _type(self, data: bytes) -> None:
        stdin = self.process.stdin
        assert stdin is not None
        stdin.write(data)
        await stdin.drain()

    def _log_output(self, text: AnyStr) -> None:
        for log in (self.logfile, self.logfile_read):
            _write(log, text)


def _write(log: Any, text: Any) -> None:
    if log is not None:
        log.write(text)
        flush = getattr(log, "flush", None)
        if flush is not None:
            flush()
