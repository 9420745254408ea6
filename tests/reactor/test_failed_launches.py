"""What goes wrong between the call and the program: the right error, nothing left over, and the next launch works.

Each runs in a process of its own, since limits, filters and roots are the process's.
"""

import os
import pathlib

import fresh
import pytest

crowds = pytest.mark.parametrize("crowd", [0, 600], ids=["few", "crowded"])

# What all programs below begin and end with: `refused` must raise; then nothing is left, and a launch works.
_FRAME = """
import asyncio, os, resource, signal, threading
import aiospawn, fresh, seccomp
PIPES = {{"stdin": -1, "stdout": -1, "stderr": -1}}

async def told(*command, **options):
    process = await aiospawn.create_subprocess_exec(*command, **{{**PIPES, **options}})
    return await process.communicate(), process.returncode

async def raised(creation):
    try:
        await creation
    except OSError as error:
        print(type(error).__name__, error.errno, error.filename, getattr(error, "step", None))
    else:
        raise AssertionError("no error")

{definitions}

loop = fresh.new_event_loop()
assert aiospawn.supported()
loop.run_until_complete(asyncio.sleep(0))  # uvloop opens its own descriptors with the first run
before = fresh.descriptors()
loop.run_until_complete(refused())
assert fresh.descriptors() == before, (before, fresh.descriptors())
assert fresh.children() == []
assert loop.run_until_complete(told("/bin/sh", "-c", "echo text; exit 7")) == ((b"text\\n", b""), 7)
assert fresh.descriptors() == before
loop.close()
"""


def _refused(definitions: str, variant: str, crowd: int) -> str:
    return fresh.run(_FRAME.format(definitions=definitions), variant, crowd)


@crowds
def test_killed_before_its_program_ran(variant: str, crowd: int) -> None:
    """A child that is killed before `execve` raises ChildProcessError, with any number of them in flight."""
    program = """
gate = seccomp.Gate()

def kill_three():
    for _ in range(3):
        os.kill(gate.arrival()[1], signal.SIGKILL)

def let_through():
    gate.let_through(gate.arrival()[0])

async def refused():
    threading.Thread(target=kill_three).start()
    await asyncio.gather(*(raised(aiospawn.create_subprocess_exec("/bin/true", **PIPES)) for _ in range(3)))
    threading.Thread(target=let_through).start()
"""
    assert _refused(program, variant, crowd) == "ChildProcessError 10 None execve\n" * 3


@crowds
@pytest.mark.parametrize("via", [None, "launcher"], ids=["direct", "launcher"])
def test_no_descriptor_left(via: str | None, variant: str, crowd: int) -> None:
    """EMFILE at whichever descriptor of a launch it strikes."""
    program = """
async def refused():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    for spare in range(20):
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, limits[1]))
        try:
            process = await aiospawn.create_subprocess_exec("/bin/true", via=VIA, **PIPES)
        except OSError as error:
            print(type(error).__name__, error.errno)
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert spare >= 8  # both ends of three pipes, the status pipe's end, a pidfd
    print(await process.communicate())
"""
    *failed, last = _refused(f"VIA = {via!r}\n{program}", variant, crowd).splitlines()
    assert len(failed) >= 8
    assert set(failed) == {"OSError 24"}
    assert last == "(b'', b'')"


@crowds
def test_no_process_left(variant: str, crowd: int) -> None:
    """EAGAIN at the limit of processes raises BlockingIOError, as the stdlib does."""
    program = """
async def refused():
    if os.getuid() == 0:  # root has no such limit
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    limits = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, limits[1]))
    try:
        await raised(aiospawn.create_subprocess_exec("/bin/true", **PIPES))
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, limits)
"""
    assert _refused(program, variant, crowd).startswith("BlockingIOError 11 None")


@crowds
def test_no_memory_left(variant: str, crowd: int) -> None:
    """ENOMEM when there is no memory for the child's stack."""
    program = """
async def refused():
    limits = resource.getrlimit(resource.RLIMIT_AS)
    spare = [bytearray(400) for _ in range(10000)]  # the interpreter's own small objects need no new memory
    del spare[::2]
    creation = raised(aiospawn.create_subprocess_exec("/bin/true", **PIPES))
    resource.setrlimit(resource.RLIMIT_AS, (1, limits[1]))
    try:
        await creation
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
"""
    assert _refused(program, variant, crowd).startswith("OSError 12 None")


@crowds
def test_no_shell(variant: str, crowd: int, tmp_path: pathlib.Path) -> None:
    """Where there is no /bin/sh, FileNotFoundError names it."""
    program = f"""
async def refused():
    root = os.open("/", os.O_RDONLY)
    os.chroot({str(tmp_path)!r})
    os.chdir("/")
    try:
        await raised(aiospawn.create_subprocess_shell("true"))
    finally:
        os.fchdir(root)
        os.chroot(".")
        os.close(root)
"""
    if os.getuid() != 0:
        pytest.skip("only root may change its root directory")
    assert _refused(program, variant, crowd) == "FileNotFoundError 2 /bin/sh execve\n"


@crowds
def test_no_such_shell(variant: str, crowd: int) -> None:
    """A shell given as `executable` that is not there is named by FileNotFoundError."""
    program = """
async def refused():
    await raised(aiospawn.create_subprocess_shell("true", executable="/nonexistent/sh", **PIPES))
"""
    assert _refused(program, variant, crowd) == "FileNotFoundError 2 /nonexistent/sh execve\n"


@pytest.mark.loops("concurrent")
@crowds
def test_slow_launches_do_not_block_the_loop(variant: str, crowd: int) -> None:
    """While three children hang in their `execve`, the loop turns, and all three hang at the same time."""
    program = """
import asyncio, threading
import fresh, seccomp

async def main():
    gate, held, turned, arrivals = seccomp.Gate(), threading.Event(), threading.Event(), []

    def keep():
        arrivals.extend(gate.arrival()[0] for _ in range(3))
        held.set()
        print("turned:", turned.wait(20))
        for arrival in arrivals:
            gate.let_through(arrival)

    keeper = threading.Thread(target=keep)
    keeper.start()
    creations = [asyncio.create_task(asyncio.create_subprocess_exec("/bin/true")) for _ in range(3)]
    while not held.is_set():
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not any(creation.done() for creation in creations)
    turned.set()
    for creation in creations:
        print(await (await creation).wait())
    keeper.join()

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    assert fresh.run(program, variant, crowd) == "turned: True\n0\n0\n0\n"


@crowds
@pytest.mark.parametrize("via", [None, "launcher"], ids=["direct", "launcher"])
def test_a_dawdling_fork_holds_back_neither_output_nor_exit(variant: str, crowd: int, via: str | None) -> None:
    """While a stranger holds the status pipe's end, the program's output and exit arrive all the same."""
    program = """
import asyncio, os, threading
import aiospawn, fresh, seccomp

async def main():
    gate, held = seccomp.Gate(), []

    def hold():
        arrival, pid = gate.arrival()
        files = {int(name): os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
        streams = {files[number] for number in (0, 1, 2)}  # until its execve it has the pipes under other numbers as well
        kept = {number for number, file in files.items() if file not in streams}
        held.extend(seccomp.duplicate_from(pid, number) for number in kept)
        gate.let_through(arrival)

    holder = threading.Thread(target=hold)
    holder.start()
    # The output shows that the program runs, for it waits for its input then.
    command = "/bin/sh", "-c", "echo text; read line; exit 7"
    process = await aiospawn.create_subprocess_exec(*command, stdin=-1, stdout=-1, via={via!r})
    assert held
    print(await process.communicate(b"line\\n"), process.returncode)
    holder.join()
    for number in held:
        os.close(number)

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    assert fresh.run(program.replace("{via!r}", repr(via)), variant, crowd) == "(b'text\\n', None) 7\n"
