"""The output of a terminal: decoded, searched, read."""

from __future__ import annotations

import asyncio
import codecs
import re  # noqa: TC003 - typing.get_type_hints(TerminalSession) looks for it here
from typing import Any, AnyStr, Generic

from .ansi import AnsiFilter
from .expect import EndOfOutput, Expected, ExpectTimeout, Search, first_line_end

__all__ = ["DEFAULT", "TerminalReader"]

_BLOCK = 64 * 1024
DEFAULT: Any = object()
"""A `timeout` that was not given: the session's."""


class TerminalReader(Generic[AnyStr]):
    """The half of a TerminalSession that reads."""

    _stream: asyncio.StreamReader | None

    def __init__(self, encoding: str | None, errors: str, *, strip_ansi: bool) -> None:
        """Raises LookupError for an unknown encoding or error handler."""
        self._empty: AnyStr = b"" if encoding is None else ""  # type: ignore[assignment]
        self._decoder: Any = None
        if encoding is not None:
            codecs.lookup_error(errors)
            self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._filter: AnsiFilter[AnyStr] | None = AnsiFilter(self._empty) if strip_ansi else None
        self._ended = False
        self._stream = None
        self.timeout: float | None = 30.0
        """Seconds for each `expect` and `read_nonblocking` that says nothing else; None: for ever."""
        self.searchwindowsize: int | None = None
        """How many characters at the end of the output are searched; None: all that no match has taken."""
        self.ignorecase = False
        self.buffer: AnyStr = self._empty
        """What was read and no match has taken."""
        self.before: AnyStr = self._empty
        """What came before the last match; after the end or a time-out, what had come."""
        self.after: AnyStr | Any = None
        """The text of the last match; the class EndOfOutput or ExpectTimeout where that was it."""
        self.match: re.Match[AnyStr] | Any = None
        """Likewise the re.Match, where a regular expression matched; None before the first."""
        self.match_index: int | None = None

    async def expect(
        self,
        pattern: Expected[AnyStr] | list[Expected[AnyStr]],
        timeout: float | None = DEFAULT,
        searchwindowsize: int | None = DEFAULT,
    ) -> int:
        """Reads until a pattern matches.

        Afterwards `before` is the output before the match, `after` the text of the match, and `match` the re.Match. A str or
        bytes
        is a regular expression, compiled with re.DOTALL. A terminal ends lines with carriage return and newline.

        Args:
            pattern: One or a list of: str or bytes, as the session's output is; a compiled pattern; EndOfOutput and
                ExpectTimeout, which match where they would be raised.
            timeout: Seconds; None: no limit. The default is the session's.
            searchwindowsize: How many characters at the end of the output are searched. The default is the session's.

        Returns:
            The place in the list of the pattern that matched, 0 for a single one.

        Raises:
            ExpectTimeout: Nothing matched in time. What was read is kept.
            EndOfOutput: The output has ended.
            TypeError: What is no pattern; re.error for a bad one.
        """
        search = Search(pattern, self._empty, exact=False, ignore_case=self.ignorecase)
        return await self._expect(search, timeout, searchwindowsize)

    async def expect_exact(
        self,
        text: Expected[AnyStr] | list[Expected[AnyStr]],
        timeout: float | None = DEFAULT,
        searchwindowsize: int | None = DEFAULT,
    ) -> int:
        """`expect` for texts in which no character is special.

        Args:
            text: As the patterns of `expect`, but none compiled.
            timeout: As that of `expect`, in seconds.
            searchwindowsize: As that of `expect`.

        Returns:
            As `expect`.

        Raises:
            ExpectTimeout: As `expect`, and so EndOfOutput and TypeError.
        """
        return await self._expect(Search(text, self._empty, exact=True), timeout, searchwindowsize)

    async def _expect(self, search: Search[AnyStr], timeout: float | None, window: int | None) -> int:
        window = self.searchwindowsize if window is DEFAULT else window
        timeout = self.timeout if timeout is DEFAULT else timeout
        new = len(self.buffer)
        try:
            async with asyncio.timeout(timeout):
                while (found := search.find(self.buffer, new, window)) is None:
                    new = await self._more()
        except TimeoutError:
            return self._unmatched(search, ExpectTimeout, f"nothing within {timeout:g} s")
        except EndOfOutput:
            return self._unmatched(search, EndOfOutput, "the output has ended")
        index, match = found
        self.before, self.after = self.buffer[: match.start()], match.group()
        self.buffer = self.buffer[match.end() :]
        self.match, self.match_index = match, index
        return index

    def _unmatched(self, search: Search[AnyStr], kind: type[EndOfOutput | ExpectTimeout], why: str) -> int:
        self.before, self.after, self.match = self.buffer, kind, kind
        if kind is EndOfOutput:
            self.buffer = self._empty
        self.match_index = search.index_of(kind)
        if self.match_index is None:
            self.match = None
            raise kind(search.failure(self.before, why)) from None
        return self.match_index

    # ---- reading --------------------------------------------------------------------------------------------------------

    async def read(self, size: int = -1) -> AnyStr:
        """Reads, and waits until there is so much or the end.

        Args:
            size: How many characters, or bytes; -1: all up to the end.

        Returns:
            The output, shorter than `size` at the end only.
        """
        while (size < 0 or len(self.buffer) < size) and not self._ended:
            await self._wait_for_more()
        return self._taken(len(self.buffer) if size < 0 else size)

    async def read_nonblocking(self, size: int = 1, timeout: float | None = DEFAULT) -> AnyStr:
        """Reads what there is, and waits only where that is nothing.

        Args:
            size: The most characters, or bytes.
            timeout: Seconds; None: no limit. The default is the session's.

        Returns:
            The output.

        Raises:
            ExpectTimeout: Nothing came in time.
            EndOfOutput: The output has ended.
        """
        if not self.buffer:
            try:
                async with asyncio.timeout(self.timeout if timeout is DEFAULT else timeout):
                    await self._more()
            except TimeoutError:
                raise ExpectTimeout("no output came in time") from None
        return self._taken(size)

    async def readline(self) -> AnyStr:
        """Reads a line.

        Returns:
            The line with its carriage return and newline, which the last one may lack; empty at the end.
        """
        while not (end := first_line_end(self.buffer)) and not self._ended:
            await self._wait_for_more()
        return self._taken(end or len(self.buffer))

    async def readlines(self) -> list[AnyStr]:
        """All lines up to the end of the output."""
        return [line async for line in self]

    def __aiter__(self) -> TerminalReader[AnyStr]:
        return self

    async def __anext__(self) -> AnyStr:
        if line := await self.readline():
            return line
        raise StopAsyncIteration

    def eof(self) -> bool:
        """Has the output ended, with nothing left to read?"""
        return self._ended and not self.buffer

    def _taken(self, size: int) -> AnyStr:
        part, self.buffer = self.buffer[:size], self.buffer[size:]
        return part

    async def _wait_for_more(self) -> None:
        try:
            await self._more()
        except EndOfOutput:
            self._ended = True

    async def _more(self) -> int:
        """Reads on, and returns how many characters came, 0 where a sequence is not whole. Raises EndOfOutput."""
        data = await self._raw()
        part: AnyStr = data if self._decoder is None else self._decoder.decode(data, final=not data)  # type: ignore[assignment]
        if self._filter is not None:
            part = self._filter.feed(part, final=not data)
        if part:
            self._log_output(part)
        self.buffer += part
        if not data and not part:
            self._ended = True
            raise EndOfOutput("the output has ended")
        return len(part)

    def _log_output(self, text: AnyStr) -> None:
        raise NotImplementedError

    async def _raw(self) -> bytes:
        if self._stream is None:
            raise RuntimeError("the TerminalSession's block was not entered")
        return await self._stream.read(_BLOCK)
