# mypy: disable-error-code="misc"
# a default of Any, beside constraints

"""The type variables of `looked_up`: what an argument was. An argument that is not given is `Omitted`.

Literals have to survive: `True` is not just a bool. Mypy keeps those that the bound names.
"""

from collections.abc import AsyncIterable
from typing import Any, Literal, TypeAlias

from typing_extensions import TypeVar

from aiospawn._options.keywords import HasFileno

from .keywords import ReadableBuffer

class Omitted:
    """The type of an argument that is not given."""

_Inputs: TypeAlias = Omitted | str | ReadableBuffer | AsyncIterable[str] | AsyncIterable[ReadableBuffer] | None

ShellText = TypeVar("ShellText", bound=Omitted | str, default=Omitted)
ShellBytes = TypeVar("ShellBytes", bound=Omitted | bytes, default=Omitted)
Encoding = TypeVar("Encoding", bound=Omitted | str | None, default=Omitted)
Errors = TypeVar("Errors", bound=Omitted | str | None, default=Omitted)
Input = TypeVar("Input", bound=_Inputs, default=Omitted)
Whole = TypeVar("Whole", bound=Omitted | str | ReadableBuffer | None, default=Omitted)
Line = TypeVar("Line", str, bytes, default=Any)

Flag: TypeAlias = Omitted | Literal[True, False]
Shell = TypeVar("Shell", bound=Flag, default=Omitted)
Both = TypeVar("Both", bound=Flag, default=Omitted)
Text = TypeVar("Text", bound=Flag | None, default=Omitted)
UniversalNewlines = TypeVar("UniversalNewlines", bound=Flag | None, default=Omitted)
CaptureOutput = TypeVar("CaptureOutput", bound=Flag | Literal["file"], default=Omitted)
CapturePipeline = TypeVar("CapturePipeline", bound=Flag, default=Omitted)
Stdout = TypeVar("Stdout", bound=Omitted | Literal[-3, -2] | int | HasFileno | None, default=Omitted)
Stderr = TypeVar("Stderr", bound=Omitted | Literal[-3, -2] | int | HasFileno | None, default=Omitted)
