"""Children that outlived their loop were never reaped: a program that runs loop after loop filled up with zombies."""

import asyncio
import collections
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import fresh
import pytest

import aiospawn


@pytest.fixture
def new_loop(variant: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], asyncio.AbstractEventLoop]:
    name, _, spawn = variant.partition("-")
    monkeypatch.setenv("AIOSPAWN_SPAWN", spawn)
    return aiospawn.new_uvloop_event_loop if name == "uvloop" else aiospawn.new_event_loop


@pytest.fixture(autouse=True)
def _nobody_lives() -> Iterator[None]:
    """Whatever a test has left is killed and reaped."""
    yield
    end(*fresh.children())
    aiospawn.supported()


async def leave(*command: str, count: int = 1) -> list[int]:
    """Launches children and forgets them."""
    processes = [await aiospawn.create_subprocess_exec(*command) for _ in range(count)]
    for process in processes:
        process._transport._closed = True  # type: ignore[attr-defined]  # else its finalizer warns
    return [process.pid for process in processes]


async def launch() -> int:
    return await (await aiospawn.create_subprocess_exec("true")).wait()


def wait_for_its_end(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def run(factory: Any, coroutine: Any) -> Any:
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(coroutine)


def kept(before: dict[int, str]) -> list[str]:
    """What is open for children of closed loops."""
    targets = [target for number, target in fresh.descriptors().items() if before.get(number) != target]
    return sorted(target for target in targets if target.startswith("anon_inode"))


def end(*pids: int) -> None:
    """Kills them and leaves them unreaped."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        wait_for_its_end(pid)


def ended(factory: Any, count: int = 1) -> list[int]:
    """Children that have ended when their loop was closed."""
    pids: list[int] = run(factory, leave("sleep", "1000", count=count))
    end(*pids)
    return pids


def test_by_the_next_launch(new_loop: Any) -> None:
    """Of another loop, which is open already."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(launch())
        pids = _in_a_thread(lambda: ended(new_loop))
        assert fresh.children() == pids
        runner.run(launch())
        assert fresh.children() == []


def _in_a_thread(call: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def test_by_the_next_loop(new_loop: Any) -> None:
    """It need not launch anything."""
    pids = ended(new_loop)
    assert fresh.children() == pids
    new_loop().close()
    assert fresh.children() == []


def test_by_supported(new_loop: Any) -> None:
    """A program without any loop asks."""
    pids = ended(new_loop)
    assert fresh.children() == pids
    assert aiospawn.supported()
    assert fresh.children() == []


def test_when_the_loop_is_closed(new_loop: Any) -> None:
    """Who has ended by then is reaped there, though the loop never saw it."""
    loop = new_loop()
    end(*loop.run_until_complete(leave("sleep", "1000")))
    loop.close()
    assert fresh.children() == []


def test_run_after_run(new_loop: Any) -> None:
    """Nothing grows: no zombie, no descriptor."""
    before = fresh.descriptors()
    for _ in range(50):
        pids = ended(new_loop)
        assert fresh.children() == pids
    assert aiospawn.supported()
    assert fresh.children() == []
    assert fresh.descriptors() == before


@pytest.mark.parametrize("installed", [False, True], ids=["function", "install"])
def test_loops_that_are_not_ours(variant: str, new_loop: Any, installed: bool) -> None:
    """Nothing reports when these loops are closed."""
    factory = pytest.importorskip("uvloop").new_event_loop if variant.startswith("uvloop") else asyncio.SelectorEventLoop
    opened = fresh.descriptors()
    with aiospawn.install() if installed else contextlib.nullcontext():
        for _ in range(10):
            ended(factory)
        assert run(factory, launch()) == 0
    assert fresh.children() == []
    assert fresh.descriptors() == opened


def test_alive_and_ended_together(new_loop: Any) -> None:
    """A child that lives holds nobody up, keeps its pidfd, and is reaped in its turn."""
    before = fresh.descriptors()
    alive = run(new_loop, leave("sleep", "1000", count=3))
    ended(new_loop)
    run(new_loop, launch())
    assert sorted(fresh.children()) == sorted(alive)
    assert set(fresh.descriptors().values()) - set(before.values()) == {"anon_inode:[pidfd]"}
    end(*alive)
    run(new_loop, launch())
    assert fresh.children() == []
    assert fresh.descriptors() == before


def test_many_that_end_together(new_loop: Any) -> None:
    """One launch reaps some of them only, and the next ones the others."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(launch())
        _in_a_thread(lambda: ended(new_loop, count=40))
        left = [len(fresh.children())]
        while left[-1]:
            runner.run(launch())
            left.append(len(fresh.children()))
    assert left == [*range(40, -1, -4)]


_MANY = """
import asyncio, os, signal
import aiospawn, fresh

async def leave(count):
    return [await aiospawn.create_subprocess_exec("sleep", "1000") for _ in range(count)]

async def launch(count):
    for _ in range(count):
        await (await aiospawn.create_subprocess_exec("true")).wait()

with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
    left = runner.run(leave(int(os.environ["LEFT"])))
for process in left:
    process._transport._closed = True  # else its finalizer warns
print(*(number for number, target in fresh.descriptors().items() if target == "anon_inode:[pidfd]"))
with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
    runner.run(launch(20))
for process in left:
    os.kill(process.pid, signal.SIGKILL)
"""


def _looks(left: int, directory: pathlib.Path) -> list[int]:
    """How often a program looks at each child that it leaves alive: it leaves so many, then launches 20 more."""
    (program := directory / "program.py").write_text(_MANY)
    command = ["strace", "-e", "trace=waitid", "-o", directory / "log", sys.executable, program]
    pidfds = subprocess.run(
        command, env=fresh.environment(LEFT=str(left)), stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    assert len(pidfds) == left
    looks = collections.Counter(re.findall(r"waitid\(P_PIDFD, (\d+), .*WNOHANG", (directory / "log").read_text()))
    return sorted(looks[pidfd] for pidfd in pidfds)


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
def test_a_launch_does_not_look_at_each_that_lives(tmp_path: pathlib.Path) -> None:
    """Of a hundred children of a closed loop a launch looks at the next four; a loop that is made or closed looks at all."""
    assert _looks(1, tmp_path) == [5 + 20]
    assert _looks(100, tmp_path) == [5] * 20 + [5 + 1] * (20 * 4)


def test_fork(new_loop: Any) -> None:
    """The child of a fork has no descriptor of these children, and reaps none of them; its own ones it does."""
    before = fresh.descriptors()
    (alive,) = run(new_loop, leave("sleep", "1000"))

    def body() -> None:
        assert kept(before) == []
        ended(new_loop)
        run(new_loop, launch())
        assert fresh.children() == []

    fresh.in_fork(body)
    end(alive)
    fresh.in_fork(lambda: run(new_loop, launch()))
    assert fresh.children() == [alive]
    run(new_loop, launch())
    assert fresh.children() == []
    assert fresh.descriptors() == before


def test_reaped_by_somebody_else() -> None:
    """Such a child is forgotten, and the process that has its number next is not signalled."""
    before = fresh.descriptors()
    (pid,) = ended(aiospawn.new_event_loop)
    assert os.waitpid(pid, 0)[0] == pid
    stranger = subprocess.Popen(["sh", "-c", "exit 7"])
    wait_for_its_end(stranger.pid)
    assert aiospawn.supported()
    assert stranger.wait() == 7
    assert fresh.descriptors() == before


async def test_a_child_on_its_way_to_its_program(tmp_path: pathlib.Path) -> None:
    """The loop is closed while the launch waits: the child is reaped as well, wherever it is when it ends."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    async def interrupted() -> None:
        asyncio.get_running_loop().create_task(aiospawn.create_subprocess_exec("true", open_fds={3: (fifo, os.O_RDONLY)}))
        await asyncio.sleep(0)

    def leave_one() -> None:
        loop = aiospawn.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        loop.run_until_complete(interrupted())
        loop.close()

    await asyncio.to_thread(leave_one)
    (pid,) = fresh.children()
    os.close(os.open(fifo, os.O_WRONLY))
    await asyncio.to_thread(wait_for_its_end, pid)
    assert await launch() == 0
    assert fresh.children() == []
