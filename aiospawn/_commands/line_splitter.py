"""Lines of an output that comes in pieces: whole ones at once, the rest of one when its end has come."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import Text

__all__ = ["Decoder", "LineSplitter"]


class Decoder:
    """Bytes in pieces to text, every kind of line end to a newline; without a mode they stay bytes."""

    __slots__ = ("_codec", "_decoder")

    def __init__(self, mode: Text | None) -> None:
        self._codec: codecs.IncrementalDecoder | None = None
        self._decoder: Any = None
        if mode is not None:
            self._codec = codecs.getincrementaldecoder(mode.encoding)(mode.errors)
            self._decoder = io.IncrementalNewlineDecoder(self._codec, translate=True)

    def decoded(self, data: bytes, *, final: bool = False) -> Any:
        return data if self._decoder is None else self._decoder.decode(data, final=final)

    def tolerate(self) -> None:
        """From now on bytes that are none in the encoding do not raise: escapes take their place."""
        if self._codec is not None and self._codec.errors == "strict":
            self._codec.errors = "backslashreplace"


class LineSplitter:
    """Lines of one output, in bytes or text; `limit` is the most of one, without its end."""

    __slots__ = ("_decoder", "_end", "_is_text", "_length", "_limit", "_rest")

    def __init__(self, mode: Text | None, limit: int | None = None) -> None:
        self._decoder = Decoder(mode)
        self._is_text = mode is not None
        self._end: Any = b"\n" if mode is None else "\n"
        self._limit = limit
        self._rest: list[Any] = []  # of a line whose end has not come
        self._length = 0  # of that

    def lines(self, data: bytes) -> list[Any]:
        """The lines whose ends are in this piece. UnicodeDecodeError: as the mode has it."""
        part = self._decoder.decoded(data)
        last = part.rfind(self._end)
        if last < 0:
            self._keep(part)
            return []
        if self._rest:
            part, last = self._end[:0].join([*self._rest, part]), last + self._length
            self._rest.clear()
        lines = self._split(part)
        self._length = 0
        if last + 1 < len(part):
            self._keep(lines.pop())
        return lines

    def _keep(self, part: Any) -> None:
        self._rest.append(part)
        self._length += len(part)

    def too_long(self, lines: list[Any]) -> int | None:
        """The place of the first of these lines that is above the limit, behind them where the next one is already."""
        if self._limit is not None:
            for place, line in enumerate(lines):
                if len(line) > self._limit + 1:
                    return place
            if self._length > self._limit:
                return len(lines)
        return None

    def rest(self) -> list[Any]:
        """What came behind the last end of a line, when nothing more comes: none, one, or two where text ends oddly."""
        rest = self._end[:0].join([*self._rest, self._decoder.decoded(b"", final=True)])
        self._rest.clear()
        self._length = 0
        return self._split(rest)

    def _split(self, part: Any) -> list[Any]:
        # Neither kind's splitlines: they know other line ends as well.
        file: Any = io.StringIO(part, newline="\n") if self._is_text else io.BytesIO(part)
        return file.readlines()  # type: ignore[no-any-return]

    def tolerate(self) -> None:
        """As `Decoder.tolerate`."""
        self._decoder.tolerate()
