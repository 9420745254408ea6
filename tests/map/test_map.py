"""`aiospawn.map`: what its results are, how far it reads ahead, and how it ends."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import functools
import gc
import os
import resource
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from dask_workers import commands_of
from timeouts import delayed_until, printed
from until import until

import aiospawn
from aiospawn._binding import library
from aiospawn._binding.native import Launched, Native
from aiospawn._commands.repeated_run import RepeatedRun
from aiospawn._map import runner as _runner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from dask_workers import DaskWorkers

# How a child is launched is none of its business.
pytestmark = pytest.mark.loops("kinds")

TRUE, FALSE, SLEEP = ["true"], ["false"], ["sleep", "1000"]
orders = pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])


_HERE = {  # what does not run on a cluster as well, and why
    "test_slow_first": "how commands are shared out is looked at in tests/cluster",
    "test_timeout": "the time-out is delayed in this process",
    "test_caller_that_is_slow": "how far ahead commands are taken depends on how fast the agents are",
    "test_async_source_and_a_slow_caller": "as above",
    "test_halt": "agents run ahead of what the map has heard: which commands have ended by then is not known",
    "test_backoff": "the pause is replaced in this process",
    "test_stopped_in_a_pause": "as above",
    "test_shortage": "the shortage is of this process",
    "test_descriptors_run_short": "as above",
    "test_memory": "its window is larger, and grows with the agents' pace",
}
_ON_A_CLUSTER = pytest.param(
    *("on a cluster", "one worker"), marks=[pytest.mark.slow, pytest.mark.once, pytest.mark.loops("one")]
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test runs in each way."""
    ways = [("here", "one worker"), ("here", "workers")]
    elsewhere = [] if metafunc.function.__name__ in _HERE else [_ON_A_CLUSTER]
    metafunc.parametrize(("place", "way"), [*ways, *elsewhere], indirect=True, scope="module")


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest) -> DaskWorkers | None:
    """Its cluster."""
    return None if request.param == "here" else request.getfixturevalue("one_worker")


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest, place: DaskWorkers | None) -> Iterator[None]:
    """Where only results are wanted a map needs no task for each that runs: what it promises is the same."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "workers":
            patch.setattr(RepeatedRun, "is_plain", lambda _: False)
        if place is not None:
            patch.setattr(aiospawn, "map", functools.partial(aiospawn.map, cluster=place.address))
            patch.setattr(fresh, "children", lambda: commands_of(place))
        yield


def exits(*statuses: int) -> list[list[str]]:
    return [["/bin/sh", "-c", f"exit {status}"] for status in statuses]


def waits_for(flag: Path) -> list[str]:
    """Ends when there is a file of that name."""
    return ["/bin/sh", "-c", 'while [ ! -e "$0" ]; do sleep 0.01; done', str(flag)]


async def collected(*args: Any, **keywords: Any) -> list[aiospawn.MapResult]:
    async with aiospawn.map(*args, **keywords) as results:
        return [result async for result in results]


# ---- results ----------------------------------------------------------------------------------------------------------


@orders
async def test_results(ordered: bool) -> None:
    """Each command has one, with its output, return code and number."""
    commands = [["/bin/sh", "-c", f"echo {number}; exit {number % 3}"] for number in range(20)]
    results = await collected(commands, concurrency=4, ordered=ordered, capture_output=True)
    if ordered:
        assert [result.number for result in results] == list(range(20))
    assert sorted(result.number for result in results) == list(range(20))
    for result in results:
        assert result.command is commands[result.number]
        assert result.completed is not None
        assert result.stdout == f"{result.number}\n".encode()
        assert result.stderr == b""
        assert result.returncode == result.number % 3
        assert result.ok == (result.number % 3 == 0)
        assert (result.attempts, result.error) == (1, None)
        assert result.elapsed == result.completed.elapsed > 0


async def test_slow_first() -> None:
    """A slow command holds back the results behind it where they are ordered, and only there."""
    script = 'while [ ! -e "$0" ]; do sleep 0.01; done'
    commands = [["/bin/sh", "-c", script, "/"], TRUE, TRUE]
    assert [result.number for result in await collected(commands, concurrency=3)] == [0, 1, 2]


async def test_as_they_end(tmp_path: Path) -> None:
    """Unordered, a result comes while the command before it still runs: this one ends only then."""
    flag = tmp_path / "flag"
    numbers = []
    async with aiospawn.map([waits_for(flag), TRUE], concurrency=2, ordered=False) as results:
        async for result in results:
            numbers.append(result.number)
            flag.touch()
    assert numbers == [1, 0]


async def test_launch_that_fails() -> None:
    """It is a result, with the error that `run` raises."""
    missing, bad, fine = await collected([["/nonexistent"], ["true", "a\0b"], TRUE])
    assert isinstance(missing.error, FileNotFoundError)
    assert missing.error.step == "execve"  # type: ignore[attr-defined]
    assert isinstance(bad.error, ValueError)
    for result in (missing, bad):
        assert (result.ok, result.completed, result.returncode, result.stdout, result.attempts) == (
            False,
            None,
            None,
            None,
            1,
        )
    assert fine.ok


async def test_timeout() -> None:
    """A command that is stopped is a result, with the output that had come."""
    with delayed_until(printed(1)):
        stopped, fine = await collected(
            [["/bin/sh", "-c", "echo begun; exec sleep 1000"], TRUE], timeout=0.5, capture_output=True
        )
    assert isinstance(stopped.error, subprocess.TimeoutExpired)
    assert (stopped.ok, stopped.returncode, stopped.stdout) == (False, None, b"begun\n")
    assert fine.ok


async def test_options() -> None:
    """`run`'s options are for every command."""
    results = await collected(["echo $A; pwd"] * 2, shell=True, env={"A": "b"}, cwd="/", text=True, stdout=aiospawn.PIPE)
    assert [result.stdout for result in results] == ["b\n/\n"] * 2


async def test_no_commands() -> None:
    """Nothing comes of nothing."""
    assert await collected([]) == []


# ---- sources ----------------------------------------------------------------------------------------------------------


async def test_async_source() -> None:
    """An async iterable may take its time, and is asked for one command at a time."""

    async def commands() -> AsyncIterator[list[str]]:
        for number in range(10):
            await asyncio.sleep(0)
            yield ["echo", str(number)]

    results = await collected(commands(), concurrency=3, capture_output=True)
    assert [result.stdout for result in results] == [f"{number}\n".encode() for number in range(10)]


@orders
@pytest.mark.parametrize("wrong", [False, True])
async def test_source_that_raises(ordered: bool, wrong: bool) -> None:
    """What it raises, and TypeError for what is no command, comes out of the loop, and what runs is stopped."""

    def commands() -> Iterator[Any]:
        yield SLEEP
        if wrong:
            yield 5
        raise KeyError("source")

    with pytest.raises(TypeError if wrong else KeyError):
        await collected(commands(), concurrency=2, ordered=ordered)
    assert not fresh.children()


@pytest.mark.parametrize(("ordered", "ahead"), [(True, 12), (False, 6)])
async def test_caller_that_is_slow(ordered: bool, ahead: int) -> None:
    """The source waits for it."""
    taken = 0

    def commands() -> Iterator[list[str]]:
        nonlocal taken
        while True:
            taken += 1
            yield TRUE

    async with aiospawn.map(commands(), concurrency=3, ordered=ordered) as results:
        await anext(results)
        await until(lambda: taken == ahead + 1)
        await asyncio.sleep(0.1)
        assert taken == ahead + 1  # one was handed over


# ---- ends -------------------------------------------------------------------------------------------------------------


async def test_left_early() -> None:
    """Leaving the block stops what runs, before it goes on."""
    async with aiospawn.map([TRUE, SLEEP, SLEEP], concurrency=3, ordered=False) as results:
        async for result in results:
            assert result.ok
            break
    assert not fresh.children()
    assert [result async for result in results] == []


async def test_plain_break() -> None:
    """It stops what runs, in the background."""
    async for result in aiospawn.map([TRUE, SLEEP, SLEEP], concurrency=3, ordered=False):
        assert result.ok
        break
    gc.collect()
    await until(lambda: len(asyncio.all_tasks()) == 1 and not fresh.children())


async def test_never_begun() -> None:
    """A map that nobody iterates runs nothing, and closing it is no error."""
    results = aiospawn.map([SLEEP])
    await results.aclose()
    await results.aclose()
    assert [result async for result in results] == []
    aiospawn.map([SLEEP])


@orders
async def test_cancelled(ordered: bool) -> None:
    """A cancellation stops what runs, and then goes on; descendants that ignore SIGTERM too."""
    stubborn = ["/bin/sh", "-c", "trap '' TERM; sleep 1000 & wait; wait"]
    task = asyncio.create_task(collected([stubborn, SLEEP] * 3, concurrency=4, ordered=ordered, grace=0.2))
    await until(lambda: len(fresh.children()) == 4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not fresh.children()


async def test_cancelled_twice() -> None:
    """The second cancellation does not wait for the grace."""
    stubborn = ["/bin/sh", "-c", "trap '' TERM; echo; sleep 1000 & wait; wait"]
    task = asyncio.create_task(collected([stubborn, FALSE], concurrency=2, ordered=False, grace=1000))
    await until(lambda: [*map(_ignores_term, fresh.children())] == [True])
    task.cancel()
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not fresh.children()


def _ignores_term(pid: int) -> bool:
    with open(f"/proc/{pid}/status") as status:
        ignored = next(line for line in status if line.startswith("SigIgn:"))
    return bool(int(ignored.split()[1], 16) & 1 << signal.SIGTERM - 1)


async def test_two_callers() -> None:
    """The next result is for one of them; the other gets an error, and nothing else happens."""
    async with aiospawn.map([["sleep", "0.2"], TRUE]) as results:
        first = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already"):
            await anext(results)
        assert (await first).number == 0
        assert [result.number async for result in results] == [1]


@orders
async def test_async_source_and_a_slow_caller(ordered: bool) -> None:
    """It is read no further ahead than any other."""
    taken = 0

    async def commands() -> AsyncIterator[list[str]]:
        nonlocal taken
        while True:
            taken += 1
            await asyncio.sleep(0)
            yield TRUE

    ahead = 3 * (4 if ordered else 2)
    async with aiospawn.map(commands(), concurrency=3, ordered=ordered) as results:
        await anext(results)
        await until(lambda: taken > ahead)
        await asyncio.sleep(0.1)
        assert taken == ahead + 1


async def test_generator_is_closed() -> None:
    """What an async generator has to clean up is done when the map is closed."""
    closed = False

    async def commands() -> AsyncIterator[list[str]]:
        nonlocal closed
        try:
            while True:
                yield TRUE
        finally:
            await asyncio.sleep(0)
            closed = True

    async with aiospawn.map(commands(), concurrency=2) as results:
        await anext(results)
    assert closed


async def test_check() -> None:
    """With `check` the first failure is raised, and what runs is stopped."""
    with pytest.raises(subprocess.CalledProcessError) as failure:
        await collected([["/bin/sh", "-c", "echo out; exit 3"], SLEEP], concurrency=2, check=True, capture_output=True)
    assert (failure.value.returncode, failure.value.stdout) == (3, b"out\n")
    assert not fresh.children()
    with pytest.raises(FileNotFoundError):
        await collected([TRUE, ["/nonexistent"], SLEEP], check=True)


async def test_stop(tmp_path: Path) -> None:
    """No more commands are taken; those that run are waited for, and a source that waits is given up."""
    endless, stopped = asyncio.Event(), tmp_path / "stopped"

    async def commands() -> AsyncIterator[list[str]]:
        yield waits_for(stopped)
        await endless.wait()

    async def stop() -> None:
        await until(fresh.children)
        results.stop()
        stopped.touch()

    async with aiospawn.map(commands(), concurrency=2) as results:
        stopping = asyncio.create_task(stop())
        assert [result.ok async for result in results] == [True]
        assert results.progress == (1, 1, 0, None)
        await stopping


# ---- halt -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "finished"),
    [
        ("now,fail=1", 2), ("soon,fail=2", 4), ("now,success=1", 1), ("soon,success=2", 3), ("now,done=3", 3), ("never", 6),
        ("now,fail=50%", 5), ("soon,success=34%", 6), ("now,success=33%", 3), ("2", 2), ("50%", 5), ("-1", 1), ("0", 6),
        (aiospawn.Halt("now", "done", 1), 1),
    ],
)  # fmt: skip
async def test_halt(rule: Any, finished: int) -> None:
    """Commands are run until the rule is reached."""
    async with aiospawn.map(exits(0, 1, 0, 1, 1, 0), concurrency=1, halt=rule) as results:
        numbers = [result.number async for result in results]
        assert numbers == list(range(finished))
        ended_early = results.halted is not None
        assert ended_early == (finished < 6 or rule == "soon,success=34%")
        if results.halted is not None:
            assert results.halted.number == finished - 1


@orders
async def test_halt_now_and_soon(ordered: bool, tmp_path: Path) -> None:
    """`now` stops what runs, which then has no result; `soon` waits for it."""
    results = await collected([SLEEP, FALSE, SLEEP], concurrency=3, ordered=ordered, halt="now,fail=1")
    assert [result.number for result in results] == [1]
    failed = tmp_path / "failed"
    results = await collected(
        [waits_for(failed), FALSE, SLEEP],
        concurrency=2,
        ordered=ordered,
        halt="soon,fail=1",
        progress=lambda _: failed.touch(),  # the first that ends is the second
    )
    assert sorted(result.number for result in results) == [0, 1]


# ---- again ------------------------------------------------------------------------------------------------------------


async def test_retries(tmp_path: Path) -> None:
    """A command that fails is run again, at most so often."""
    third = ["/bin/sh", "-c", 'echo >> "$0"; [ $(wc -l < "$0") = 3 ]', str(tmp_path / "third")]
    good, bad, missing = await collected([third, FALSE, ["/nonexistent"]], retries=2, backoff=0)
    assert (good.ok, good.attempts) == (True, 3)
    assert (bad.ok, bad.attempts) == (False, 3)
    assert (missing.ok, missing.attempts) == (False, 3)


async def test_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause before each attempt is twice the one before."""
    pauses = []

    async def note(_: _runner.Runner, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(_runner.Runner, "_pause", note)
    await collected([FALSE], retries=4, backoff=0.5)
    assert pauses == [0.5, 1.0, 2.0, 4.0]


async def test_stopped_in_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A map that is stopped tries nothing again: the failure is the result."""
    pausing = asyncio.Event()
    pause = _runner.Runner._pause

    async def noted(runner: _runner.Runner, seconds: float) -> None:
        pausing.set()
        await pause(runner, seconds)

    monkeypatch.setattr(_runner.Runner, "_pause", noted)
    async with aiospawn.map([FALSE], retries=5, backoff=1000, concurrency=1) as results:
        waiting = asyncio.ensure_future(anext(results))
        await pausing.wait()
        results.stop()
        result = await waiting
    assert (result.ok, result.attempts) == (False, 1)


async def test_descriptors_run_short() -> None:
    """A launch for which there are no descriptors is tried again when others have ended."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    commands = [["/bin/sh", "-c", "sleep 0.05; echo x"] for _ in range(60)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 40, hard))
    try:
        results = await collected(commands, concurrency=40, capture_output=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [result.stdout for result in results] == [b"x\n"] * 60
    assert lowest_free < 1000


@pytest.mark.parametrize("command", [TRUE, (*TRUE,)], ids=["options looked at once", "options looked at each time"])
@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_shortage(code: int, command: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """It is waited out; one that lasts while nothing else runs is a failure at last."""
    pauses: list[float] = []
    launches = 0
    launch = Native.launch
    at, release = (library.address(library.ffi.addressof(library.lib, f"aiospawn_{name}")) for name in ("launch", "release"))
    native_function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)

    async def note(_: _runner.Runner, seconds: float) -> None:
        pauses.append(seconds)

    def is_short() -> bool:
        nonlocal launches
        launches += 1
        return launches <= lasts

    def short(native: Native, data: bytes) -> Launched:
        if is_short():
            raise OSError(code, os.strerror(code))
        return launch(native, data)

    @native_function
    def short_of_extension(*arguments: Any) -> int:
        return -code if is_short() else native_function(at)(*arguments)

    monkeypatch.setattr(_runner.Runner, "_pause", note)
    monkeypatch.setattr(Native, "launch", short)
    request.addfinalizer(lambda: library._plain.use(at, release))
    library._plain.use(ctypes.cast(short_of_extension, ctypes.c_void_p).value, release)
    lasts = 3
    (result,) = await collected([command])
    assert result.ok
    assert result.attempts == 1
    assert pauses == [0.01, 0.02, 0.04]
    assert launches == 4
    lasts = 1000
    (result,) = await collected([command])
    assert isinstance(result.error, OSError)
    assert result.error.errno == code
    assert sum(pauses) > 2


async def test_progress() -> None:
    """The callback hears of each command."""
    heard: list[aiospawn.MapProgress] = []
    await collected(exits(0, 1, 0), concurrency=1, progress=heard.append)
    assert [(each.finished, each.failed, each.total) for each in heard] == [(1, 0, 3), (2, 1, 3), (3, 1, 3)]
    await collected(iter(exits(0)), total=7, progress=heard.append)
    assert heard[-1] == (1, 1, 0, 7)


async def test_progress_that_raises() -> None:
    """Its exception comes out of the loop."""

    def fail(_: aiospawn.MapProgress) -> None:
        raise KeyError("progress")

    with pytest.raises(KeyError):
        await collected([TRUE, SLEEP], concurrency=2, progress=fail)


@pytest.mark.once
@orders
async def test_memory(ordered: bool) -> None:
    """It does not grow with the commands that are done."""
    commands = (TRUE for _ in range(2500))
    async with aiospawn.map(commands, concurrency=16, ordered=ordered, capture_output=True) as results:
        async for result in results:
            if result.number == 500:
                before = _resident_kib()
    assert _resident_kib() - before < 1024


def _resident_kib() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 1024
