"""Control sequences of terminals (ECMA-48, xterm's ctlseqs), to be taken out of their output.

Kept are the control characters that lay out text: newline, carriage return, tab, backspace, bell.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, Generic

__all__ = ["AnsiFilter", "strip_ansi"]

_LONGEST = 4096  # characters of a sequence whose end has not come: what is longer is none, and not held back for ever

_STRING = r"\x1b[\]PX^_][^\x07\x1b]*"  # OSC, DCS, SOS, PM, APC, up to BEL or ST
_SEQUENCE = rf"\x1b\[[0-?]*[ -/]*[@-~]|{_STRING}(?:\x07|\x1b\\|(?=\x1b))|\x1b[ -/]*[0-Z\\`-~]|[\x0e\x0f]"
_BEGUN = rf"(?:\x1b\[[0-?]*[ -/]*|{_STRING}\x1b?|\x1b[ -/]*)\Z"

_OF_TEXT = re.compile(_SEQUENCE), re.compile(_BEGUN)
_OF_BYTES = re.compile(_SEQUENCE.encode()), re.compile(_BEGUN.encode())


def strip_ansi(output: AnyStr) -> AnyStr:
    """Takes the control sequences of a terminal out of its output: colours, cursor movements, titles, modes (ECMA-48).

    Args:
        output: str or bytes. A sequence that is cut off at the end is left as it is.

    Returns:
        The rest, of the same type.
    """
    sequence, _ = _patterns(output)
    stripped: AnyStr = sequence.sub(output[:0], output)
    return stripped


def _patterns(output: str | bytes) -> tuple[re.Pattern[Any], re.Pattern[Any]]:
    return _OF_TEXT if isinstance(output, str) else _OF_BYTES


class AnsiFilter(Generic[AnyStr]):
    """The same for output that comes in parts, between which a sequence may be cut."""

    def __init__(self, empty: AnyStr) -> None:
        self._rest: AnyStr = empty
        _, self._begun = _patterns(empty)

    def feed(self, part: AnyStr, *, final: bool = False) -> AnyStr:
        """What of this part and the rest of those before is text."""
        output = self._rest + part
        self._rest = output[:0]
        begun = None if final else self._begun.search(output, max(0, len(output) - _LONGEST))
        if begun is not None:
            self._rest = output[begun.start() :]
            output = output[: begun.start()]
        return strip_ansi(output)
