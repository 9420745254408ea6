"""Pipelines: what goes through, whose failure counts, and that one that is stopped stops all."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from child import child
from timeouts import delayed_until

import aiospawn

if TYPE_CHECKING:
    from aiospawn._commands.capture import Capture


async def test_three_stages() -> None:
    """From input to output; every stage has its result."""
    result = await aiospawn.pipeline(
        child("copy"), ["tr", "a-z", "A-Z"], child("count"), input=b"x" * 300_000, capture_output=True, text=False
    )
    assert result.stdout == b"300000\n"
    assert result.returncode == 0
    assert [stage.returncode for stage in result.stages] == [0, 0, 0]
    assert [stage.stdout for stage in result.stages] == [None, None, b"300000\n"]
    assert all(stage.rusage is not None and stage.pid for stage in result.stages)
    assert result.args[1] == ["tr", "a-z", "A-Z"]
    assert result.elapsed == max(stage.elapsed for stage in result.stages)
    result.check_returncode()


async def test_one_stage_and_text() -> None:
    """A single command is a pipeline too."""
    result = await aiospawn.pipeline(["cat"], input="\u20ac\r\n", capture_output=True, encoding="utf-8")
    assert (result.stdout, result.stderr, result.failed) == ("\u20ac\n", "", None)


async def test_errors_of_each() -> None:
    """Each stage's errors are its own; together they are in the order of the stages."""
    result = await aiospawn.pipeline(
        ["sh", "-c", "echo first >&2"], ["sh", "-c", "cat; echo second >&2"], capture_output=True, text=True
    )
    assert [stage.stderr for stage in result.stages] == ["first\n", "second\n"]
    assert result.stderr == "first\nsecond\n"
    assert (await aiospawn.pipeline(["true"], ["true"])).stderr is None


@pytest.mark.parametrize(
    ("commands", "returncode", "at"),
    [
        ((["true"], ["true"]), 0, None),
        ((["false"], ["cat"]), 1, 0),
        ((["sh", "-c", "exit 3"], ["sh", "-c", "exit 4"], ["true"]), 4, 1),
        ((["yes"], ["head", "-n", "1"]), 0, None),
        ((["sh", "-c", "kill -9 $$"], ["cat"]), -9, 0),
        ((["true"], ["sh", "-c", "kill -13 $$"]), -13, 1),
    ],
)
async def test_whose_failure(commands: tuple[list[str], ...], returncode: int, at: int | None) -> None:
    """The last that failed; SIGPIPE before the last is none."""
    result = await aiospawn.pipeline(*commands, stdout=aiospawn.DEVNULL)
    assert result.returncode == returncode
    assert result.failed is (None if at is None else result.stages[at])
    if at is None:
        result.check_returncode()
    else:
        with pytest.raises(subprocess.CalledProcessError) as caught:
            await aiospawn.pipeline(*commands, stdout=aiospawn.DEVNULL, check=True)
        assert (caught.value.returncode, caught.value.cmd) == (returncode, commands[at])


async def test_sigpipe_is_told() -> None:
    """The stage's own result has it."""
    result = await aiospawn.pipeline(["yes"], ["head", "-n", "1"], capture_output=True)
    assert [stage.returncode for stage in result.stages] == [-signal.SIGPIPE, 0]


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_one_cannot_be_launched(position: int) -> None:
    """The others are stopped."""
    commands = [["sleep", "1000"], ["sleep", "1000"], ["sleep", "1000"]]
    commands[position] = ["/nonexistent"]
    with pytest.raises(FileNotFoundError, match="/nonexistent"):
        await aiospawn.pipeline(*commands)


@pytest.mark.loops("one")
async def test_one_cannot_be_made() -> None:
    """The same where the launch fails before there is a child."""
    with pytest.raises(ValueError, match="embedded null byte"):
        await aiospawn.pipeline(["sleep", "1000"], ["true\0"])


async def test_timeout() -> None:
    """All are stopped, and what came is in the exception."""
    stages: list[Capture] = []

    def all_has_come(stage: Capture) -> bool:
        stages.extend({stage}.difference(stages))  # the first one's time is up first
        return stages[0].output(2) == b"y\n" and stages[-1].output(1) == b"x\n"

    commands = (["sh", "-c", "echo x; echo y >&2; exec sleep 1000"], ["cat"])
    with pytest.raises(subprocess.TimeoutExpired) as caught, delayed_until(all_has_come):
        await aiospawn.pipeline(*commands, capture_output=True, timeout=0.4)
    assert (caught.value.cmd, caught.value.output, caught.value.stderr) == ([*commands], b"x\n", b"y\n")


async def test_max_output() -> None:
    """The stage that wrote too much is named."""
    with pytest.raises(aiospawn.OutputLimitExceeded) as caught:
        await aiospawn.pipeline(["yes"], ["cat"], capture_output=True, max_output=4)
    assert (caught.value.cmd, caught.value.output) == (["cat"], b"y\ny\n")


async def test_input_nobody_reads() -> None:
    """It is no error."""
    assert (await aiospawn.pipeline(["true"], ["true"], input=b"x" * 300_000)).returncode == 0


async def test_many_stages() -> None:
    """Fifty of them."""
    result = await aiospawn.pipeline(*[["cat"]] * 50, input=b"through", capture_output=True)
    assert result.stdout == b"through"


async def test_events() -> None:
    """Each stage's launch has its own number."""
    events: list[Any] = []
    await aiospawn.pipeline(["true"], ["true"], on_event=events.append)
    assert len(events) == 6
    assert len({event.launch for event in events}) == 2


@pytest.mark.loops("one")
@pytest.mark.parametrize(
    ("commands", "keywords", "error", "message"),
    [
        ((), {}, ValueError, r"pipeline\(\) needs a command"),
        ((["true"], []), {}, ValueError, r"args must name a program, got \[\]"),
        ((["true"], "cat"), {}, TypeError, r"each command as a list of arguments, got 'cat'; a shell's command is Command"),
        ((["true"],), {"capture_output": "file"}, TypeError, "capture_output must be a bool, got 'file'"),
        ((["true"],), {"capture_output": True, "stdout": 1}, ValueError, "may not be used with capture_output"),
        ((["true"],), {"timeout": -1}, ValueError, "timeout must not be negative"),
        ((["true"],), {"input": b"", "stdin": 0}, ValueError, "stdin and input"),
        ((["true"],), {"pty": True}, ValueError, "pty=True"),
    ],
)
async def test_bad_input(commands: Any, keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    """Refused before anything is launched."""
    events: list[Any] = []
    with pytest.raises(error, match=message):
        await aiospawn.pipeline(*commands, on_event=events.append, **keywords)
    assert events == []
