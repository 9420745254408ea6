# mypy: disable-error-code="misc, override, overload-overlap"
# the lookup tells apart what mypy takes for overlapping; no object is ever made of these classes

"""`run`, `pipeline` and `lines` as mypy knows them. Nothing here exists at run time.

What they return depends on text or bytes, and on what is captured. An overload for each would do; but for one misspelt
keyword mypy shows every overload with all of its sixty keywords, 30,000 characters. So each function has one signature, and
what comes of it is looked up in the types of its arguments where it is awaited or iterated over: the overloads of
`__await__` and its kin.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from typing import Any, Generic, Literal, TypeAlias, Unpack, overload

from typing_extensions import TypeVar

from .argument_types import BytesIn, LinesOptions, List, NotKept, PipelineOptions, RunOptions, TextIn
from .keywords import StreamName
from .pipeline import CompletedPipeline, Pipeline
from .results import CompletedProcess
from .type_variables import (
    Both,
    CaptureOutput,
    CapturePipeline,
    Encoding,
    Errors,
    Input,
    Line,
    Omitted,
    Shell,
    ShellBytes,
    ShellText,
    Stderr,
    Stdout,
    Text,
    UniversalNewlines,
    Whole,
)

# A type parameter is the union of what several arguments were. With "Has" it is contravariant: what must be among them.
_Command = TypeVar("_Command", covariant=True)
_Shell = TypeVar("_Shell", covariant=True)
_Text = TypeVar("_Text", covariant=True)  # of the four words for text
_TextHas = TypeVar("_TextHas", contravariant=True)
_Kept = TypeVar("_Kept", covariant=True)  # of the three words for captured output
_KeptHas = TypeVar("_KeptHas", contravariant=True)
_Input = TypeVar("_Input", covariant=True)
_Line = TypeVar("_Line")

_Bytes: TypeAlias = Omitted | Literal[False] | None
_BytesIn: TypeAlias = Omitted | BytesIn
_TextIn: TypeAlias = Omitted | TextIn
_NotKept: TypeAlias = Omitted | Literal[False] | NotKept

class _OnlyAny: ...

# ---- run ----------------------------------------------------------------------------------------------------------------

# A list of arguments, or a text with shell=.
_Run: TypeAlias = (
    Run[Omitted, object, _Text, _TextHas, _Kept, _KeptHas, _Input, _Line]
    | Run[object, bool, _Text, _TextHas, _Kept, _KeptHas, _Input, _Line]
)
_InBytes: TypeAlias = _Run[_Bytes, Any, _Kept, _KeptHas, _BytesIn, bytes]
_InText: TypeAlias = (
    _Run[object, Literal[True], _Kept, _KeptHas, _TextIn, str] | _Run[object, str, _Kept, _KeptHas, _TextIn, str]
)
_InEither: TypeAlias = (
    _Run[object, bool, _Kept, _KeptHas, object, Any] | _Run[object, str | None, _Kept, _KeptHas, object, Any]
)

class Run(
    Coroutine[Any, Any, CompletedProcess[Any]], Generic[_Command, _Shell, _Text, _TextHas, _Kept, _KeptHas, _Input, _Line]
):
    # What is known at run time alone comes first, so that Any gives Any.
    @overload
    def __await__(self: _InEither[object, Any]) -> Generator[Any, Any, CompletedProcess[Any]]: ...
    @overload
    def __await__(
        self: _InBytes[object, _OnlyAny] | _InText[object, _OnlyAny],
    ) -> Generator[Any, Any, CompletedProcess[Any]]: ...
    @overload
    def __await__(self: _InBytes[_NotKept, Any] | _InText[_NotKept, Any]) -> Generator[Any, Any, CompletedProcess[None]]: ...
    @overload
    def __await__(self: _InBytes[object, Any]) -> Generator[Any, Any, CompletedProcess[bytes]]: ...
    @overload
    def __await__(self: _InText[object, Any]) -> Generator[Any, Any, CompletedProcess[str]]: ...

def run(
    args: ShellText | ShellBytes | List,
    *,
    shell: Shell = ...,
    text: Text = ...,
    universal_newlines: UniversalNewlines = ...,
    encoding: Encoding = ...,
    errors: Errors = ...,
    capture_output: CaptureOutput = ...,
    stdout: Stdout = ...,
    stderr: Stderr = ...,
    input: Input = ...,
    on_output: Callable[[StreamName, Line], object] | None = ...,
    on_line: Callable[[StreamName, Line], object] | None = ...,
    **keywords: Unpack[RunOptions],
) -> Run[
    ShellText | ShellBytes,
    Shell,
    Text | UniversalNewlines | Encoding | Errors,
    Text | UniversalNewlines | Encoding | Errors,
    CaptureOutput | Stdout | Stderr,
    CaptureOutput | Stdout | Stderr,
    Input,
    Line,
]: ...

# ---- pipeline -----------------------------------------------------------------------------------------------------------

class PipelineOf(Pipeline[Any], Generic[_Text, _TextHas, _Kept, _KeptHas, _Input]):
    @overload
    def __await__(
        self: PipelineOf[object, bool, object, Any, object] | PipelineOf[object, str | None, object, Any, object],
    ) -> Generator[Any, Any, CompletedPipeline[Any]]: ...
    @overload
    def __await__(
        self: PipelineOf[_Bytes, Any, object, _OnlyAny, _BytesIn],
    ) -> Generator[Any, Any, CompletedPipeline[Any]]: ...
    @overload
    def __await__(
        self: PipelineOf[_Bytes, Any, _NotKept, Any, _BytesIn],
    ) -> Generator[Any, Any, CompletedPipeline[None]]: ...
    @overload
    def __await__(self: PipelineOf[_Bytes, Any, object, Any, _BytesIn]) -> Generator[Any, Any, CompletedPipeline[bytes]]: ...
    @overload
    def __await__(
        self: PipelineOf[object, Literal[True], object, Any, _TextIn] | PipelineOf[object, str, object, Any, _TextIn],
    ) -> Generator[Any, Any, CompletedPipeline[str]]: ...

def pipeline(
    *commands: List,
    text: Text = ...,
    universal_newlines: UniversalNewlines = ...,
    encoding: Encoding = ...,
    errors: Errors = ...,
    capture_output: CapturePipeline = ...,
    stdout: Stdout = ...,
    stderr: Stderr = ...,
    input: Whole = ...,
    **keywords: Unpack[PipelineOptions],
) -> PipelineOf[
    Text | UniversalNewlines | Encoding | Errors,
    Text | UniversalNewlines | Encoding | Errors,
    CapturePipeline | Stdout | Stderr,
    CapturePipeline | Stdout | Stderr,
    Whole,
]: ...

# ---- lines --------------------------------------------------------------------------------------------------------------

_Both = TypeVar("_Both", covariant=True)

# As above: a list, or a text with shell=.
_Lines: TypeAlias = (
    Lines[Omitted, object, _Text, _TextHas, _Both, _Input] | Lines[object, bool, _Text, _TextHas, _Both, _Input]
)
_BytesLines: TypeAlias = _Lines[_Bytes, Any, _Both, _BytesIn]
_TextLines: TypeAlias = _Lines[object, Literal[True], _Both, _TextIn] | _Lines[object, str, _Both, _TextIn]
_No: TypeAlias = Omitted | Literal[False]

class Lines(AsyncGenerator[Any, None], Generic[_Command, _Shell, _Text, _TextHas, _Both, _Input]):
    @overload
    def __aiter__(
        self: _Lines[object, bool, object, object] | _Lines[object, str | None, object, object],
    ) -> AsyncIterator[Any]: ...
    @overload
    def __aiter__(self: _BytesLines[_No]) -> AsyncIterator[bytes]: ...
    @overload
    def __aiter__(self: _TextLines[_No]) -> AsyncIterator[str]: ...
    @overload
    def __aiter__(self: _BytesLines[Literal[True]]) -> AsyncIterator[tuple[StreamName, bytes]]: ...
    @overload
    def __aiter__(self: _TextLines[Literal[True]]) -> AsyncIterator[tuple[StreamName, str]]: ...
    @overload
    def __aiter__(self: _BytesLines[object] | _TextLines[object]) -> AsyncIterator[Any]: ...

def lines(
    args: ShellText | ShellBytes | List,
    *,
    shell: Shell = ...,
    both: Both = ...,
    text: Text = ...,
    universal_newlines: UniversalNewlines = ...,
    encoding: Encoding = ...,
    errors: Errors = ...,
    input: Input = ...,
    **keywords: Unpack[LinesOptions],
) -> Lines[
    ShellText | ShellBytes,
    Shell,
    Text | UniversalNewlines | Encoding | Errors,
    Text | UniversalNewlines | Encoding | Errors,
    Both,
    Input,
]: ...
