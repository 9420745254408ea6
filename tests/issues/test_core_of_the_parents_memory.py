"""A child that died of a core-dumping signal before its execve dumped the memory that it shared: the parent's."""

from __future__ import annotations

import pathlib
import resource
import signal

import fresh
import pytest
from compiled import library

pytestmark = pytest.mark.once

crowds = pytest.mark.parametrize("crowd", [0, 700], ids=["few", "crowded"])

_FRAME = """
import asyncio, contextlib, ctypes, os, pathlib, resource, signal, struct, tempfile, threading, time
import aiospawn, fresh, seccomp

SECRET = bytes.fromhex("aa55") * 8  # here in this form only
parts = [bytearray(SECRET) for _ in range(1000)]  # on the heap

async def refused(launch, name):
    try:
        await launch
    except ChildProcessError as error:
        assert name in str(error), error
    else:
        raise AssertionError("launched")

def cores():
    return [pathlib.Path(name).read_bytes() for name in os.listdir()]

{definitions}

resource.setrlimit(resource.RLIMIT_CORE, 2 * resource.getrlimit(resource.RLIMIT_CORE)[1:])
loop = fresh.new_event_loop()
assert aiospawn.supported()
os.chdir(os.environ["DIRECTORY"])
loop.run_until_complete(main())
assert fresh.children() == []
loop.close()
"""


def _run(definitions: str, variant: str, directory: pathlib.Path, crowd: int = 0, **environment: str) -> None:
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    if pattern[0] in "|@/" or not pattern.strip():
        pytest.skip(f"cores go elsewhere: {pattern}")
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("no core may be dumped")
    assert fresh.run(_FRAME.format(definitions=definitions), variant, crowd, DIRECTORY=str(directory), **environment) == ""


# A child that opens a FIFO stays between clone and execve, with every signal blocked, until the other side is opened.
_PENDING = """
def act(fifo, number):
    def waits(pid):
        with contextlib.suppress(FileNotFoundError):
            return pathlib.Path(f"/proc/{pid}/wchan").read_text() == "wait_for_partner"
    while not ((pids := fresh.children()) and waits(pids[0])):
        time.sleep(0.001)
    os.kill(pids[0], number)
    os.close(os.open(fifo, os.O_RDWR))

@contextlib.contextmanager
def sent(number):
    "How to open a file that a child has to wait for, while the signal is sent to it."
    with tempfile.TemporaryDirectory() as directory:
        fifo = directory + "/fifo"
        os.mkfifo(fifo)
        thread = threading.Thread(target=act, args=(fifo, number), daemon=True)
        thread.start()
        yield {9: (fifo, os.O_RDONLY)}
        thread.join()
"""

_DUMPING = ["SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGXCPU", "SIGXFSZ", "SIGSYS"]


@crowds
def test_pending_signal(variant: str, crowd: int, tmp_path: pathlib.Path) -> None:
    """A signal that waited for the mask to open ends the child as SIGKILL does; one that the parent ignores does nothing."""
    definitions = f"""{_PENDING}
async def main():
    for name in {_DUMPING}:
        number = signal.Signals[name]
        with sent(number) as files:
            await refused(aiospawn.create_subprocess_exec("true", open_fds=files), "SIGKILL")
        assert cores() == [], name
        before = signal.signal(number, signal.SIG_IGN)
        with sent(number) as files:
            process = await aiospawn.create_subprocess_exec("cat", "/proc/self/status", open_fds=files,
                                                            restore_signals=False, stdout=-1)
        output, _ = await process.communicate()
        status = output.decode()
        assert number in fresh.signal_set("SigIgn", status) == fresh.signal_set("SigIgn"), status
        assert fresh.signal_set("SigCgt", status) == set(), status
        signal.signal(number, before or signal.SIG_DFL)  # None: of the faulthandler
        assert cores() == [], name
"""
    _run(definitions, variant, tmp_path, crowd)


def test_pending_signal_in_a_copy(variant: str, tmp_path: pathlib.Path) -> None:
    """Where the memory is a copy there is no core either, and the signal is the child's end in its own name."""
    made = library(tmp_path, "harmless.c")
    directory = tmp_path / "cores"
    directory.mkdir()
    definitions = f"""{_PENDING}
async def main():
    hook = aiospawn.NativeHook(ctypes.cast(ctypes.CDLL(os.environ["LIBRARY"]).harmless, ctypes.c_void_p).value)
    with sent(signal.SIGQUIT) as files:
        launch = aiospawn.create_subprocess_exec("true", open_fds=files, hook=hook, oom_score_adj=500)
        await refused(launch, "SIGQUIT")
    assert cores() == []
"""
    _run(definitions, variant, directory, LIBRARY=made._name)


def test_signal_at_the_execve(variant: str, tmp_path: pathlib.Path) -> None:
    """One that comes when the mask is open, and the program not yet there, is no different."""
    definitions = """
def act(numbers):
    ready.wait()
    for number in numbers:
        os.kill(handed[0].arrival()[1], number)

ready, handed = threading.Event(), []

async def main():
    numbers = [signal.SIGQUIT, signal.SIGSEGV, signal.SIGSYS]
    thread = threading.Thread(target=act, args=(numbers,), daemon=True)
    thread.start()
    handed.append(seccomp.Gate())
    ready.set()
    for number in numbers:
        await refused(aiospawn.create_subprocess_exec("/bin/true"), "SIGKILL")
        assert cores() == [], number
    thread.join()
"""
    _run(definitions, variant, tmp_path)


# ---- filters ----------------------------------------------------------------------------------------------------------

_FILTER = """
def killing(action):
    execve, execveat = {"x86_64": (59, 322), "aarch64": (221, 281)}[os.uname().machine]
    instructions = (0x20, 0, 0, 0), (0x15, 1, 0, execve), (0x15, 0, 1, execveat), (6, 0, 0, action), (6, 0, 0, 0x7FFF0000)
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)

ACTIONS = 0x80000000, 0, 0x00030000  # SECCOMP_RET_KILL_PROCESS, _KILL_THREAD, _TRAP
"""


@crowds
def test_filter_that_kills_the_execve(variant: str, crowd: int, tmp_path: pathlib.Path) -> None:
    """A filter runs in memory that has nothing of the parent's: the core, if there is one, is of the launcher."""
    definitions = f"""{_FILTER}
async def main():
    for action in ACTIONS:
        await refused(aiospawn.create_subprocess_exec("true", seccomp=killing(action), no_new_privs=True), "SIGSYS")
    assert cores()
    assert not any(SECRET in core or len(core) > 1 << 20 for core in cores())
"""
    _run(definitions, variant, tmp_path, crowd)


@pytest.mark.parametrize("why", ["hook", "no launcher"])
def test_filter_in_a_copy(why: str, variant: str, tmp_path: pathlib.Path) -> None:
    """Where the memory is a copy of the parent's there is no core."""
    made = library(tmp_path, "harmless.c")
    directory = tmp_path / "cores"
    directory.mkdir()
    definitions = f"""{_FILTER}
async def main():
    hook = aiospawn.NativeHook(ctypes.cast(ctypes.CDLL(os.environ["LIBRARY"]).harmless, ctypes.c_void_p).value)
    options = {{"hook": hook}} if {why!r} == "hook" else {{}}
    for fd, target in fresh.descriptors().items():
        if target.endswith("/_launcher") and not options:
            os.close(fd)
    for action in ACTIONS:
        launch = aiospawn.create_subprocess_exec("true", seccomp=killing(action), no_new_privs=True, **options)
        await refused(launch, "SIGSYS")
    assert cores() == []
"""
    _run(definitions, variant, directory, LIBRARY=made._name)


def test_every_dumping_signal_is_tried() -> None:
    """The list has what dumps core by default (signal(7)), and names of this machine's."""
    assert len({signal.Signals[name] for name in _DUMPING}) == 10
