"""What else happens in the process, and who looks on: launches, their children and their statuses stay what they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import fresh
import pytest

if TYPE_CHECKING:
    from pathlib import Path

routes = pytest.mark.parametrize(
    ("way", "crowd"), [({}, 0), ({}, 600), ({"via": "launcher"}, 600)], ids=["few", "crowded", "launcher"]
)

# `interfering` runs in four threads until the launches are over.
_FRAME = """
import asyncio, contextlib, os, signal, sys, threading, warnings
import aiospawn, fresh

over = threading.Event()

def interfering(number):
    pass

async def first():
    await asyncio.sleep(0)  # uvloop opens its own descriptors with the first run

{definitions}

async def at_once(one, count, most=16):
    turns = iter(range(count))

    async def work():
        for turn in turns:
            await one(turn)

    async with asyncio.TaskGroup() as group:
        for _ in range(most):
            group.create_task(work())

loop = fresh.new_event_loop()
assert aiospawn.supported()
loop.run_until_complete(first())
before = fresh.descriptors()
threads = [threading.Thread(target=interfering, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
try:
    loop.run_until_complete(main())
finally:
    over.set()
    for thread in threads:
        thread.join()
assert fresh.descriptors() == before, (before, fresh.descriptors())
assert fresh.children() == []
loop.close()
"""


def _run(definitions: str, variant: str, crowd: int = 0) -> str:
    return fresh.run(_FRAME.format(definitions=definitions), variant, crowd)


# ---- other threads ----------------------------------------------------------------------------------------------------


@routes
def test_descriptors_come_and_go(way: dict[str, str], variant: str, crowd: int) -> None:
    """Files and pipes that other threads open, inheritable too, are in no child; nor does a child hold back their ends."""
    program = """
def interfering(number):
    while not over.is_set():
        ends = os.pipe()
        for end in ends:
            os.set_inheritable(end, True)
        os.close(ends[1])
        assert os.read(ends[0], 1) == b""  # a process that held the other end would keep this waiting
        copy = os.dup2(ends[0], 1000 + number)
        os.close(copy)
        os.close(ends[0])

async def one(turn):
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", "echo /proc/self/fd/*", stdin=-3, stdout=-1, **WAY)
    output, _ = await process.communicate()
    numbers = [int(path.rpartition("/")[2]) for path in output.decode().split()]
    assert numbers[:3] == [0, 1, 2] and len(numbers) <= 4, numbers  # and the shell's own listing

async def main():
    await at_once(one, 80)
"""
    assert _run(f"WAY = {way}\n{program}", variant, crowd) == ""


def test_signal_masks_of_other_threads(variant: str) -> None:
    """A child has the mask of the thread that launches it, whatever others block meanwhile, and that thread keeps it."""
    program = """
def interfering(number):
    while not over.is_set():
        for how in signal.SIG_BLOCK, signal.SIG_UNBLOCK:
            signal.pthread_sigmask(how, signal.valid_signals())

async def one(turn):
    process = await aiospawn.create_subprocess_exec("grep", "SigBlk", "/proc/self/status", stdout=-1)
    output, _ = await process.communicate()
    assert int(output.split()[1], 16) == 1 << signal.SIGUSR1 - 1, output

async def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    await at_once(one, 60)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR1}
"""
    assert _run(program, variant) == ""


def test_the_environment_changes(variant: str) -> None:
    """Other threads set and delete variables: each child has those that stay, and of the others whole values only."""
    program = """
os.environ["STAYS"] = "as it is"

def interfering(number):
    while not over.is_set():
        for length in range(1, 200, 20):
            os.environ[f"CHANGES{number}"] = "x" * length
        del os.environ[f"CHANGES{number}"]

async def one(turn):
    process = await aiospawn.create_subprocess_exec("env", "-0", stdout=-1)
    output, _ = await process.communicate()
    variables = dict(entry.split("=", 1) for entry in output.decode().split("\\0") if entry)
    assert variables["STAYS"] == "as it is"
    values = [value for name, value in variables.items() if name.startswith("CHANGES")]
    assert all(set(value) == {"x"} and len(value) % 20 == 1 for value in values), values

async def main():
    await at_once(one, 60)
"""
    assert _run(program, variant) == ""


@routes
def test_somebody_else_waits(way: dict[str, str], variant: str, crowd: int) -> None:
    """A thread that reaps every child: each status is reported, or 255 where the kernel does not know it."""
    program = """
import logging
logging.disable()

def interfering(number):
    while not over.is_set():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

async def one(turn):
    status = turn % 255
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", f"echo {turn}; exit {status}", stdout=-1, **WAY)
    output, _ = await process.communicate()
    expected = (status,) if aiospawn.supported().features["pidfd_info"] else (status, 255)
    assert output == f"{turn}\\n".encode() and process.returncode in expected, (turn, output, process.returncode)

async def main():
    await at_once(one, 80)
"""
    assert _run(f"WAY = {way}\n{program}", variant, crowd) == ""


# ---- the same loop ----------------------------------------------------------------------------------------------------


def test_beside_the_loops_own_children(variant: str) -> None:
    """Children of the loop's own implementation, and forked ones, run beside ours: everybody has their own status."""
    program = """
warnings.simplefilter("ignore")

async def loops_own(*command, **options):
    loop = asyncio.get_running_loop()
    stock = next(kind for kind in type(loop).__mro__ if not kind.__module__.startswith("aiospawn"))
    protocol = asyncio.subprocess.SubprocessStreamProtocol(65536, loop)
    transport, _ = await stock.subprocess_exec(loop, lambda: protocol, *command, **options)
    return asyncio.subprocess.Process(transport, protocol, loop)

async def forked(*command, **options):
    return await asyncio.create_subprocess_exec(*command, preexec_fn=os.getpid, **options)

async def one(turn):
    create = (asyncio.create_subprocess_exec, loops_own, forked)[turn % 3]
    process = await create("/bin/sh", "-c", f"cat; exit {turn}", stdin=-1, stdout=-1, stderr=None)
    assert (await process.communicate(b"text"))[0] == b"text"
    assert process.returncode == turn
    print(type(process._transport).__module__)

async def first():
    await one(1)  # uvloop keeps /dev/null

async def main():
    await at_once(one, 60)
"""
    told = _run(program, variant).split()
    assert len(told) == 61
    assert told.count("aiospawn._asyncio.transport") == 40


def test_stopped_and_run_again(variant: str) -> None:
    """A loop that is stopped while launches are in flight goes on with them when it is run again."""
    program = """
async def main():
    pass

async def one(turn):
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", f"exit {turn}", stdout=-1)
    await process.communicate()
    return process.returncode

loop = fresh.new_event_loop()
tasks = [loop.create_task(one(turn)) for turn in range(20)]
while not all(task.done() for task in tasks):
    loop.call_soon(loop.stop)
    loop.run_forever()
print([task.result() for task in tasks] == [*range(20)])
loop.close()
"""
    assert _run(program, variant) == "True\n"


@routes
def test_forked_with_launches_in_flight(way: dict[str, str], variant: str, crowd: int) -> None:
    """The process forks while 64 launches are in flight; then both sides go on launching, each with a loop of its own."""
    program = """
warnings.simplefilter("ignore")

async def one(turn):
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", f"cat; exit {turn}", stdin=-1, stdout=-1, **WAY)
    return await process.communicate(b"text"), process.returncode

async def sixty_four():
    return [((b"text", None), turn) for turn in range(64)] == await asyncio.gather(*map(one, range(64)))

async def main():
    launches = [asyncio.ensure_future(one(turn)) for turn in range(64)]
    await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        asyncio._set_running_loop(None)
        os._exit(not fresh.new_event_loop().run_until_complete(sixty_four()))
    print([((b"text", None), turn) for turn in range(64)] == await asyncio.gather(*launches), await sixty_four())
    print(await asyncio.to_thread(os.waitpid, pid, 0) == (pid, 0))
    await asyncio.get_running_loop().shutdown_default_executor()
"""
    assert _run(f"WAY = {way}\n{program}", variant, crowd) == "True True\nTrue\n"


# ---- who looks on -----------------------------------------------------------------------------------------------------

_WATCHED = """
import asyncio, os
import aiospawn

async def main():
    for via in {}, {"via": "launcher"}:
        for turn in range(3):
            process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", f"cat; exit {turn}", stdin=-1, stdout=-1, **via)
            assert (await process.communicate(b"text"))[0] == b"text"
            assert process.returncode == turn
            os.getpriority(os.PRIO_PROCESS, 0)
    process = await aiospawn.create_subprocess_exec("sleep", "1000")
    assert await process.stop() == -15
    try:
        await aiospawn.create_subprocess_exec("/nowhere")
    except FileNotFoundError as error:
        print(error.step)

loop = aiospawn.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def _watched(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}")
    return subprocess.run(
        [*command, sys.executable, "-c", _WATCHED],
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    )  # fmt: skip


@pytest.mark.parametrize("spawn", ["", "vfork"], ids=["concurrent", "vfork"])
def test_under_strace(spawn: str, tmp_path: Path) -> None:
    """strace follows the children, between clone and execve too, and nothing is different."""
    log = tmp_path / "log"
    assert _watched("strace", "-f", "-o", str(log), AIOSPAWN_SPAWN=spawn).stdout == "execve\n"
    assert log.read_text().count("CLONE_VM") >= 8


def test_under_gdb(tmp_path: Path) -> None:
    """With `AIOSPAWN_SPAWN=vfork` gdb keeps its breakpoints in the parent through the launches."""
    script = tmp_path / "commands"
    script.write_text(
        "set breakpoint pending on\nbreak getpriority\ncommands\nsilent\ncontinue\nend\nrun\ninfo breakpoints\n"
    )
    told = _watched("gdb", "-batch", "-nx", "-x", str(script), "--args", AIOSPAWN_SPAWN="vfork").stdout
    assert "execve\n" in told
    assert "breakpoint already hit 6 times" in told


# ---- what a child has of its parent -----------------------------------------------------------------------------------

_MARKED = """
SEARCH = '''
import sys
wanted = bytes.fromhex(sys.argv[1])[::-1]
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        start, end = (int(address, 16) for address in line.split()[0].split("-"))
        if "w" in line.split()[1]:
            memory.seek(start)
            found += memory.read(end - start).count(wanted)
print(found)
'''

async def main():
    secret = os.urandom(16)
    kept = [secret + bytes(1000) for _ in range(100)]  # in the heap
    for via in {}, {"via": "launcher"}:
        command = (sys.executable, "-I", "-S", "-c", SEARCH, secret[::-1].hex())
        process = await aiospawn.create_subprocess_exec(*command, stdout=-1, **via)
        output, _ = await process.communicate()
        print(int(output))
    assert len(kept) == 100
"""


def test_memory_stays_with_the_parent(variant: str) -> None:
    """What is in the parent's heap is nowhere in a child: it finds but the one copy that it makes to search for."""
    assert _run(_MARKED, variant) == "1\n1\n"
