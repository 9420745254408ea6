"""`supervise`: a command is kept running, and its end is reported; on its own and in a ProcessGroup."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from process_trees import STUBBORN, none_lives

import aiospawn

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE: dict[str, Any] = {"restart_sec": 0, "start_limit_interval_sec": 0}


def counting(path: Path, script: str) -> list[str]:
    """A shell script whose `$n` is the number of its run."""
    return ["sh", "-c", f"echo run >>{path}; n=$(wc -l <{path}); {script}"]


def runs(path: Path) -> int:
    return len(path.read_text().splitlines())


async def test_until_it_succeeds(tmp_path: Path) -> None:
    """on-failure is the default; every run is reported."""
    events: list[aiospawn.ProcessEvent] = []
    command = counting(tmp_path / "runs", "[ $n -ge 3 ] || exit 7")
    result = await aiospawn.supervise(command, on_event=events.append, **AT_ONCE)
    assert result == aiospawn.Supervised(command, 0, "success", 2)
    assert [type(event).__name__ for event in events] == [
        *["Spawned", "Executed", "Exited", "Restarting"] * 2, "Spawned", "Executed", "Exited",
    ]  # fmt: skip
    first = events[3]
    assert isinstance(first, aiospawn.Restarting)
    assert (first.result, first.restarts, first.delay) == ("exit-code", 1, 0)


@pytest.mark.parametrize(
    ("restart", "end", "expected"),
    [
        ("no", "exit 7", (7, "exit-code")),
        ("on-abort", "exit 7", (7, "exit-code")),
        ("on-success", "kill -9 $$", (-9, "signal")),
    ],
)
async def test_not_restarted(restart: Any, end: str, expected: tuple[int, str]) -> None:
    """What the policy does not restart is the result."""
    result = await aiospawn.supervise(end, shell=True, restart=restart, **AT_ONCE)
    assert (result.returncode, result.result, result.restarts) == (*expected, 0)


async def test_start_limit(tmp_path: Path) -> None:
    """A command that ends again and again is given up, and the exception says how it ended."""
    command = counting(tmp_path / "runs", "exit 7")
    with pytest.raises(aiospawn.StartLimitHit, match=r"ended with 7 \(exit-code\), and was started 3 times within 600 s"):
        await aiospawn.supervise(command, restart_sec=0, start_limit_burst=3, start_limit_interval_sec=600)
    assert runs(tmp_path / "runs") == 3


async def test_cannot_be_launched() -> None:
    """It is a failure, tried again as one; the exception is that of the launch, or has it as its cause."""
    with pytest.raises(aiospawn.StartLimitHit, match="could not be launched, and was started 2 times") as caught:
        await aiospawn.supervise(["/nonexistent"], restart_sec=0, start_limit_burst=2)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        await aiospawn.supervise(["/nonexistent"], restart="no")


async def test_runtime_max() -> None:
    """A run that takes too long is stopped by the signal that was asked for, and counts as a failure."""
    script = "trap 'exit 0' USR1; sleep 1000 & wait"
    result = await aiospawn.supervise(
        script, shell=True, restart="on-abort", runtime_max_sec=0.5, stop_signal=signal.SIGUSR1, **AT_ONCE
    )
    assert (result.returncode, result.result) in [(0, "timeout"), (-signal.SIGUSR1, "timeout")]  # before the trap was set


@pytest.mark.parametrize("kind", ["command", "function", "coroutine"])
async def test_health(kind: str, tmp_path: Path) -> None:
    """So many failures in a row end a run; the next one is healthy, and ends by itself."""
    ok = tmp_path / "ok"
    events: list[aiospawn.ProcessEvent] = []

    def observe(event: aiospawn.ProcessEvent) -> None:
        events.append(event)
        if isinstance(event, aiospawn.Restarting):
            ok.touch()

    def check(process: aiospawn.Process) -> bool:
        assert isinstance(process, aiospawn.Process)
        return ok.exists()

    async def awaited(process: aiospawn.Process) -> None:
        if not check(process):
            raise ArithmeticError

    result = await aiospawn.supervise(
        ["sh", "-c", f"[ -e {ok} ] || exec sleep 1000; sleep 0.2"],
        health_check={"command": ["test", "-e", str(ok)], "function": check, "coroutine": awaited}[kind],
        health_interval=0.05, health_retries=2, on_event=observe, **AT_ONCE,
    )  # fmt: skip
    assert (result.returncode, result.result, result.restarts) == (0, "success", 1)
    unhealthy = [event for event in events if isinstance(event, aiospawn.Unhealthy)]
    assert [event.failures for event in unhealthy] == [1, 2]
    assert {type(event.error) for event in unhealthy} == {ArithmeticError if kind == "coroutine" else type(None)}
    assert [event.result for event in events if isinstance(event, aiospawn.Restarting)] == ["watchdog"]


async def test_start_period() -> None:
    """Failures in it do not count, until the first success."""
    answers = iter([False, False, True, False])

    result = await aiospawn.supervise(
        ["sleep", "1000"], health_check=lambda _: next(answers), health_interval=0.01, health_retries=1,
        health_start_period=1000, restart="no",
    )  # fmt: skip
    assert result.result == "watchdog"
    assert next(answers, None) is None


async def test_check_that_hangs() -> None:
    """Each check has its time."""
    result = await aiospawn.supervise(
        ["sleep", "1000"],
        health_check=["sleep", "1000"],
        health_interval=0,
        health_timeout=0.05,
        health_retries=1,
        restart="no",
    )
    assert result.result == "watchdog"


async def test_cancelled() -> None:
    """While it runs, whole trees are stopped; while it waits for a restart, nothing is left."""
    loop = asyncio.get_running_loop()
    read, write = os.pipe()
    with open(read, "rb") as pids, open(write, "wb") as output:  # noqa: ASYNC230 - a pipe's ends
        task = loop.create_task(aiospawn.supervise(STUBBORN, stdout=output, grace=0.1, restart="always"))
        lives = [int(await loop.run_in_executor(None, pids.readline)) for _ in range(3)]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await none_lives(lives)
    restarting = asyncio.Event()

    def observe(event: aiospawn.ProcessEvent) -> None:
        if isinstance(event, aiospawn.Restarting):
            restarting.set()

    task = loop.create_task(aiospawn.supervise(["false"], restart_sec=1000, on_event=observe))
    await restarting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_descendants_end_with_their_run(tmp_path: Path) -> None:
    """The next run does not meet what the last one left in its process group."""
    path = tmp_path / "pid"
    result = await aiospawn.supervise(
        f"[ -e {path} ] && exit 0; sleep 1000 & echo $! >{path}; exit 1", shell=True, grace=1, **AT_ONCE
    )
    assert result.restarts == 1
    assert await none_lives([int(path.read_text())])


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"stdout": aiospawn.PIPE}, ValueError, r"stdout=-1 \(PIPE\)"),
        ({"pty": True}, ValueError, "pty=True"),
        ({"health_check": "true"}, TypeError, "health_check must be a callable or a list of arguments, got 'true'"),
        ({"health_check": 3}, TypeError, "health_check must be a callable or a list of arguments, got 3"),
        ({"health_check": ["test", 3]}, TypeError, r"health_check must be a callable or .*, got \['test', 3\]"),
        ({"health_check": []}, ValueError, r"health_check must name a program, got \[\]"),
        ({"success_exit_status": ["TRUM"]}, ValueError, "success_exit_status: there is no 'TRUM': did you mean"),
        ({"health_retries": 0}, ValueError, "health_retries must be between 1 and .*, got 0"),
        ({"health_interval": -1}, ValueError, "health_interval must not be negative, got -1"),
        ({"stop_signal": 0}, ValueError, "stop_signal must be between 1 and 64, got 0"),
        ({"grace": None}, TypeError, "grace must be a number of seconds, got None"),
        ({"on_event": 3}, TypeError, "on_event must be callable or None, got 3"),
        ({"nice": "x"}, TypeError, "nice"),
    ],
)
async def test_bad_arguments(keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    """They are refused by name and value before anything runs, also in a group."""
    with pytest.raises(error, match=message):
        await aiospawn.supervise(["true"], **keywords)
    async with aiospawn.ProcessGroup() as group:
        with pytest.raises(error, match=message):
            group.supervise("true", **keywords)


# ---- in a group -------------------------------------------------------------------------------------------------------


async def test_group_waits(tmp_path: Path) -> None:
    """The block waits for a supervised command, with the group's observer and options."""
    events: list[aiospawn.ProcessEvent] = []
    async with aiospawn.ProcessGroup(on_event=events.append, cwd=tmp_path) as group:
        task = group.supervise("sh", "-c", "[ -e done ] || { touch done; exit 1; }", **AT_ONCE)
    assert task.result().restarts == 1
    assert len([event for event in events if isinstance(event, aiospawn.Exited)]) == 2


async def test_group_stops() -> None:
    """An exception in the block stops it; so does stop()."""
    with pytest.raises(ArithmeticError):  # noqa: PT012
        async with aiospawn.ProcessGroup(grace=1) as group:
            task = group.supervise("sleep", "1000", restart="always")
            await asyncio.sleep(0.05)
            raise ArithmeticError
    assert task.cancelled()
    async with aiospawn.ProcessGroup(grace=1) as group:
        task = group.supervise("sleep", "1000", restart="always")
        await asyncio.sleep(0.05)
        await group.stop()
    assert task.cancelled()


async def test_group_of_one_that_is_given_up() -> None:
    """It stops the others, and the block raises."""
    with pytest.raises(aiospawn.StartLimitHit):  # noqa: PT012
        async with aiospawn.ProcessGroup(grace=1) as group:
            other = await group.spawn("sleep", "1000")
            supervised = group.supervise("sleep", "1000")
            group.supervise("false", restart_sec=0, start_limit_burst=1)
    assert other.returncode == -signal.SIGTERM
    assert supervised.cancelled()


async def test_group_outside_of_its_block() -> None:
    """Nobody would own the task."""
    with pytest.raises(RuntimeError, match=r"supervise\(\) outside of the ProcessGroup's block"):
        aiospawn.ProcessGroup().supervise("true")


async def test_group_whose_task_is_cancelled() -> None:
    """Cancelling the task stops the command and leaves the group alone."""
    async with aiospawn.ProcessGroup(grace=1) as group:
        task = group.supervise("sleep", "1000")
        await asyncio.sleep(0.05)
        task.cancel()
    assert task.cancelled()
