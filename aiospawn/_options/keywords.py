"""What a launch takes by name, as a type checker and an editor know it: `**options: Unpack[LaunchOptions]` (PEP 692).

What each option does is in docs/options.md, what it accepts in `checks`; these are the types of that. Annotations are not
strings here, as they are elsewhere: so `typing.get_type_hints` finds all of them, and importing compiles none.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal, Protocol, TypeAlias, TypedDict

from .options import NativeHook, StrOrBytesPath

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


class HasFileno(Protocol):
    def fileno(self) -> int: ...


FileDescriptorLike: TypeAlias = int | HasFileno
Stream: TypeAlias = FileDescriptorLike | None
Args: TypeAlias = StrOrBytesPath | Iterable[StrOrBytesPath]
_Environment: TypeAlias = Mapping[str, StrOrBytesPath] | Mapping[bytes, StrOrBytesPath]
_Opened: TypeAlias = tuple[StrOrBytesPath, int] | tuple[StrOrBytesPath, int, int]
_IdMap: TypeAlias = Collection[tuple[int, int, int]]


class Capabilities(TypedDict, total=False):
    """The option `capabilities`: names or numbers; `drop` may be "all"."""

    drop: Collection[str | int] | Literal["all"]
    ambient: Collection[str | int]


class CommandOptions(TypedDict, total=False):
    """Options of a launch by `run`, `pipeline`, `lines`, `system`, `popen` and `map`: all but `pty`."""

    executable: StrOrBytesPath | FileDescriptorLike | None
    preexec_fn: Callable[[], object] | None
    close_fds: bool
    cwd: StrOrBytesPath | FileDescriptorLike | None
    env: _Environment | None
    startupinfo: None
    creationflags: Literal[0]
    restore_signals: bool
    start_new_session: bool
    pass_fds: Iterable[int]
    user: str | int | None
    group: str | int | None
    extra_groups: Iterable[str | int] | None
    umask: int
    pipesize: int | None
    process_group: int | None
    fds: Mapping[int, FileDescriptorLike] | None
    open_fds: Mapping[int, _Opened] | None
    chroot: StrOrBytesPath | None
    controlling_terminal: FileDescriptorLike | None
    foreground: FileDescriptorLike | None
    sigmask: Collection[int] | None
    sigdefault: Collection[int] | None
    sigignore: Collection[int] | None
    rlimits: Mapping[int, int | tuple[int, int]] | None
    nice: int | None
    scheduler: tuple[int, int] | None
    affinity: Collection[int] | None
    ioprio: tuple[int, int] | None
    oom_score_adj: int | None
    timer_slack_ns: int | None
    pdeathsig: int | None
    cgroup: StrOrBytesPath | FileDescriptorLike | None
    setns: Collection[FileDescriptorLike] | None
    unshare: int | None
    uid_map: _IdMap | None
    gid_map: _IdMap | None
    capabilities: Capabilities | None
    no_new_privs: bool
    landlock: FileDescriptorLike | None
    seccomp: bytes | bytearray | memoryview | None
    hook: NativeHook | None
    via: Literal["launcher"] | None
    init: bool | Literal["kill", "wait", "leave"] | None


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
