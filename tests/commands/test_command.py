"""Commands as values: their own options go before the common ones, and results have their tag."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import aiospawn
from aiospawn import Command

if TYPE_CHECKING:
    from pathlib import Path


def test_value() -> None:
    """It is compared, shown without secrets, and does not change."""
    command = Command(iter(["ls", "-l"]), cwd="/", env={"TOKEN": "secret"}, tag=5)
    assert command == Command(["ls", "-l"], tag=5, env={"TOKEN": "secret"}, cwd="/")
    assert (command.args, command.tag, command.options) == (["ls", "-l"], 5, {"cwd": "/", "env": {"TOKEN": "secret"}})
    assert repr(command) == "Command(['ls', '-l'], tag=5, cwd='/', env=...)"
    faster = command.with_options(timeout=1, cwd="/tmp")
    assert (faster.options["cwd"], faster.options["timeout"], faster.tag) == ("/tmp", 1, 5)
    assert command.options["cwd"] == "/"
    assert command != faster
    assert command != "ls"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Command([]), ValueError, r"args must name a program, got \[\]"),
        (lambda: Command("ls -l"), ValueError, "shell=True"),
        (lambda: Command(["ls"], timeout=-1), ValueError, "timeout must not be negative, got -1"),
        (lambda: Command(["ls"], cwdd="/"), TypeError, r"Command\(\) got an unexpected .* 'cwdd': did you mean 'cwd'\?"),  # type: ignore[call-arg]
        (lambda: Command(["ls"], pty=True), TypeError, r"Command\(\) got an unexpected .* 'pty'"),  # type: ignore[call-arg]
        (lambda: aiospawn.map(Command(["ls"])), TypeError, "not one command"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_bad_commands(make: Any, error: type[Exception], message: str) -> None:
    """Refused where they are made."""
    with pytest.raises(error, match=message):
        make()


@pytest.mark.loops("one")
async def test_run(tmp_path: Path) -> None:
    """Its options before those of the call."""
    command = Command("pwd; cat", shell=True, cwd=tmp_path, input=b"in", tag="mine")
    result = await aiospawn.run(command, cwd="/", capture_output=True)
    assert (result.stdout, result.tag, result.args) == (f"{tmp_path}\nin".encode(), "mine", "pwd; cat")
    assert (await aiospawn.run(["true"])).tag is None
    with pytest.raises(subprocess.TimeoutExpired, match=r"'sleep', '1000'.* after 0\.01 seconds"):
        await aiospawn.run(Command(["sleep", "1000"], timeout=0.01), timeout=1000)
    assert await aiospawn.system("exit 0") == 0


@pytest.mark.loops("one")
async def test_map() -> None:
    """Each with its own options; results and live lines have the tag."""
    seen: list[Any] = []
    commands = [Command("cat; echo $X", shell=True, input=f"{n}-", env={"X": str(n)}, tag=n) for n in range(3)]
    async with aiospawn.map(
        [*commands, "echo plain"],
        shell=True,
        input="",
        capture_output=True,
        text=True,
        on_line=lambda line: seen.append(line.tag),
    ) as results:
        found = [(result.tag, result.stdout, result.command) async for result in results]
    assert found == [*((n, f"{n}-{n}\n", commands[n]) for n in range(3)), (None, "plain\n", "echo plain")]
    assert sorted(seen, key=str) == [0, 1, 2, None]
    async for result in aiospawn.map([Command(["sleep", "1000"], timeout=0.01, tag="slow")]):
        assert isinstance(result.error, subprocess.TimeoutExpired)
        assert result.tag == "slow"


@pytest.mark.loops("one")
async def test_lines(tmp_path: Path) -> None:
    """Likewise."""
    command = Command(["pwd"], cwd=tmp_path)
    assert [line async for line in aiospawn.lines(command, text=True)] == [f"{tmp_path}\n"]
    with pytest.raises(ValueError, match=r"lines\(\) takes no max_output of a Command, got max_output=5"):
        aiospawn.lines(command.with_options(max_output=5))


@pytest.mark.loops("one")
async def test_process_group(tmp_path: Path) -> None:
    """Processes have the tag."""
    async with aiospawn.ProcessGroup(cwd="/") as group:
        process = await group.spawn(Command("pwd", shell=True, cwd=tmp_path, stdout=aiospawn.PIPE, tag="here"))
        assert process.tag == "here"
        assert process.stdout is not None
        assert await process.stdout.read() == f"{tmp_path}\n".encode()
        assert (await group.spawn("true")).tag is None
        with pytest.raises(ValueError, match=r"spawn\(\) takes no timeout of a Command, got timeout=5: a process has none"):
            await group.spawn(Command(["true"], timeout=5))
        with pytest.raises(TypeError, match="a Command, or a program and its arguments"):
            await group.spawn(Command(["true"]), "x")


@pytest.mark.loops("one")
async def test_pipeline(tmp_path: Path) -> None:
    """Each stage with its own, and the ends may have theirs."""
    first = Command("pwd; echo error >&2", shell=True, cwd=tmp_path, stderr=aiospawn.PIPE, tag=1)
    result = await aiospawn.pipeline(first, ["cat"], Command(["cat"], stdout=aiospawn.PIPE), text=True)
    assert (result.stdout, result.stderr) == (f"{tmp_path}\n", "error\n")
    assert [stage.tag for stage in result.stages] == [1, None, None]
    assert [stage.stderr for stage in result.stages] == ["error\n", None, None]
    for commands, name in (
        ([Command(["true"], timeout=5)], "timeout=5"),
        ([["true"], Command(["true"], stdin=aiospawn.DEVNULL)], "stdin=-3"),
        ([Command(["true"], stdout=aiospawn.DEVNULL), ["true"]], "stdout=-3"),
    ):
        with pytest.raises(
            ValueError, match=rf"pipeline\(\) takes no \w+ of a Command, got {name}: it is for all, or for the ends"
        ):
            aiospawn.pipeline(*commands)
