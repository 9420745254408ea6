# mypy: disable-error-code="overload-overlap"
# pyright takes the first that fits

"""`run`, `pipeline` and `lines` as pyright knows them, which never shows all overloads. For mypy there is `looked_up`."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack, overload

from aiospawn._options.keywords import Stream

from .argument_types import BytesIn, LinesOptions, List, NotKept, PipelineOptions, RunOptions, TextIn
from .keywords import ReadableBuffer, StreamName
from .pipeline import Pipeline
from .results import CompletedProcess

_T = TypeVar("_T")

class ATextNeedsShell:
    """What is returned for a command that is one text, without shell=True: it can neither be awaited nor iterated over."""

# ---- text or bytes, kept or not -----------------------------------------------------------------------------------------

class _InText(TypedDict, total=False):
    input: TextIn
    on_output: Callable[[StreamName, str], object] | None
    on_line: Callable[[StreamName, str], object] | None

class _InBytes(TypedDict, total=False):
    text: Literal[False] | None
    universal_newlines: Literal[False] | None
    encoding: None
    errors: None
    input: BytesIn
    on_output: Callable[[StreamName, bytes], object] | None
    on_line: Callable[[StreamName, bytes], object] | None

class _InEither(TypedDict, total=False):
    universal_newlines: bool | None
    errors: str | None
    input: TextIn | BytesIn
    on_output: Callable[[StreamName, Any], object] | None
    on_line: Callable[[StreamName, Any], object] | None

class _NotKept(TypedDict, total=False):
    capture_output: Literal[False]
    stdout: NotKept
    stderr: NotKept

class _Kept(TypedDict, total=False):
    capture_output: bool | Literal["file"]
    stdout: Stream
    stderr: Stream

# ---- run ----------------------------------------------------------------------------------------------------------------

class _Run(RunOptions, total=False):
    shell: bool

class _AnyRun(_InEither, _Kept, RunOptions, total=False):
    text: bool | None
    encoding: str | None

class _TextRun(_InText, _Kept, _Run, total=False):
    encoding: str | None
    errors: str | None

class _TextNotKept(_InText, _NotKept, _Run, total=False):
    encoding: str | None
    errors: str | None

class _WithErrors(_InText, _Kept, _Run, total=False): ...
class _BytesRun(_InBytes, _Kept, _Run, total=False): ...
class _BytesNotKept(_InBytes, _NotKept, _Run, total=False): ...
class _EitherRun(_InEither, _Kept, _Run, total=False): ...

_Args: TypeAlias = str | bytes | List
_Done: TypeAlias = Coroutine[Any, Any, CompletedProcess[_T]]

@overload
def run(args: str | bytes, *, shell: Literal[False] = ..., **keywords: Unpack[_AnyRun]) -> ATextNeedsShell: ...
@overload
def run(args: _Args, **keywords: Unpack[_BytesNotKept]) -> _Done[None]: ...
@overload
def run(args: _Args, *, text: Literal[True], **keywords: Unpack[_TextNotKept]) -> _Done[None]: ...
@overload
def run(args: _Args, **keywords: Unpack[_BytesRun]) -> _Done[bytes]: ...
@overload
def run(args: _Args, *, text: Literal[True], **keywords: Unpack[_TextRun]) -> _Done[str]: ...
@overload
def run(args: _Args, *, universal_newlines: Literal[True], **keywords: Unpack[_TextRun]) -> _Done[str]: ...
@overload
def run(args: _Args, *, encoding: str, errors: str | None = ..., **keywords: Unpack[_WithErrors]) -> _Done[str]: ...
@overload
def run(args: _Args, *, errors: str, **keywords: Unpack[_WithErrors]) -> _Done[str]: ...
@overload
def run(args: _Args, *, text: bool | None, encoding: str | None = ..., **keywords: Unpack[_EitherRun]) -> _Done[Any]: ...
@overload
def run(args: _Args, *, encoding: str | None, **keywords: Unpack[_EitherRun]) -> _Done[Any]: ...

# ---- pipeline -----------------------------------------------------------------------------------------------------------

class _TextThrough(PipelineOptions, total=False):
    stdout: Stream
    stderr: Stream
    capture_output: bool
    input: str | None

class _TextPipeline(_TextThrough, total=False):
    encoding: str | None
    errors: str | None

class _BytesPipeline(PipelineOptions, total=False):
    stdout: Stream
    stderr: Stream
    capture_output: bool
    input: ReadableBuffer | None
    text: Literal[False] | None
    universal_newlines: Literal[False] | None
    encoding: None
    errors: None

class _EitherPipeline(PipelineOptions, total=False):
    stdout: Stream
    stderr: Stream
    capture_output: bool
    input: str | ReadableBuffer | None
    universal_newlines: bool | None
    errors: str | None

class _NothingKept(PipelineOptions, _NotKept, total=False):
    input: ReadableBuffer | None

@overload
def pipeline(*commands: List, **keywords: Unpack[_NothingKept]) -> Pipeline[None]: ...
@overload
def pipeline(*commands: List, **keywords: Unpack[_BytesPipeline]) -> Pipeline[bytes]: ...
@overload
def pipeline(*commands: List, text: Literal[True], **keywords: Unpack[_TextPipeline]) -> Pipeline[str]: ...
@overload
def pipeline(*commands: List, universal_newlines: Literal[True], **keywords: Unpack[_TextPipeline]) -> Pipeline[str]: ...
@overload
def pipeline(
    *commands: List, encoding: str, errors: str | None = ..., **keywords: Unpack[_TextThrough]
) -> Pipeline[str]: ...
@overload
def pipeline(*commands: List, errors: str, **keywords: Unpack[_TextThrough]) -> Pipeline[str]: ...
@overload
def pipeline(
    *commands: List, text: bool | None, encoding: str | None = ..., **keywords: Unpack[_EitherPipeline]
) -> Pipeline[Any]: ...
@overload
def pipeline(*commands: List, encoding: str | None, **keywords: Unpack[_EitherPipeline]) -> Pipeline[Any]: ...

# ---- lines --------------------------------------------------------------------------------------------------------------

class _Lines(LinesOptions, total=False):
    shell: bool

class _AnyLines(LinesOptions, total=False):
    both: bool
    input: TextIn | BytesIn
    text: bool | None
    universal_newlines: bool | None
    encoding: str | None
    errors: str | None

class _LinesWithErrors(_Lines, total=False):
    input: TextIn

class _TextLines(_LinesWithErrors, total=False):
    encoding: str | None
    errors: str | None

class _BytesLines(_Lines, total=False):
    input: BytesIn
    text: Literal[False] | None
    universal_newlines: Literal[False] | None
    encoding: None
    errors: None

class _EitherLines(_Lines, total=False):
    both: bool
    input: TextIn | BytesIn
    universal_newlines: bool | None
    errors: str | None

_Each: TypeAlias = AsyncGenerator[_T, None]
_Named: TypeAlias = AsyncGenerator[tuple[StreamName, _T], None]
_No: TypeAlias = Literal[False]
_Yes: TypeAlias = Literal[True]

@overload
def lines(args: str | bytes, *, shell: Literal[False] = ..., **keywords: Unpack[_AnyLines]) -> ATextNeedsShell: ...
@overload
def lines(args: _Args, *, both: _No = ..., **keywords: Unpack[_BytesLines]) -> _Each[bytes]: ...
@overload
def lines(args: _Args, *, both: _No = ..., text: _Yes, **keywords: Unpack[_TextLines]) -> _Each[str]: ...
@overload
def lines(args: _Args, *, both: _No = ..., universal_newlines: _Yes, **keywords: Unpack[_TextLines]) -> _Each[str]: ...
@overload
def lines(
    args: _Args, *, both: _No = ..., encoding: str, errors: str | None = ..., **keywords: Unpack[_LinesWithErrors]
) -> _Each[str]: ...
@overload
def lines(args: _Args, *, both: _No = ..., errors: str, **keywords: Unpack[_LinesWithErrors]) -> _Each[str]: ...
@overload
def lines(args: _Args, *, both: _Yes, **keywords: Unpack[_BytesLines]) -> _Named[bytes]: ...
@overload
def lines(args: _Args, *, both: _Yes, text: _Yes, **keywords: Unpack[_TextLines]) -> _Named[str]: ...
@overload
def lines(
    args: _Args, *, both: _Yes, encoding: str, errors: str | None = ..., **keywords: Unpack[_LinesWithErrors]
) -> _Named[str]: ...
@overload
def lines(args: _Args, *, both: bool, **keywords: Unpack[_BytesLines]) -> _Each[Any]: ...
@overload
def lines(args: _Args, *, text: bool | None, encoding: str | None = ..., **keywords: Unpack[_EitherLines]) -> _Each[Any]: ...
@overload
def lines(args: _Args, *, encoding: str | None, **keywords: Unpack[_EitherLines]) -> _Each[Any]: ...
