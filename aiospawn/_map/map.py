"""Many commands, a few at a time: `map`, an async iterator over their results.

The workers never know the `Map` that the caller holds: when nobody holds it any more, as after a plain `break`,
it is collected at once, and the workers are cancelled.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, Unpack

from aiospawn._commands.cluster_door import opened
from aiospawn._commands.command import refuse_terminal, repeatable
from aiospawn._commands.command_value import Command
from aiospawn._commands.events import observer
from aiospawn._commands.failures import CalledProcessError
from aiospawn._commands.keywords import MapKeywords
from aiospawn._commands.results import text_mode
from aiospawn._commands.run import captured, check_capture, check_times, number_of_bytes, run, written
from aiospawn._commands.sinks import sink_of
from aiospawn._commands.typed import typed
from aiospawn._options.names import of_function, renamed
from aiospawn._options.options import DEFAULTS
from aiospawn._options.validation import validated
from aiospawn._options.values import at_least, callback

from .halt import Halt
from .map_result import MapLine, MapProgress, MapResult, Output
from .workers import Workers

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from . import signatures  # noqa: TC004 - in a lambda that nobody calls

__all__ = ["Map", "MapLine", "MapProgress", "MapResult", "map"]

_Command: TypeAlias = (
    "Command | str | bytes | os.PathLike[str] | Sequence[str | bytes | os.PathLike[str] | os.PathLike[bytes]]"
)

_OF_RUN = frozenset(inspect.signature(run).parameters)


@typed(lambda: signatures.map)
def map(  # noqa: A001 - what it does, awaited
    commands: Iterable[_Command] | AsyncIterable[_Command],
    *,
    total: int | None = None,
    concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = None,
    retries: int = 0,
    backoff: float = 0.1,
    check: bool = False,
    halt: str | Halt | None = None,
    progress: Callable[[MapProgress], object] | None = None,
    on_line: Callable[[MapLine], object] | None = None,
    cluster: Any = None,
    **options: Unpack[MapKeywords],
) -> Map[Any]:
    """Runs commands, at most `concurrency` at a time, and yields a `MapResult` for each as soon as there is one.

    A launch for which descriptors, processes or memory do not suffice (EMFILE, ENFILE, EAGAIN, ENOMEM) is tried again while
    other commands of the map are running, and for some seconds more when none is.

    Leaving the loop early stops what is running. `async with aiospawn.map(...) as results:` waits for that; after a plain
    `break` it happens in the background. A cancellation, and an exception from `commands`, propagate when all is stopped. An
    asynchronous generator that is not at its end is closed then.

    Args:
        commands: Iterable or asynchronous iterable, of any length; it is read as commands are launched. Each is what `run`
            takes, such as a `Command` with options of its own.
        total: How many commands there are, where the iterable has no length; only for `progress` and `halt`.
        concurrency: How many run at a time. None: the number of processors that this process may use.
        ordered: Results come in the order of the commands; False: as the commands end.
        timeout: Seconds for each attempt. None: no limit.
        retries: How many times a command that failed is run again.
        backoff: Seconds until the first of these, doubled for each that follows.
        check: Raise for the first result that is a failure, and stop the rest. Without it, a failure is a result.
        halt: When to end early, as GNU parallel has it: `"now,fail=1"`, `"soon,done=10%"`. See `Halt.parse`. A percentage
            needs `total`, or commands that have a length. None: never.
        progress: Is called after each command, on the loop, with a `MapProgress`.
        on_line: Is called with a `MapLine` for each line that a command writes, while it runs. Otherwise as that of `run`:
            what it returns is awaited if it can be, and what it raises ends the map.
        cluster: They run on the workers of this Dask cluster (docs/cluster.md): an asynchronous `distributed.Client`, the
            address of a scheduler, `"local"`, or a `Cluster` with further rules. `concurrency` is for each worker then, by
            default its threads. None: here.
        **options: `run`'s, the same for all commands.

    Returns:
        A `Map`, an asynchronous iterator.

    Raises:
        TypeError: A bad argument, at once; from the iterator, what is no command.
        ValueError: A bad argument, at once.
        CalledProcessError: With `check`, from the iterator, which raises what `run` raises and what `commands` raises.
    """
    total = _total(total, commands)
    source = _source(commands)
    size = None if concurrency is None else at_least("concurrency", concurrency, 1)
    rules: dict[str, Any] = {
        "ordered": ordered,
        "retries": at_least("retries", retries, 0),
        "backoff": _seconds("backoff", backoff),
        "halt": _rule(halt, total),
        "progress": callback("progress", progress),
        "on_line": _told("on_line", on_line),
        "options": {"timeout": None if timeout is None else _seconds("timeout", timeout), **_checked(options)},
    }
    if cluster is None:
        workers = Workers(source, total, _processors() if size is None else size, **rules)
    else:
        workers = opened().workers(cluster, source, total, size, **rules)
    return Map(workers, check=check)


class Map(Generic[Output]):
    """The results of a map: an asynchronous iterator, and an asynchronous context manager. Made by `map`."""

    __slots__ = ("_check", "_results", "_workers")

    def __init__(self, workers: Workers, *, check: bool) -> None:
        self._workers = workers
        self._results = workers.results
        self._check = check

    def __aiter__(self) -> AsyncIterator[MapResult[Output]]:
        return self

    async def __anext__(self) -> MapResult[Output]:
        results = self._results
        if results.is_awaited:
            raise RuntimeError("the next result of this map is being waited for already")
        try:
            result = results.pop() if results.ready else await self._workers.result()
        except GeneratorExit:
            self._workers.abandon()
            raise
        except BaseException:
            await self.aclose()
            raise
        if result is None:
            raise StopAsyncIteration
        if self._check and not result.ok:
            await self.aclose()
            completed = result.completed
            if completed is None:
                assert result.error is not None
                raise result.error
            raise CalledProcessError(
                completed.returncode, completed.args, completed.stdout, completed.stderr, limit=completed.limit
            )
        return result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if not self._workers.is_thrown_away(error):
                await self.aclose()
                return
        except BaseException:  # a signal's handler may raise anywhere
            self._workers.abandon()
            raise
        self._workers.abandon()

    def __del__(self) -> None:
        self._workers.abandon()

    @property
    def progress(self) -> MapProgress:
        """How many commands have started, finished and failed so far."""
        return self._workers.progress

    @property
    def halted(self) -> MapResult[Output] | None:
        """The result by which the `halt` rule was reached."""
        return self._workers.halted

    def stop(self) -> None:
        """Starts no more commands. Those that are running may finish, and their results are still to come."""
        self._workers.stop()

    async def aclose(self) -> None:
        """Stops what is running (SIGTERM, after `grace` seconds SIGKILL) and reaps it. There are no results any more."""
        await self._workers.close()


# ---- arguments --------------------------------------------------------------------------------------------------------


def _source(commands: Any) -> Iterator[Any] | AsyncIterator[Any]:
    if isinstance(commands, (str, bytes, Command)):
        raise TypeError(f"commands must be an iterable of commands, not one command: {commands!r}")
    if isinstance(commands, AsyncIterable):
        return aiter(commands)
    if isinstance(commands, Iterable):
        return iter(commands)
    raise TypeError(f"commands must be an iterable or async iterable, not {commands!r}")


def _total(total: int | None, commands: Any) -> int | None:
    if total is not None:
        return at_least("total", total, 0)
    return len(commands) if hasattr(commands, "__len__") else None


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _seconds(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be 0 seconds or more, got {value!r}")
    return value


def _rule(halt: Any, total: int | None) -> Halt | None:
    rule = Halt.parse(halt) if isinstance(halt, str) else halt
    if rule is None:
        return None
    if not isinstance(rule, Halt):
        raise TypeError(f"halt must be a str or a Halt, not {halt!r}")
    if rule.percent and total is None:
        raise ValueError(f"halt: {rule.amount}% of the commands needs total, or commands that have a length")
    return rule


def _told(name: str, function: Any) -> Any:
    if function is not None and not callable(function):
        raise TypeError(f"{name} must be callable or None, got {function!r}")
    return function


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """A mistake in the options is the map's, not a failure of each command: these are `run`'s checks."""
    options = repeatable(given)
    get = options.get
    mode = text_mode(get("text"), get("universal_newlines"), get("encoding"), get("errors"))
    if isinstance(get("input"), AsyncIterable):
        raise TypeError(f"input must be bytes or a str, the same for each command, not {get('input')!r}")
    written(get("input"), get("stdin"), mode)
    if "on_output" in options:
        raise TypeError("map() has no on_output; it has on_line, which is called with the number of the command")
    sink_of(None, None, get("tee", False), mode)
    check_capture(get("capture_output", False))
    captured(get("stdout"), get("stderr"), bool(get("capture_output")))
    number_of_bytes("max_output", get("max_output"))
    check_times(None, get("grace", 0), get("pipe_grace"))
    refuse_terminal(options)
    observer(get("on_event"), None, arguments=False)
    try:
        validated({name: value for name, value in options.items() if name not in _OF_RUN})
    except TypeError as error:
        raise renamed(error, "map", (*of_function(map), *_OF_RUN, *DEFAULTS._fields)) from None
    return options
