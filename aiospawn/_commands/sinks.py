"""Where output goes while the child runs: to functions of the caller, and to this process's own output."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from .line_splitter import Decoder, LineSplitter
from .output_queue import STREAMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .output_queue import Piece
    from .results import Text

__all__ = ["Sink", "sink_of"]

_OUTPUTS = (1, 2)
_ALWAYS_TAKEN = select.PIPE_BUF  # bytes: as many a pipe takes without waiting, if it is writable (poll(2), pipe(7))

Function: TypeAlias = Callable[[str, Any], Any]


def sink_of(on_output: Any, on_line: Any, tee: Any, mode: Text | None) -> Sink | None:
    """None where nobody wants the output before its end. Raises TypeError for what would not be called."""
    for name, function in (("on_output", on_output), ("on_line", on_line)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be callable or None, got {function!r}")
    if not isinstance(tee, bool):
        raise TypeError(f"tee must be a bool, got {tee!r}")
    if on_output is None and on_line is None and not tee:
        return None
    return Sink(on_output, on_line, mode, tee=tee)


class Sink:
    """What takes a child's output, piece by piece, each stream's own text and lines."""

    def __init__(self, on_output: Function | None, on_line: Function | None, mode: Text | None, *, tee: bool) -> None:
        self._on_output = on_output
        self._on_line = on_line
        self._tee = tee
        self._decoders = {stream: Decoder(mode) for stream in _OUTPUTS}
        self._splitters = {stream: LineSplitter(mode) for stream in _OUTPUTS}

    async def take(self, pieces: Sequence[Piece]) -> None:
        """Raises what the functions raise, UnicodeDecodeError, OSError."""
        for stream, data in pieces:
            if self._tee:
                await _written(stream, data)
            if self._on_output is not None and (part := self._decoders[stream].decoded(data)):
                await _called(self._on_output, STREAMS[stream], [part])
            if self._on_line is not None:
                await _called(self._on_line, STREAMS[stream], self._splitters[stream].lines(data))

    async def end(self) -> None:
        """Nothing more comes. Raises as `take`."""
        for stream in _OUTPUTS:
            if self._on_output is not None and (part := self._decoders[stream].decoded(b"", final=True)):
                await _called(self._on_output, STREAMS[stream], [part])
            if self._on_line is not None:
                await _called(self._on_line, STREAMS[stream], self._splitters[stream].rest())

    def tolerate(self) -> None:
        """From now on bytes that are none in the encoding do not raise."""
        for stream in _OUTPUTS:
            self._decoders[stream].tolerate()
            self._splitters[stream].tolerate()


async def _called(function: Function, name: str, parts: list[Any]) -> None:
    for part in parts:
        answer = function(name, part)
        if answer is not None and hasattr(answer, "__await__"):
            await answer


async def _written(stream: int, data: bytes) -> None:
    """To this process's own stream of that number, whose descriptor stays as it is: others share the file.

    So the loop does not wait for its reader, but until something fits, and writes as much.
    """
    left = memoryview(data)
    poll = select.poll()
    poll.register(stream, select.POLLOUT)
    while left:
        if poll.poll(0):
            left = left[os.write(stream, left[:_ALWAYS_TAKEN]) :]
        else:
            await _writable(stream)


async def _writable(stream: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    number = os.dup(stream)  # the program may watch the original
    try:
        loop.add_writer(number, _set, ready)
        try:
            await ready
        finally:
            loop.remove_writer(number)
    finally:
        os.close(number)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
