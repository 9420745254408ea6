"""`map(cluster=)` and `run(cluster=)` on real workers: the same results as on this machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from dask_workers import running_in
from until import until

import aiospawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytest.importorskip("distributed")
pytestmark = [pytest.mark.once, pytest.mark.slow]

TRUE, FALSE, SLEEP = ["true"], ["false"], ["sleep", "1000"]
orders = pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])


async def collected(*args: Any, **keywords: Any) -> list[aiospawn.MapResult]:
    async with aiospawn.map(*args, **keywords) as results:
        return [result async for result in results]


# ---- results ----------------------------------------------------------------------------------------------------------


@orders
async def test_results(client: Any, ordered: bool) -> None:
    """Each command has one, with its output, return code, number, and where it ran."""
    commands = [["/bin/sh", "-c", f"echo {number}; exit {number % 3}"] for number in range(60)]
    results = await collected(commands, cluster=client, ordered=ordered, capture_output=True)
    if ordered:
        assert [result.number for result in results] == list(range(60))
    assert sorted(result.number for result in results) == list(range(60))
    for result in results:
        assert result.command is commands[result.number]
        assert result.completed is not None
        assert result.completed.args is result.command
        assert (result.stdout, result.stderr) == (f"{result.number}\n".encode(), b"")
        assert result.returncode == result.number % 3
        assert (result.attempts, result.error, result.host) == (1, None, os.uname().nodename)
        assert result.elapsed == result.completed.elapsed > 0
        assert result.completed.rusage is not None
    assert {result.worker for result in results} == {*await client.scheduler.ncores()}


async def test_standard_input(client: Any) -> None:
    """Empty, and not the worker's, which is a pipe here; or what each is given."""
    given = aiospawn.Command(["cat"], input=b"given")
    nothing, something = await collected([["cat"], given], cluster=client, timeout=100, capture_output=True)
    assert (nothing.error, nothing.stdout, something.stdout) == (None, b"", b"given")
    (both,) = await collected([["cat"]], cluster=client, input="both", text=True, capture_output=True)
    assert both.stdout == "both"


async def test_errors(client: Any) -> None:
    """What `run` raises is the result's error, as it is."""
    commands = [["/nonexistent"], ["true", "a\0b"], ["/bin/sh", "-c", "echo begun; exec sleep 1000"], TRUE]
    missing, bad, late, fine = await collected(commands, cluster=client, timeout=1, capture_output=True)
    assert isinstance(missing.error, FileNotFoundError)
    assert missing.error.step == "execve"  # type: ignore[attr-defined]
    assert isinstance(bad.error, ValueError)
    assert isinstance(late.error, subprocess.TimeoutExpired)
    assert (late.error.cmd, late.stdout) == (commands[2], b"begun\n")
    assert fine.ok


async def test_retries(client: Any, tmp_path: Path) -> None:
    """They are the command's own failures."""
    script = 'echo >>"$0"; [ $(wc -l <"$0") -eq 3 ]'
    (result,) = await collected([["/bin/sh", "-c", script, str(tmp_path / "tries")]], cluster=client, retries=5, backoff=0)
    assert (result.ok, result.attempts) == (True, 3)


async def test_commands_with_options(client: Any, tmp_path: Path) -> None:
    """Options of all, and of each."""
    commands = [
        aiospawn.Command(["cat"], input="one", tag="first"),
        aiospawn.Command("pwd; echo $WORD", shell=True, cwd=tmp_path, env={"WORD": "two"}),
    ]
    first, second = await collected(commands, cluster=client, capture_output=True, text=True)
    assert (first.stdout, first.tag, first.completed and first.completed.tag) == ("one", "first", "first")
    assert second.stdout == f"{tmp_path}\ntwo\n"


async def test_output_limit(client: Any) -> None:
    """A command that writes more is stopped; others are not."""
    cluster = aiospawn.Cluster(client, output_limit=1000)
    flood, fine = await collected([["yes"], ["echo", "x"]], cluster=cluster, capture_output=True)
    assert isinstance(flood.error, aiospawn.OutputLimitExceeded)
    assert (len(flood.stdout), fine.stdout) == (1000, b"x\n")


async def test_results_in_files(client: Any, tmp_path: Path) -> None:
    """Output goes to a directory that all share."""
    cluster = aiospawn.Cluster(client, results=tmp_path)
    commands = [["/bin/sh", "-c", f"echo {number}; echo bad >&2"] for number in range(3)]
    results = await collected(commands, cluster=cluster)
    assert [result.stdout for result in results] == [None] * 3
    assert [(tmp_path / f"{n}" / "stdout").read_text() for n in range(3)] == ["0\n", "1\n", "2\n"]
    assert (tmp_path / "0" / "stderr").read_text() == "bad\n"


async def test_place_for_output_that_is_missing(client: Any, tmp_path: Path) -> None:
    """It is the command's error."""
    (tmp_path / "file").touch()
    (result,) = await collected([TRUE], cluster=aiospawn.Cluster(client, results=tmp_path / "file"))
    assert isinstance(result.error, NotADirectoryError)


async def test_lines(client: Any) -> None:
    """They come while the command runs, before its result, and an awaited function holds it up."""
    seen: list[tuple[int, str, bytes]] = []

    async def told(line: aiospawn.MapLine) -> None:
        await asyncio.sleep(0)
        seen.append((line.number, line.stream, line.line))

    script = 'for i in $(seq 500); do echo "$0 $i"; done'
    async with aiospawn.map([["/bin/sh", "-c", script, str(n)] for n in range(4)], cluster=client, on_line=told) as results:
        async for result in results:
            of_it = [line for number, stream, line in seen if number == result.number and stream == "stdout"]
            assert of_it == [b"%d %d\n" % (result.number, i) for i in range(1, 501)]


async def test_line_that_the_function_refuses(client: Any) -> None:
    """What it raises ends the map, and what runs."""

    def told(line: aiospawn.MapLine) -> None:
        raise RuntimeError(line.line.decode())

    with pytest.raises(RuntimeError, match="begun"):
        await collected([["/bin/sh", "-c", "echo begun; exec sleep 1000"]], cluster=client, on_line=told)


async def test_run(client: Any) -> None:
    """One command, as `run` has it."""
    completed = await aiospawn.run(
        ["/bin/sh", "-c", "cat; exit 3"], cluster=client, input="x", capture_output=True, text=True
    )
    assert (completed.returncode, completed.stdout) == (3, "x")
    with pytest.raises(aiospawn.CalledProcessError):
        await aiospawn.run(FALSE, cluster=client, check=True)
    with pytest.raises(FileNotFoundError):
        await aiospawn.run(["/nonexistent"], cluster=client)


async def test_source_is_read_as_commands_are_run(client: Any) -> None:
    """An endless source, of which the agents take some, and no more before the caller takes results."""
    taken = 0

    async def source() -> AsyncIterator[list[str]]:
        nonlocal taken
        while True:
            taken += 1
            yield SLEEP

    async with aiospawn.map(source(), cluster=client):
        pass
    assert taken == 0
    async with aiospawn.map(source(), cluster=client, timeout=0.2) as results:
        await anext(results)
        assert taken <= 2 * 4 + 1


# ---- the end ----------------------------------------------------------------------------------------------------------


async def test_leaving_the_block(client: Any, tmp_path: Path) -> None:
    """What runs has ended, descendants too, when the block is left."""
    script = "setsid sleep 1000 & setsid sleep 1000 & wait"
    async with aiospawn.map([["/bin/sh", "-c", script]] * 8, cluster=client, concurrency=4, cwd=tmp_path) as results:
        waiting = asyncio.ensure_future(anext(results))
        await until(lambda: len(running_in(tmp_path)) == 8 * 3)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert running_in(tmp_path) == []


async def test_cancelled(client: Any, tmp_path: Path) -> None:
    """A cancellation ends what runs before it goes on; cancelled again it kills."""
    deaf = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1000; done"]
    task = asyncio.ensure_future(collected([deaf] * 2, cluster=client, cwd=tmp_path, grace=1000))
    await until(lambda: len(running_in(tmp_path)) >= 4)
    task.cancel()
    await asyncio.sleep(0.2)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running_in(tmp_path) == []


@pytest.mark.parametrize("when", ["now", "soon"])
async def test_halt(client: Any, tmp_path: Path, when: str) -> None:
    """It ends what runs, or lets it finish; nothing else is started."""
    flag = tmp_path / "flag"
    waits = ["/bin/sh", "-c", 'echo >>started; while [ ! -e "$0" ]; do sleep 0.05; done', str(flag)]
    fails = ["/bin/sh", "-c", "while [ ! -e started ]; do sleep 0.05; done; exit 7"]
    numbers = []
    async with aiospawn.map(
        [waits, fails, *[SLEEP] * 50], cluster=client, ordered=False, halt=f"{when},fail=1", cwd=tmp_path
    ) as results:
        async for result in results:
            numbers.append(result.number)
            flag.touch()
        assert results.halted is not None
        assert results.halted.returncode == 7
        assert running_in(tmp_path) == []
    assert numbers == ([1] if when == "now" else [1, 0])


async def test_source_that_raises(client: Any, tmp_path: Path) -> None:
    """It is the iterator's exception, and what runs is stopped."""

    def source() -> Iterator[list[str]]:
        yield SLEEP
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await collected(source(), cluster=client, cwd=tmp_path)
    assert running_in(tmp_path) == []


async def test_what_is_no_command(client: Any) -> None:
    """As on one machine."""
    with pytest.raises(ValueError, match="args must be a list of arguments"):
        await collected(["true"], cluster=client)  # type: ignore[list-item]


# ---- what is refused ----------------------------------------------------------------------------------------------------


async def test_other_version(client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before a command runs, with the worker's name and both versions."""
    ours = aiospawn.__version__
    monkeypatch.setattr(aiospawn, "__version__", "9.9")
    with pytest.raises(aiospawn.ClusterError, match=rf"worker tcp://\S+ has aiospawn {ours}, and here it is 9.9: both need"):
        await collected([["touch", str(tmp_path / "ran")]], cluster=client)
    assert not (tmp_path / "ran").exists()
