# mypy: disable-error-code="misc, override, overload-overlap"
# as in _commands/looked_up.pyi and _commands/overloads.pyi

"""`map` for type checkers, as `_commands/signatures.pyi` has `run`: first for mypy, then for pyright."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, Generic, Literal, TypeAlias, Unpack, overload

from typing_extensions import TypeVar

from aiospawn._commands.argument_types import List, MapOptions, NotKept
from aiospawn._commands.keywords import ReadableBuffer
from aiospawn._commands.type_variables import (
    CaptureOutput,
    Encoding,
    Errors,
    Omitted,
    Stderr,
    Stdout,
    Text,
    UniversalNewlines,
    Whole,
)
from aiospawn._options.keywords import Stream

from .halt import Halt
from .map import Map
from .map_result import MapLine, MapProgress, MapResult

class _Keywords(MapOptions, total=False):
    total: int | None
    cluster: Any
    concurrency: int | None
    ordered: bool
    retries: int
    backoff: float
    check: bool
    halt: str | Halt | None
    progress: Callable[[MapProgress], object] | None
    on_line: Callable[[MapLine], object] | None

MYPY: bool

if 0:
    _Text = TypeVar("_Text", covariant=True)
    _TextHas = TypeVar("_TextHas", contravariant=True)
    _Kept = TypeVar("_Kept", covariant=True)
    _KeptHas = TypeVar("_KeptHas", contravariant=True)
    _Input = TypeVar("_Input", covariant=True)

    class _OnlyAny: ...

    class MapOf(Map[Any], Generic[_Text, _TextHas, _Kept, _KeptHas, _Input]):
        @overload
        def __aiter__(
            self: MapOf[object, bool, object, Any, object] | MapOf[object, str | None, object, Any, object],
        ) -> AsyncIterator[MapResult[Any]]: ...
        @overload
        def __aiter__(
            self: MapOf[Omitted | Literal[False] | None, Any, object, _OnlyAny, Omitted | ReadableBuffer | None],
        ) -> AsyncIterator[MapResult[Any]]: ...
        @overload
        def __aiter__(
            self: MapOf[
                Omitted | Literal[False] | None,
                Any,
                Omitted | Literal[False] | NotKept,
                Any,
                Omitted | ReadableBuffer | None,
            ],
        ) -> AsyncIterator[MapResult[None]]: ...
        @overload
        def __aiter__(
            self: MapOf[Omitted | Literal[False] | None, Any, object, Any, Omitted | ReadableBuffer | None],
        ) -> AsyncIterator[MapResult[bytes]]: ...
        @overload
        def __aiter__(
            self: MapOf[object, Literal[True], object, Any, Omitted | str | None]
            | MapOf[object, str, object, Any, Omitted | str | None],
        ) -> AsyncIterator[MapResult[str]]: ...

    def map(
        commands: Iterable[str | bytes | List] | AsyncIterable[str | bytes | List],
        *,
        text: Text = ...,
        universal_newlines: UniversalNewlines = ...,
        encoding: Encoding = ...,
        errors: Errors = ...,
        capture_output: CaptureOutput = ...,
        stdout: Stdout = ...,
        stderr: Stderr = ...,
        input: Whole = ...,
        **keywords: Unpack[_Keywords],
    ) -> MapOf[
        Text | UniversalNewlines | Encoding | Errors,
        Text | UniversalNewlines | Encoding | Errors,
        CaptureOutput | Stdout | Stderr,
        CaptureOutput | Stdout | Stderr,
        Whole,
    ]: ...

elif not MYPY:
    class _AnyKept(_Keywords, total=False):
        capture_output: bool | Literal["file"]
        stdout: Stream
        stderr: Stream

    class _NothingKept(_Keywords, total=False):
        capture_output: Literal[False]
        stdout: NotKept
        stderr: NotKept
        input: ReadableBuffer | None

    class _InBytes(_AnyKept, total=False):
        text: Literal[False] | None
        universal_newlines: Literal[False] | None
        encoding: None
        errors: None
        input: ReadableBuffer | None

    class _WithErrors(_AnyKept, total=False):
        input: str | None

    class _InText(_WithErrors, total=False):
        encoding: str | None
        errors: str | None

    class _InEither(_AnyKept, total=False):
        universal_newlines: bool | None
        errors: str | None
        input: str | ReadableBuffer | None

    _Commands: TypeAlias = Iterable[str | bytes | List] | AsyncIterable[str | bytes | List]

    @overload
    def map(commands: _Commands, **keywords: Unpack[_NothingKept]) -> Map[None]: ...
    @overload
    def map(commands: _Commands, **keywords: Unpack[_InBytes]) -> Map[bytes]: ...
    @overload
    def map(commands: _Commands, *, text: Literal[True], **keywords: Unpack[_InText]) -> Map[str]: ...
    @overload
    def map(commands: _Commands, *, universal_newlines: Literal[True], **keywords: Unpack[_InText]) -> Map[str]: ...
    @overload
    def map(
        commands: _Commands, *, encoding: str, errors: str | None = ..., **keywords: Unpack[_WithErrors]
    ) -> Map[str]: ...
    @overload
    def map(commands: _Commands, *, errors: str, **keywords: Unpack[_WithErrors]) -> Map[str]: ...
    @overload
    def map(
        commands: _Commands, *, text: bool | None, encoding: str | None = ..., **keywords: Unpack[_InEither]
    ) -> Map[Any]: ...
    @overload
    def map(commands: _Commands, *, encoding: str | None, **keywords: Unpack[_InEither]) -> Map[Any]: ...
