"""The types of arguments and options, as a type checker knows them.

Annotations are not strings here, as they are elsewhere: so `typing.get_type_hints` finds all of them.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, Protocol, TypeAlias, TypedDict

__all__ = [
    "Args",
    "Capabilities",
    "Environment",
    "FileDescriptorLike",
    "HasFileno",
    "IdMap",
    "Opened",
    "StrOrBytesPath",
    "Stream",
]

StrOrBytesPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class HasFileno(Protocol):
    """A file, a socket, and whatever else has a descriptor."""

    def fileno(self) -> int:
        """The descriptor."""


FileDescriptorLike: TypeAlias = int | HasFileno
Stream: TypeAlias = FileDescriptorLike | None
Args: TypeAlias = StrOrBytesPath | Iterable[StrOrBytesPath]
Environment: TypeAlias = Mapping[str, StrOrBytesPath] | Mapping[bytes, StrOrBytesPath]
Opened: TypeAlias = tuple[StrOrBytesPath, int] | tuple[StrOrBytesPath, int, int]
IdMap: TypeAlias = Collection[tuple[int, int, int]]


class Capabilities(TypedDict, total=False):
    """The option `capabilities`: names or numbers; `drop` may be "all"."""

    drop: Collection[str | int] | Literal["all"]
    ambient: Collection[str | int]
