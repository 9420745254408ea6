"""A tree is ended in one way, by every caller and for every launch; nothing hangs, and no process is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import tempfile
import time
import types
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from group_signals import needs_group_signals
from process_trees import CLEANING_GRANDCHILD, DEAF, DEAF_GRANDCHILD, OBEDIENT, Tree, lives, none_marked
from ways_to_end import NOTING, WAYS, Way, begun

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def tree() -> Iterator[Tree]:
    with contextlib.closing(Tree()) as made:
        yield made


# ---- who ends it ------------------------------------------------------------------------------------------------------


_HANDED_OVER: dict[str, Any] = {}  # nothing is launched natively
launchers = pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=needs_group_signals),
        pytest.param({"preexec_fn": int}, marks=needs_group_signals),
        _HANDED_OVER,
    ],
    ids=["native", "forked", "handed over"],
)


@pytest.fixture(autouse=True)
def _handed_over(request: pytest.FixtureRequest) -> None:
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and callspec.params.get("options") is _HANDED_OVER:
        request.getfixturevalue("nothing_native")


async def _last_words(script: str, grace: float, options: dict[str, Any], cancellations: int = 1) -> dict[str, Any]:
    """What the script said when it was ended in each way, and how long that took."""

    async def ended(way: Way) -> tuple[bytes, float]:
        with contextlib.closing(Tree()) as tree:
            events: list[Any] = []
            task = asyncio.create_task(way(tree, script, grace, on_event=events.append, **options))
            await tree.is_ready()
            await begun(way, events)
            for _ in range(cancellations):
                await asyncio.sleep(0.1)
                assert not task.done()
                task.cancel()
            started = time.monotonic()
            await _over(task)
            return await tree.last_words(), time.monotonic() - started

    endings = await asyncio.gather(*map(ended, WAYS.values()))
    if cancellations == 1 and script in (DEAF, DEAF_GRANDCHILD):
        assert [took for _, took in endings if took < grace - 0.002] == []  # uvloop's clock counts milliseconds
    return dict(zip(WAYS, [words for words, _ in endings], strict=True))


async def _over(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
    assert task.cancelled(), task


@launchers
async def test_the_grace_is_the_whole_trees(options: dict[str, Any]) -> None:
    """A grandchild has the time to clean up, when the child itself has ended at once."""
    assert await _last_words(CLEANING_GRANDCHILD, 30, options) == dict.fromkeys(WAYS, b"clean\n")


@launchers
@pytest.mark.parametrize("script", [DEAF, DEAF_GRANDCHILD], ids=["all", "grandchild"])
async def test_deaf(options: dict[str, Any], script: str) -> None:
    """Who ignores SIGTERM is killed after the grace and not before, with the child or without it."""
    assert await _last_words(script, 0.3, options) == dict.fromkeys(WAYS, b"")


@launchers
async def test_nobody_is_left(options: dict[str, Any]) -> None:
    """When everybody has ended nobody is waited for."""
    assert await _last_words(OBEDIENT, 1000, options) == dict.fromkeys(WAYS, b"")


@launchers
@pytest.mark.parametrize("script", [DEAF, DEAF_GRANDCHILD], ids=["all", "grandchild"])
async def test_cancelled_in_the_grace(options: dict[str, Any], script: str) -> None:
    """Killed at once, and the cancellation goes on."""
    assert await _last_words(script, 1000, options, cancellations=2) == dict.fromkeys(WAYS, b"")


@launchers
async def test_cancelled_at_random_points(options: dict[str, Any]) -> None:
    """Whatever is cancelled, once or twice, at whatever point: no process is left, and no task hangs."""
    chance = random.Random(5)
    mark = f"{os.getpid()}-endings-"
    ways = [*WAYS.values()]
    scripts = [script.replace("echo ready", ":") for script in (OBEDIENT, DEAF, DEAF_GRANDCHILD, CLEANING_GRANDCHILD)]

    async def one(number: int) -> None:
        environment = {"PATH": os.defpath, "MARK": f"{mark}{number}"}
        null = types.SimpleNamespace(stderr=aiospawn.DEVNULL)
        way, script = ways[number % len(ways)], scripts[number % len(scripts)]
        task = asyncio.create_task(way(null, script, chance.random() / 20, env=environment, **options))
        for _ in range(1 + (chance.random() < 0.5)):
            await asyncio.sleep(chance.random() / 8)
            task.cancel()
        await _over(task)

    for start in range(0, 84, 28):
        await asyncio.gather(*map(one, range(start, start + 28)))
        assert await none_marked(mark) == {}


# ---- thrown away ------------------------------------------------------------------------------------------------------


@launchers
async def test_stop_thrown_away(options: dict[str, Any], tree: Tree) -> None:
    """Nothing can be awaited any more: everybody is killed at once."""
    process = await aiospawn.create_subprocess_exec("sh", "-c", DEAF, stderr=tree.stderr, start_new_session=True, **options)
    await tree.is_ready()
    stop = process.stop(1000)
    stop.send(None)
    stop.close()
    assert await process.wait() == -signal.SIGKILL
    assert await tree.last_words() == b""


async def test_close_thrown_away(tree: Tree) -> None:
    """The same for a caller that waits for a command's end behind its pipe."""
    pipe = await aiospawn.popen(DEAF, stderr=tree.stderr, start_new_session=True)
    await tree.is_ready()
    close = pipe.close()
    close.send(None)
    close.close()
    assert await tree.last_words() == b""
    assert await pipe._process.wait() == -signal.SIGKILL


@pytest.mark.usefixtures("nothing_native")
async def test_launch_thrown_away() -> None:
    """A child that the loop's own implementation makes after nobody waits for it is killed as well."""
    events: list[Any] = []
    running = aiospawn.run(["sleep", "1000"], on_event=events.append)
    running.send(None)
    running.close()
    while not events or not isinstance(events[-1], aiospawn.Exited):  # noqa: ASYNC110 - nothing else reports it
        await asyncio.sleep(0.01)
    assert events[-1].returncode == -signal.SIGKILL


_CLOSED = """
import asyncio, gc, os, signal
import fresh
import process_trees
import ways_to_end

for way in ways_to_end.BLOCKS:
    loop = fresh.new_event_loop()
    tree = process_trees.Tree()
    events = []
    task = loop.create_task(way(tree, f"echo $$ >&2; {process_trees.DEAF}", 1000, on_event=events.append))
    pid = int(loop.run_until_complete(tree.line()))
    loop.run_until_complete(tree.is_ready())
    loop.run_until_complete(ways_to_end.begun(way, events))
    if os.environ["CANCELLED"]:
        task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False
    loop.close()
    del task, loop
    gc.collect()
    os.killpg(pid, signal.SIGKILL)
    tree.close()
"""


@pytest.mark.parametrize("cancelled", ["", "1"], ids=["running", "ending"])
def test_loop_closed_under_it(variant: str, cancelled: str) -> None:
    """The coroutine is thrown away without a word; the child outlives its loop, as every child does."""
    fresh.run(_CLOSED, variant, CANCELLED=cancelled)


# ---- other loops, other users -----------------------------------------------------------------------------------------


def test_of_another_loop() -> None:
    """It is refused, instead of waiting for an event of another loop; a child that has ended needs no loop."""
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner, asyncio.Runner() as other:
        process = runner.run(aiospawn.create_subprocess_exec("sleep", "1000"))
        with pytest.raises(RuntimeError, match="another event loop"):
            other.run(process.stop())
        assert runner.run(process.stop()) == -signal.SIGTERM
        assert other.run(process.stop()) == -signal.SIGTERM


@pytest.mark.usefixtures("nothing_native")
async def test_held_pipe(tree: Tree) -> None:
    """The child's end is waited for, not that of a daemon which holds its pipe; on no release and no loop."""
    script = "setsid sh -c 'echo $$ >&2; exec sleep 1000' & wait"
    process = await aiospawn.create_subprocess_exec("sh", "-c", script, stdout=aiospawn.PIPE, stderr=tree.stderr)
    daemon = int(await tree.line())
    assert await process.stop() == -signal.SIGTERM
    os.kill(daemon, signal.SIGKILL)
    await process.end()


@pytest.mark.parametrize(("grace", "error"), [("1", TypeError), (None, TypeError), (float("nan"), ValueError)])
@pytest.mark.loops("one")
async def test_bad_grace(grace: Any, error: type[Exception]) -> None:
    """It is refused by name and value, and the child lives on."""
    async with await aiospawn.create_subprocess_exec("sleep", "1000") as process:
        with pytest.raises(error, match=f"grace must .*, got {grace!r}"):
            await process.stop(grace)
        assert process.returncode is None


# The leader is not ours, its child is: a signal to their group is no error.
_NOT_OURS = """
import asyncio, os
import fresh
import process_trees
import ways_to_end

async def ended(way, cancellations):
    tree, events = process_trees.Tree(), []
    script = f"{process_trees.SLEEPING} & exec $PROGRAM --reuid 0 {process_trees.SLEEPING} >/dev/null"
    task = asyncio.create_task(way(tree, script, 0.1 if cancellations == 1 else 1000, on_event=events.append))
    for _ in range(2):
        await tree.is_ready()
    await ways_to_end.begun(way, events)
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0.5)
    try:
        await task
    except asyncio.CancelledError as exc:
        return "CancelledError", exc.__notes__[0]
    except PermissionError as exc:
        return "PermissionError", f"Its {exc.strerror}."

async def main():
    os.setresuid(1000, 1000, 1000)
    once = [ended(way, 1) for way in ways_to_end.NOTING]
    twice = [ended(way, 2) for way in (ways_to_end.by_stop, ways_to_end.by_block, ways_to_end.by_run, ways_to_end.by_lines)]
    for told in await asyncio.gather(*once, *twice):
        print(*told)

with asyncio.Runner(loop_factory=fresh.new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to make a set-user-id program")
@pytest.mark.loops("concurrent")
def test_not_ours(variant: str) -> None:
    """A program that may not be signalled is not waited for: PermissionError, or a note on what is raised anyway."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv of util-linux is not installed")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        copied = shutil.copy(setpriv, directory)
        os.chmod(copied, 0o4755)
        told = fresh.run(_NOT_OURS, variant, PROGRAM=copied).splitlines()
    pids = [int(note.split()[3]) for note in told]
    assert all(map(lives, pids))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert len(pids) == len(NOTING) + 4
    kinds = ["PermissionError"] + ["CancelledError"] * (len(pids) - 1)
    note = "Its process {} is still running: no permission to signal it (a set-user-id program)."
    assert told == [f"{kind} {note.format(pid)}" for kind, pid in zip(kinds, pids, strict=True)]
