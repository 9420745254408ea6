"""What `run`, `pipeline`, `lines` and the others take by name besides the options of a launch (PEP 692).

Annotations are not strings here, as in `_options.keywords`, and for the same reason.
"""

from collections.abc import AsyncIterable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from aiospawn._options.keywords import CommandOptions, Stream, StrOrBytesPath

from .events import ProcessEvent

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
else:
    ReadableBuffer = Any  # collections.abc.Buffer, from Python 3.12 on

__all__ = [
    "CommandKeywords",
    "MapKeywords",
    "OnEvent",
    "OnOutput",
    "ReadableBuffer",
    "StreamName",
    "SuperviseKeywords",
    "SystemKeywords",
]

OnEvent: TypeAlias = Callable[[ProcessEvent], object]
StreamName: TypeAlias = Literal["stdout", "stderr"]
OnOutput: TypeAlias = Callable[[StreamName, Any], object]


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


class _Either(TypedDict, total=False):
    text: bool | None
    universal_newlines: bool | None
    encoding: str | None
    errors: str | None


class _EitherInput(_Either, total=False):
    input: str | ReadableBuffer | None


class _AsRun(_Collected, total=False):
    capture_output: bool | Literal["file"]
    shell: bool


class _BytesFed(TypedDict, total=False):
    input: ReadableBuffer | AsyncIterable[ReadableBuffer] | None


class _BytesLive(_BytesFed, total=False):
    on_output: Callable[[StreamName, bytes], object] | None
    on_line: Callable[[StreamName, bytes], object] | None
    tee: bool


class MapKeywords(_EitherInput, _AsRun, CommandOptions, total=False):
    """`run`'s, but for `check`, `timeout` and `on_line`, which `map` has itself, and `on_output`."""

    tee: bool


class CommandKeywords(CommandOptions, total=False):
    """Of a `Command`: what can differ from one command to another."""

    input: str | ReadableBuffer | AsyncIterable[str] | AsyncIterable[ReadableBuffer] | None
    stdin: Stream
    stdout: Stream
    stderr: Stream
    shell: bool
    timeout: float | None
    grace: float
    pipe_grace: float | None
    max_output: int | None


class _Supervised(TypedDict, total=False):
    restart: Literal["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"]
    restart_sec: float
    restart_steps: int
    restart_max_delay_sec: float | None
    restart_jitter: float
    start_limit_interval_sec: float
    start_limit_burst: int
    success_exit_status: Collection[int | str]
    restart_prevent_exit_status: Collection[int | str]
    restart_force_exit_status: Collection[int | str]
    runtime_max_sec: float | None
    health_check: Iterable[StrOrBytesPath] | Callable[[Any], object] | None
    health_interval: float
    health_timeout: float
    health_retries: int
    health_start_period: float
    stop_signal: int | str
    stdout: Stream


class SuperviseKeywords(_Supervised, _Awaited, CommandOptions, total=False): ...


class SystemKeywords(_BytesLive, _Collected, _Judged, CommandOptions, total=False):
    """`run`'s, but for those of a result's output."""

    cluster: Any
