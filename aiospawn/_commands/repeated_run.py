"""`run` for many commands that have their options in common: these are looked at once."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from aiospawn._binding.support import support
from aiospawn._options.options import GROUPED
from aiospawn._options.validation import validated
from aiospawn._request.joined_request import JoinedRequest
from aiospawn._request.request import is_reusable, program

from .capture import Ending, drop
from .command import CheckedCommand
from .conclusion import completed, concluded, interruption
from .results import text_mode
from .run import captured, launched, run, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .capture import Capture
    from .results import CompletedProcess

__all__ = ["RepeatedRun"]

_PIPE, _DEVNULL = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
_STREAMS = (None, _PIPE, asyncio.subprocess.STDOUT, _DEVNULL)
_KNOWN = frozenset(
    {"input", "stdin", "stdout", "stderr", "capture_output", "timeout", "text", "encoding", "errors", "universal_newlines"}
    | {"grace", "pipe_grace", "max_output", "shell"}
)
_OF_LAUNCH = frozenset({"init", "init_lease"})


class RepeatedRun:
    """Runs lists of arguments as `run` does with these options; whatever needs more of it, it leaves to `run`."""

    __slots__ = (
        *("_collecting", "_keywords", "_options", "_streams"),
        *("grace", "keeps", "launching", "limit", "mode", "pipe_grace", "timeout"),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        """The options are those of `suits`, checked before."""
        get = options.get
        self._options = options
        self.mode = text_mode(get("text"), get("universal_newlines"), get("encoding"), get("errors"))
        data, stdin = written(get("input"), get("stdin"), self.mode)
        stdout, stderr = captured(get("stdout"), get("stderr"), bool(get("capture_output")))
        self._streams = stdin, stdout, stderr
        self.keeps = stdout == _PIPE, stderr == _PIPE
        self.timeout = get("timeout")
        self.grace = get("grace", 5.0)
        self.pipe_grace = get("pipe_grace", 5.0)
        self.limit = get("max_output")
        self._collecting = {"data": data, "limit": self.limit, "pipe_grace": self.pipe_grace}
        self._keywords = {"process_group": 0, **{name: options[name] for name in options.keys() & _OF_LAUNCH}}
        self.launching = GROUPED if len(self._keywords) == 1 else validated(self._keywords)
        """The options of each launch."""

    @staticmethod
    def suits(options: Mapping[str, Any]) -> bool:
        """Are these options the same for every command, whatever happens in between? Descriptors and callbacks are not."""
        streams = (options.get("stdin"), options.get("stdout"), options.get("stderr"))
        return (
            options.keys() <= _KNOWN | _OF_LAUNCH
            and not options.get("shell")
            and isinstance(options.get("input"), (str, bytes, type(None)))
            and options.get("capture_output") in (None, True, False)
            and all(isinstance(stream, (int, type(None))) and stream in _STREAMS for stream in streams)
        )

    async def __call__(self, args: list[Any]) -> CompletedProcess[Any]:
        """As `run` with the options."""
        streams = self._streams
        if not args or support().reasons or (streams[0] is None and os.isatty(0)):
            result: CompletedProcess[Any] = await run(args, **self._options)
            return result
        keeper: list[Capture] = []
        command = CheckedCommand(args, [*args], self.launching, self._keywords)
        try:
            child = await launched(command, streams, keeper, **self._collecting)
            return await self.outcome(child, args, self.timeout)
        except BaseException:  # as in `run`
            drop(keeper)
            raise

    async def outcome(self, child: Capture, args: list[Any], timeout: float | None) -> CompletedProcess[Any]:
        """As `run`, of a child that is there already, and has so many seconds from now on."""
        ending = await concluded(child, timeout, self.grace)
        output = child.output(1) if self.keeps[0] else None, child.output(2) if self.keeps[1] else None
        if ending is not Ending.COMPLETE and ending is not Ending.CUT:
            raise child.noted(interruption(ending, args, self.timeout, self.limit, output))
        return completed(child, args, output, self.mode, check=False)

    # ---- without a coroutine for each ---------------------------------------------------------------------------------

    def is_plain(self) -> bool:
        """Can its children be `PlainChild`s?"""
        streams = self._streams
        return streams[0] in (None, _DEVNULL) and is_reusable(streams, self.launching) and not support().reasons

    def joined(self) -> JoinedRequest:
        """The requests of `PlainChild`s. They raise without the words of `run`."""
        return JoinedRequest(program(self._streams, self.launching, collected=True), self.launching, dropped=True)

    def is_at_terminal(self) -> bool:
        """Would a child read from a terminal? Then it is not to be a `PlainChild`."""
        return self._streams[0] is None and os.isatty(0)
