"""The types of arguments for `looked_up` and `overloads`."""

from collections.abc import AsyncIterable, Iterator
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias

from aiospawn._options.keywords import CommandOptions, HasFileno, Stream, StrOrBytesPath

from .command_value import Command
from .keywords import OnEvent, ReadableBuffer

class NotText(Protocol):
    """A collection of arguments. A str is a collection of them too, but one that can be asked for a str only."""

    def __contains__(self, value: object, /) -> bool: ...
    def __iter__(self) -> Iterator[StrOrBytesPath]: ...

List: TypeAlias = NotText | Iterator[StrOrBytesPath] | PathLike[str] | PathLike[bytes] | Command

BytesIn: TypeAlias = ReadableBuffer | AsyncIterable[ReadableBuffer] | None
TextIn: TypeAlias = str | AsyncIterable[str] | None
NotKept: TypeAlias = Literal[-3, -2] | HasFileno | None

# ---- what says nothing of the result's type -------------------------------------------------------------------------------

class _Awaited(CommandOptions, total=False):
    stdin: Stream
    check: bool
    timeout: float | None
    grace: float
    on_event: OnEvent | None
    event_arguments: bool

class RunOptions(_Awaited, total=False):
    pipe_grace: float | None
    max_output: int | None
    tee: bool
    cluster: Any

class PipelineOptions(_Awaited, total=False):
    pipe_grace: float | None
    max_output: int | None

class LinesOptions(_Awaited, total=False):
    stderr: Stream
    max_line: int | None

class MapOptions(CommandOptions, total=False):
    stdin: Stream
    shell: bool
    timeout: float | None
    grace: float
    pipe_grace: float | None
    max_output: int | None
    tee: bool
    on_event: OnEvent | None
    event_arguments: bool
