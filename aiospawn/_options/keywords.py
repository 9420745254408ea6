"""What a launch takes by name, as a type checker and an editor know it: `**options: Unpack[LaunchOptions]` (PEP 692).

The options themselves are in the table of `options`. Annotations are not strings here, as they are elsewhere: so
`typing.get_type_hints` finds all of them, and importing compiles none.
"""

from typing import Literal

from .options import CommandOptions
from .types import Args, Capabilities, FileDescriptorLike, HasFileno, Stream, StrOrBytesPath

__all__ = [
    "Args",
    "Capabilities",
    "CommandOptions",
    "ExecKeywords",
    "FileDescriptorLike",
    "HasFileno",
    "LaunchOptions",
    "ShellKeywords",
    "StrOrBytesPath",
    "Stream",
]


class LaunchOptions(CommandOptions, total=False):
    """All options of a launch, as `create_subprocess_exec`, `create_subprocess_shell` and `ProcessGroup` take them."""

    pty: bool | tuple[int, int]


# ---- processes: what asyncio takes for Popen's sake ----------------------------------------------------------------------


class _Unbuffered(LaunchOptions, total=False):
    universal_newlines: Literal[False]
    bufsize: Literal[0]
    encoding: None
    errors: None
    text: Literal[False] | None


class ExecKeywords(_Unbuffered, total=False):
    shell: Literal[False]


class ShellKeywords(_Unbuffered, total=False):
    shell: Literal[True]
