"""`tmp=True` without `hide`: a directory for temporary files that is gone afterwards, however the command ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pathlib
import signal
import subprocess
import tempfile
import textwrap
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import fresh
import place
import pytest

import aiospawn
from aiospawn import Sandbox
from aiospawn._sandbox.private_directory import PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.once,
    pytest.mark.loops("one"),
    pytest.mark.skipif(bool(place.lacks("sandbox")), reason="needs Landlock ABI 6 and seccomp"),
]

_STAYING = ["sh", "-c", "echo >$TMPDIR/file; echo; while :; do sleep 0.1; done"]


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """Where such directories are made. An ordinary user gets there: pytest closes its own to others, again and again."""
    with tempfile.TemporaryDirectory() as above:
        directory = pathlib.Path(above) / "places"
        directory.mkdir()
        directory.chmod(0o1777)
        directory.parent.chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", str(directory))
        yield directory
        monkeypatch.undo()


def _made(places: pathlib.Path) -> list[pathlib.Path]:
    return [*places.iterdir()]


def _gone(places: pathlib.Path) -> bool:
    """What is large is removed by a thread, and what a closed loop leaves behind."""
    while _made(places):
        time.sleep(0.01)
    return True


async def test_a_directory_of_its_own(places: pathlib.Path) -> None:
    """It is private, writable, the only one that is, nothing in it can be executed, and it is gone."""
    script = """
        cd "$TMPDIR" && echo "$TMPDIR" && stat -c %a . && mkdir one && mktemp >/dev/null
        echo text >one/file && cat one/file
        cp /bin/true true; ./true || echo $?
        echo >../other || :; ls /tmp || :; ls .. || :
    """
    result = await aiospawn.run(["sh", "-c", script], sandbox=Sandbox(tmp=True), capture_output=True, text=True)
    where, *rest = result.stdout.split()
    assert os.path.dirname(where) == str(places)
    assert rest == ["700", "text", "126"]
    assert _made(places) == []


async def test_not_that_of_another(places: pathlib.Path) -> None:
    """Neither command of one sandbox gets into the other's."""
    value = Sandbox(tmp=True)
    async with await aiospawn.create_subprocess_exec(*_STAYING, sandbox=value, stdout=-1) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        (other,) = _made(places)
        result = await aiospawn.run(["sh", "-c", f"cat {other}/file || echo >{other}/more"], sandbox=value, stderr=-1)
        assert result.stderr.count(b"Permission denied") == 2
        assert os.listdir(other) == ["file"]
        process.kill()
        await process.wait()
    assert _made(places) == []


async def _ended(how: str) -> None:
    if how == "time":
        with pytest.raises(aiospawn.TimeoutExpired):
            await aiospawn.run(_STAYING, sandbox=Sandbox(tmp=True), timeout=0.5, stdout=-3)
        return
    async with await aiospawn.create_subprocess_exec(*_STAYING, sandbox=Sandbox(tmp=True), stdout=-1) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        if how == "kill":
            process.kill()
        elif how == "stop":
            await process.stop(0.05)
        elif how == "outsider":
            children = await asyncio.to_thread(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text)
            os.kill(int(children.split()[0]), signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.mark.parametrize("how", ["time", "kill", "stop", "outsider", "init is killed"])
async def test_ends(how: str, places: pathlib.Path) -> None:
    await _ended(how)
    assert await asyncio.to_thread(_gone, places)


def _stands(places: pathlib.Path) -> None:
    while not [*places.glob("*/file")]:
        time.sleep(0.01)


async def test_cancelled(places: pathlib.Path) -> None:
    task = asyncio.create_task(aiospawn.run(_STAYING, sandbox=Sandbox(tmp=True), stdout=-3))
    await asyncio.to_thread(_stands, places)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(_gone, places)


@pytest.mark.parametrize("options", [{"cwd": "/nowhere"}, {"rlimits": {"nofile": (1, 1 << 40)}}, {"umask": 0o777}])
async def test_failed_launches(options: dict[str, Any], places: pathlib.Path) -> None:
    program = "no such program" if "umask" in options else "true"
    with pytest.raises(OSError):
        await aiospawn.run([program], sandbox=Sandbox(tmp=True), **options)
    with pytest.raises(OSError):
        await aiospawn.create_subprocess_exec(program, sandbox=Sandbox(tmp=True), **options)
    assert _made(places) == []


_CLOSED = """
import asyncio, gc, os, sys, time
import aiospawn

async def main():
    command = ["sh", "-c", "echo >$TMPDIR/file; while :; do sleep 0.1; done"]
    return await aiospawn.create_subprocess_exec(*command, sandbox=aiospawn.Sandbox(tmp=True), stdout=-3)

loop = asyncio.new_event_loop()
process = loop.run_until_complete(main())
assert len(os.listdir(os.environ["TMPDIR"])) == 1
loop.close()
del process, loop
gc.collect()
while os.listdir(os.environ["TMPDIR"]):
    time.sleep(0.01)
"""


def test_the_loop_is_closed(places: pathlib.Path) -> None:
    """The tree is killed, and the directory goes with the process object."""
    subprocess.run(fresh.command(_CLOSED), env={**fresh.environment(), "TMPDIR": str(places)}, check=True)
    assert _made(places) == []


async def test_many(places: pathlib.Path) -> None:
    """Of `map`, a pipeline: each has its own."""
    command = ["sh", "-c", "echo $TMPDIR; echo >$TMPDIR/file"]
    async with aiospawn.map([command] * 8, sandbox=Sandbox(tmp=True), capture_output=True) as results:
        found = {result.completed.stdout async for result in results if result.completed}
    assert len(found) == 8
    await aiospawn.pipeline(command, ["sh", "-c", "cat; echo >$TMPDIR/file"], sandbox=Sandbox(tmp=True), check=True)
    assert _made(places) == []


async def test_what_it_leaves_running(places: pathlib.Path) -> None:
    """Init ends it: nobody writes there any more."""
    script = """
        cd $TMPDIR
        (while :; do mkdir -p a/b/c; echo >a/b/c/d; done) & setsid sh -c 'while :; do echo >e; done' & sleep 0.2
    """
    await aiospawn.run(["sh", "-c", script], sandbox=Sandbox(tmp=True), stderr=-3)
    assert await asyncio.to_thread(_gone, places)


_HOSTILE = {
    "deep": """
        for _ in range(3000): os.mkdir("x" * 50); os.chdir("x" * 50)
        open("file", "w")
    """,
    "many": """
        for n in range(2000): open(f"{n}", "w")
        for n in range(100): os.makedirs(f"d{n}/e/f")
    """,
    "unreadable": """
        for mode in (0o000, 0o100, 0o200, 0o300, 0o500):
            os.makedirs(f"x{mode}/a/b"); os.makedirs(f"y{mode}/a/b"); open(f"y{mode}/a/b/c", "w")
            for path in (f"x{mode}", f"y{mode}/a/b", f"y{mode}/a", f"y{mode}"): os.chmod(path, mode)
        os.chmod(".", 0)
    """,
    "links": """
        os.mkdir("d")
        for name in ("link", "d/link"): os.symlink(outside, name)
        os.symlink("/", "root"); os.symlink("d", "dd"); os.mkfifo("d/fifo")
    """,
}


def _left_by(case: str, user: int | None, outside: pathlib.Path) -> None:
    """In a fork: as the user, who makes it and removes it."""
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    made = PrivateDirectory(None, None)
    os.chdir(made.path)
    exec(textwrap.dedent(_HOSTILE[case]), {"os": os, "outside": str(outside)})
    os.chdir("/")
    made.remove()


@pytest.mark.parametrize("user", [None, 65534])
@pytest.mark.parametrize("case", _HOSTILE)
def test_hostile_contents(case: str, user: int | None, places: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """All is removed, and nothing of outside."""
    if user is not None and os.getuid() != 0:
        pytest.skip("only root can be another user")
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    (outside / "file").touch()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            _left_by(case, user, outside)
            for thread in threading.enumerate():
                if thread is not threading.current_thread():
                    thread.join()
            status = 0
        except BaseException:  # noqa: BLE001 - seen below
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert _made(places) == []
    assert (outside / "file").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can launch as another user")
async def test_another_user(places: pathlib.Path) -> None:
    """The directory is that one's."""
    script = "umask 077; mkdir $TMPDIR/one && echo >$TMPDIR/one/file && stat -c %u:%g $TMPDIR"
    command = {"user": 65534, "group": 65533, "extra_groups": []}
    result = await aiospawn.run(["sh", "-c", script], sandbox=Sandbox(tmp=True), stdout=-1, **command)  # type: ignore[arg-type]
    assert result.stdout == b"65534:65533\n"
    assert _made(places) == []


_LEAVING = """
import asyncio, os, signal, sys
import aiospawn

async def main():
    value = aiospawn.Sandbox(tmp=True)
    process = await aiospawn.create_subprocess_exec(
        "sh", "-c", "echo >$TMPDIR/file; echo; exec sleep 1000", sandbox=value, stdout=-1)
    await process.stdout.readline()
    if sys.argv[1] == "exit":
        sys.exit(0)
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    await aiospawn.run(["true"], sandbox=value)
    process.kill()
    await process.wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["end", "exit", "kill"])
def test_the_end_of_this_process(how: str, places: pathlib.Path) -> None:
    """What is left behind by a process that was killed is removed by the next one, what belongs to another is not."""
    environment = {**fresh.environment(), "TMPDIR": str(places)}
    of_another = places / "aiospawn-tmp-mine"
    of_another.mkdir()
    held = os.open(of_another, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        subprocess.run(fresh.command(_LEAVING, how), env=environment, check=how != "kill")
        names = {path.name for path in places.iterdir()}
        assert len(names) == (2 if how == "kill" else 1)
        subprocess.run(fresh.command(_LEAVING, "end"), env=environment, check=True)
        assert [path.name for path in places.iterdir()] == ["aiospawn-tmp-mine"]
    finally:
        os.close(held)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"init": "leave"}, 'init="leave" and the sandbox\'s tmp=True are both given'),
        ({"pdeathsig": 9}, "pdeathsig=9 and the sandbox's tmp=True are both given"),
        ({"preexec_fn": int}, "and the sandbox's tmp=True are both given"),
    ],
)
async def test_what_cannot_be_together(options: dict[str, Any], said: str, places: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="are both given") as caught:
        await aiospawn.run(["true"], sandbox=Sandbox(tmp=True), **options)
    assert said in str(caught.value)
    assert _made(places) == []


def test_what_is_said_of_it() -> None:
    with pytest.raises(ValueError, match="tmp=True cannot be traced"):
        asyncio.run(aiospawn.trace_sandbox(["true"], sandbox=Sandbox(tmp=True)))
    assert "has a directory of its own for temporary files" in Sandbox(tmp=True).explain()


async def test_it_cannot_be_made(places: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(places / "nothing"))
    with pytest.raises(FileNotFoundError) as caught:
        await aiospawn.run(["true"], sandbox=Sandbox(tmp=True))
    assert caught.value.step == "sandbox"  # type: ignore[attr-defined]
