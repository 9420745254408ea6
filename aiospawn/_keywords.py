"""What the functions take by name, as a type checker and an editor know it: `**options: Unpack[LaunchOptions]` (PEP 692).

What each option does is in docs/options.md, what it accepts in `_checks`; these are the types of that. Annotations are not
strings here, as they are elsewhere: so `typing.get_type_hints` finds all of them, and importing compiles none.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

from ._observe import ProcessEvent
from ._options import NativeHook, StrOrBytesPath

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
else:
    ReadableBuffer = Any  # collections.abc.Buffer, from Python 3.12 on

__all__ = [
    "AnyLines",
    "AnyPipeline",
    "AnyRun",
    "Args",
    "BytesLines",
    "BytesPipeline",
    "BytesRun",
    "Capabilities",
    "CommandOptions",
    "ExecKeywords",
    "FileDescriptorLike",
    "HasFileno",
    "LaunchOptions",
    "LinesKeywords",
    "MapKeywords",
    "OnEvent",
    "PipelineKeywords",
    "RunKeywords",
    "ShellKeywords",
    "StrOrBytesPath",
    "Stream",
    "SuperviseKeywords",
    "SystemKeywords",
    "TextLines",
    "TextPipeline",
    "TextRun",
]


class HasFileno(Protocol):
    def fileno(self) -> int: ...


FileDescriptorLike: TypeAlias = int | HasFileno
Stream: TypeAlias = FileDescriptorLike | None
Args: TypeAlias = StrOrBytesPath | Iterable[StrOrBytesPath]
OnEvent: TypeAlias = Callable[[ProcessEvent], object]
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


# ---- commands awaited: what they have themselves is shown before the options of the launch ----------------------------


class _Awaited(TypedDict, total=False):
    stdin: Stream
    stderr: Stream
    grace: float
    on_event: OnEvent | None
    event_arguments: bool


class _Judged(TypedDict, total=False):
    check: bool
    timeout: float | None


class _Collected(_Awaited, total=False):
    stdout: Stream
    pipe_grace: float | None
    max_output: int | None


class _Text(TypedDict, total=False):
    encoding: str | None
    errors: str | None


class _Bytes(TypedDict, total=False):
    text: Literal[False] | None
    universal_newlines: Literal[False] | None
    encoding: None
    errors: None


class _Either(TypedDict, total=False):
    text: bool | None
    universal_newlines: bool | None
    encoding: str | None
    errors: str | None


class _TextInput(_Text, total=False):
    input: str | None


class _BytesInput(_Bytes, total=False):
    input: ReadableBuffer | None


class _EitherInput(_Either, total=False):
    input: str | ReadableBuffer | None


class _AsRun(_Collected, total=False):
    capture_output: bool | Literal["file"]
    shell: bool


class _Run(_AsRun, _Judged, total=False): ...


class RunKeywords(_Run, CommandOptions, total=False): ...


class TextRun(_TextInput, _Run, CommandOptions, total=False): ...


class BytesRun(_BytesInput, _Run, CommandOptions, total=False): ...


class AnyRun(_EitherInput, _Run, CommandOptions, total=False): ...


class MapKeywords(_EitherInput, _AsRun, CommandOptions, total=False):
    """`run`'s, but for `check` and `timeout`, which `map` has itself."""


class _Supervised(TypedDict, total=False):
    restart: Literal["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"]
    restart_sec: float
    restart_steps: int
    restart_max_delay_sec: float | None
    restart_jitter: float
    start_limit_interval_sec: float
    start_limit_burst: int
    success_exit_status: Collection[int]
    restart_prevent_exit_status: Collection[int]
    restart_force_exit_status: Collection[int]
    runtime_max_sec: float | None
    health_check: Iterable[StrOrBytesPath] | Callable[[Any], object] | None
    health_interval: float
    health_timeout: float
    health_retries: int
    health_start_period: float
    stop_signal: int
    stdout: Stream


class SuperviseKeywords(_Supervised, _Awaited, CommandOptions, total=False): ...


class SystemKeywords(_Collected, _Judged, CommandOptions, total=False):
    """`run`'s, but for those of a result's output."""

    input: ReadableBuffer | None


class _Pipeline(_Collected, _Judged, total=False):
    capture_output: bool


class PipelineKeywords(_Pipeline, CommandOptions, total=False): ...


class TextPipeline(_TextInput, _Pipeline, CommandOptions, total=False): ...


class BytesPipeline(_BytesInput, _Pipeline, CommandOptions, total=False): ...


class AnyPipeline(_EitherInput, _Pipeline, CommandOptions, total=False): ...


class _Lines(_Awaited, _Judged, total=False):
    max_line: int | None
    shell: bool


class LinesKeywords(_Lines, CommandOptions, total=False): ...


class TextLines(_Text, _Lines, CommandOptions, total=False): ...


class BytesLines(_Bytes, _Lines, CommandOptions, total=False): ...


class AnyLines(_Either, _Lines, CommandOptions, total=False): ...
