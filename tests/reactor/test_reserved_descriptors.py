"""The descriptors of a child are those of the moment of its launch, also where it shares its parent's table for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fresh
import pytest

if TYPE_CHECKING:
    import pathlib

pytestmark = pytest.mark.once

routes = pytest.mark.parametrize(
    ("via", "crowd"), [("", 0), ("", 700), ("launcher", 700)], ids=["copied", "reserved", "through the launcher"]
)

_ECHO = """
import asyncio, fcntl, os, tempfile, threading
import aiospawn, fresh

ROUNDS = 50

def pipe():
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb")

async def launch(*arguments, **streams):
    "As far as it goes without waiting: the child is cloned, and has not run."
    via = os.environ["VIA"] or None
    creation = asyncio.create_task(aiospawn.create_subprocess_exec(*arguments, via=via, **streams))
    await asyncio.sleep(0)
    return creation

async def over(creation):
    assert await (await creation).wait() == 0

{body}

async def all_of_it():
    await over(await launch("true"))  # the first gives reserved numbers back, where there are few
    await main()

loop = fresh.new_event_loop()
loop.run_until_complete(all_of_it())
loop.close()
"""


@routes
def test_redirected_behind_the_launch(variant: str, via: str, crowd: int) -> None:
    """What the program does to its own standard streams right after a launch does not reach that launch's child."""
    body = """
async def main():
    source, feed = pipe()
    feed.write(b"text\\n")
    feed.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    streams = [os.dup(number) for number in range(3)]
    for redirect in (lambda number: os.dup2(nothing, number), os.close):
        for _ in range(ROUNDS):
            collected, output = pipe()
            given, feed = pipe()
            feed.write(b"text\\n")
            feed.close()
            os.dup2(given.fileno(), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            given.close()
            output.close()
            creation = await launch("sh", "-c", "cat; echo error >&2")
            for number in range(3):
                redirect(number)
            await over(creation)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            with collected:
                assert collected.read() == b"text\\nerror\\n"
"""
    assert fresh.run(_ECHO.format(body=body), variant, crowd, VIA=via) == ""


@pytest.mark.parametrize(("via", "crowd"), [("", 0), ("", 700), ("", 1500), ("launcher", 1500)])
def test_a_file_redirected_behind_the_launch(variant: str, via: str, crowd: int) -> None:
    """The same for regular files, which are not duplicated: the program's locks on them stay."""
    body = """
def is_locked(number):
    child = os.fork()
    if not child:
        try:
            fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1

async def main():
    nothing = os.open(os.devnull, os.O_RDWR)
    streams = [os.dup(number) for number in range(3)]
    for redirect in (lambda number: os.dup2(nothing, number), os.close):
        for _ in range(ROUNDS):
            with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
                given.write(b"text\\n")
                given.flush()
                given.seek(0)
                os.dup2(given.fileno(), 0)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                fcntl.lockf(output, fcntl.LOCK_EX)
                creation = await launch("sh", "-c", "cat; echo error >&2")
                assert is_locked(output.fileno())  # redirecting, below, drops it
                for number in range(3):
                    redirect(number)
                await over(creation)
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                output.seek(0)
                assert output.read() == b"text\\nerror\\n"
"""
    assert fresh.run(_ECHO.format(body=body), variant, crowd, VIA=via) == ""


@routes
def test_a_stream_closed_behind_the_launch(variant: str, via: str, crowd: int) -> None:
    """A file that was given as a stream can be closed, and its number used anew, as soon as the launch has been called."""
    body = """
async def main():
    for _ in range(ROUNDS):
        collected, output = pipe()
        creation = await launch("echo", "text", stdout=output)
        number = output.fileno()
        output.close()
        other = os.open(os.devnull, os.O_WRONLY)
        assert other == number
        await over(creation)
        os.close(other)
        with collected:
            assert collected.read() == b"text\\n"
"""
    assert fresh.run(_ECHO.format(body=body), variant, crowd, VIA=via) == ""


def test_a_program_that_was_just_written(tmp_path: pathlib.Path) -> None:
    """No child holds another thread's file open for writing, so that it could not be executed (ETXTBSY).

    A child with a copy of the table does, until its `execve`: this is the race that every fork has.
    """
    program = """
import asyncio, errno, os, shutil, threading
import aiospawn, fresh

stop = threading.Event()

async def launch_on():
    async def worker():
        while not stop.is_set():
            await (await aiospawn.create_subprocess_exec("true", stdout=aiospawn.PIPE)).communicate()
    await asyncio.gather(*(worker() for _ in range(8)))

def thread():
    loop = fresh.new_event_loop()
    loop.run_until_complete(launch_on())
    loop.close()

async def main():
    shutil.copy("/bin/true", os.environ["PROGRAM"])
    with open(os.environ["PROGRAM"], "rb") as file:
        content = file.read()
    for _ in range(200):
        os.unlink(os.environ["PROGRAM"])
        with open(os.open(os.environ["PROGRAM"], os.O_WRONLY | os.O_CREAT, 0o755), "wb") as file:
            file.write(content)
            await asyncio.sleep(0.001)  # children are launched meanwhile
        process = await aiospawn.create_subprocess_exec(os.environ["PROGRAM"], stdout=aiospawn.PIPE)
        assert await process.communicate() == (b"", None)

loop = fresh.new_event_loop()  # which makes the crowd
other = threading.Thread(target=thread)
other.start()
try:
    loop.run_until_complete(main())
finally:
    stop.set()
    other.join()
loop.close()
"""
    assert fresh.run(program, crowd=700, PROGRAM=str(tmp_path / "program")) == ""


_TAKEN = """
import asyncio, os
import aiospawn, fresh

async def output(via):
    process = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1, via=via)
    return (await process.communicate(b"text"))[0]

def in_fork(number):
    "With a file of the program's own on that number of the block."
    own = os.dup2(os.open("/", os.O_RDONLY), number)
    with asyncio.Runner(loop_factory=fresh.new_event_loop) as runner:
        works = [runner.run(output(via)) == b"text" for via in ("launcher", None, "launcher")]
    os._exit(not (all(works) and os.path.sameopenfile(own, os.open("/", os.O_RDONLY))))

loop = fresh.new_event_loop()
assert loop.run_until_complete(output("launcher")) == b"text"
block = fresh.reserved()[-128:]
for number in block[:6]:
    if not (pid := os.fork()):
        asyncio._set_running_loop(None)
        in_fork(number)
    print(os.waitpid(pid, 0)[1])
loop.close()
"""


def test_a_number_of_the_block_is_taken(variant: str) -> None:
    """Whichever number of a segment a program has put a file of its own on: it keeps the file, and launches work."""
    assert fresh.run(_TAKEN, variant, 700) == "0\n" * 6


def test_a_launcher_above_the_block(variant: str) -> None:
    """The launcher's descriptor may have a higher number than what a child keeps: then its launch copies the table."""
    program = """
import os, resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))  # nothing is reserved at import
held = [os.dup(0) for _ in range(1000)]
import asyncio
import aiospawn, fresh

async def output(**options):
    process = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1, **options)
    return (await process.communicate(b"text"))[0]

async def main():
    return [await output(**options) for options in ({"via": "launcher"}, {}, {"via": "launcher"}, {"oom_score_adj": 500})]

assert aiospawn.supported()
loop = fresh.new_event_loop()
for number in held[600:]:
    os.close(number)
print(loop.run_until_complete(main()))
names = fresh.descriptors().items()
(launcher,) = (number for number, target in names if target.endswith("/_launcher"))
block = fresh.reserved()
assert len(block) == 129 and launcher > max(block), (launcher, block)
loop.close()
"""
    assert fresh.run(program, variant) == "[b'text', b'text', b'text', b'text']\n"


@pytest.mark.loops("concurrent")
def test_woken_once_on_the_way(variant: str) -> None:
    """That the child has left the table wakes the loop, so that its segment is free; that the launcher is alive does not."""
    program = """
import asyncio
import aiospawn, fresh, seccomp
from aiospawn._binding.native import Native

polls, poll = [], Native.poll
Native.poll = lambda native: (polls.append(native), poll(native))[1]

async def main(gate):
    launch = aiospawn.create_subprocess_exec("/bin/true", stdin=-3, stdout=-3, stderr=-3, via="launcher")
    creation = asyncio.create_task(launch)
    identity, _ = await asyncio.to_thread(gate.arrival)  # at the second execve
    for _ in range(3):
        await asyncio.sleep(0)
    print(len(polls))
    gate.let_through(identity)
    assert await (await creation).wait() == 0
    await asyncio.get_running_loop().shutdown_default_executor()

assert aiospawn.supported().features["launcher"]
loop = fresh.new_event_loop()
loop.run_until_complete(main(seccomp.Gate()))
loop.close()
"""
    assert fresh.run(program, variant, 700) == "1\n"
