"""Death on the way to the program, at its start, while it is signalled; and the parent's own: the status is the true one."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import fresh
import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

crowds = pytest.mark.parametrize("crowd", [0, 600], ids=["few", "crowded"])
ways = pytest.mark.parametrize("way", [{}, {"via": "launcher"}], ids=["direct", "launcher"])
routes = pytest.mark.parametrize(
    ("way", "crowd"),
    [({}, 0), ({}, 600), ({"via": "launcher"}, 0), ({"via": "launcher"}, 600)],
    ids=["direct", "crowded", "launcher", "launcher, crowded"],
)

_ON_THE_WAY = ("close_range", "execveat", "execve")

# A child that opens a FIFO stays between clone and execve, with every signal blocked, until the other side is opened.
_FRAME = """
import asyncio, contextlib, os, pathlib, signal, tempfile, threading, time
import aiospawn, fresh

class Held:
    "A launch whose child waits; `meanwhile` runs in a thread with its pid, for the loop's may wait for the execve."

    def __init__(self, directory, meanwhile, way):
        self.fifo = os.path.join(directory, "fifo")
        os.mkfifo(self.fifo)
        self.meanwhile, self.way, self.opened = meanwhile, way, None

    async def launch(self, *command, **options):
        thread = threading.Thread(target=self.act)
        thread.start()
        try:
            options = {{"stdin": -1, "stdout": -1, "open_fds": {{9: (self.fifo, os.O_RDONLY)}}, **self.way, **options}}
            return await aiospawn.create_subprocess_exec(*command, **options)
        finally:
            await asyncio.to_thread(thread.join)
            if self.opened is not None:
                os.close(self.opened)

    def act(self):
        while not (pids := fresh.children()) or wchan(pids[0]) != "wait_for_partner":
            time.sleep(0.001)
        self.meanwhile(self, pids[0])

    def let_go(self):
        self.opened = os.open(self.fifo, os.O_RDWR)  # waits for nobody: a stopped child has left the queue

def wchan(pid):
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(f"/proc/{{pid}}/wchan").read_text()

def state(pid):
    return pathlib.Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[0]

async def refused(launch):
    try:
        await launch
    except ChildProcessError as error:
        print(error)
    else:
        raise AssertionError("no error")

{definitions}

async def works():
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", "echo text; exit 7", stdout=-1)
    assert (await process.communicate(), process.returncode) == ((b"text\\n", None), 7)

loop = fresh.new_event_loop()
assert aiospawn.supported()
loop.run_until_complete(asyncio.to_thread(int))  # the executor's thread is there before
loop.run_until_complete(works())
before = fresh.descriptors()
with tempfile.TemporaryDirectory() as directory:
    loop.run_until_complete(main(directory))
    assert fresh.descriptors() == before, (before, fresh.descriptors())
    assert fresh.children() == []
    loop.run_until_complete(works())
    assert fresh.descriptors() == before
loop.run_until_complete(loop.shutdown_default_executor())
loop.close()
"""


def _run(definitions: str, variant: str, crowd: int = 0) -> str:
    return fresh.run(_FRAME.format(definitions=definitions), variant, crowd)


# ---- between clone and execve -----------------------------------------------------------------------------------------


@routes
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_killed_while_it_opens_a_file(name: str, way: dict[str, str], variant: str, crowd: int) -> None:
    """SIGKILL ends it at once; another signal waits until the mask opens, and ends it before the program runs."""
    program = f"""
def kill(held, pid):
    os.kill(pid, signal.{name})
    if "{name}" != "SIGKILL":
        held.let_go()

async def main(directory):
    await refused(Held(directory, kill, {way}).launch("/bin/true"))
"""
    assert name in _run(program, variant, crowd)


@routes
def test_stopped_on_its_way(way: dict[str, str], variant: str, crowd: int) -> None:
    """SIGSTOP cannot be blocked: the child goes on where it was when it is continued."""
    program = f"""
def stop(held, pid):
    os.kill(pid, signal.SIGSTOP)
    while state(pid) != "T":
        time.sleep(0.001)
    held.let_go()
    time.sleep(0.05)
    assert state(pid) == "T"
    os.kill(pid, signal.SIGCONT)

async def main(directory):
    process = await Held(directory, stop, {way}).launch("/bin/sh", "-c", "cat; exit 7")
    print(await process.communicate(b"text"), process.returncode)
"""
    assert _run(program, variant, crowd) == "(b'text', None) 7\n"


@pytest.mark.loops("concurrent")
@routes
def test_cancelled_while_it_is_stopped(way: dict[str, str], variant: str, crowd: int) -> None:
    """A launch is cancelled although its child is stopped on the way: that one is killed and reaped."""
    program = f"""
async def main(directory):
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop(held, pid):
        os.kill(pid, signal.SIGSTOP)
        loop.call_soon_threadsafe(stopped.set)

    launch = asyncio.create_task(Held(directory, stop, {way}).launch("/bin/true"))
    await stopped.wait()
    launch.cancel()
    await asyncio.wait([launch])
    print(launch.cancelled())
"""
    assert _run(program, variant, crowd) == "True\n"


@ways
def test_killed_by_its_own_filter(way: dict[str, str], variant: str) -> None:
    """A seccomp filter that kills the child at its execve, where it still shares memory, kills nobody else."""
    program = f"""
import platform, struct

EXECVE = {{"x86_64": 59, "aarch64": 221}}[platform.machine()]
KILL_PROCESS, KILL_THREAD, ALLOW = 0x80000000, 0, 0x7FFF0000

def filter(action):
    lines = ((0x20, 0, 0, 0), (0x15, 0, 1, EXECVE), (0x06, 0, 0, action), (0x06, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)

async def main(directory):
    for action in KILL_PROCESS, KILL_THREAD:
        options = {{"seccomp": filter(action), "no_new_privs": True, "stdin": -1, "stdout": -1}}
        await refused(aiospawn.create_subprocess_exec("/bin/true", **{way}, **options))
"""
    assert _run(program, variant).count("SIGSYS") == 2


# ---- at the program's start -------------------------------------------------------------------------------------------


@ways
def test_no_memory_for_the_program(way: dict[str, str], variant: str) -> None:
    """An address space too small for any program: the kernel kills it within its execve, and the status says so."""
    program = f"""
import resource

async def main(directory):
    try:
        process = await aiospawn.create_subprocess_exec(
            "/bin/true", rlimits={{resource.RLIMIT_AS: (4096, 4096)}}, stdout=-1, **{way}
        )
    except ChildProcessError as error:
        print(-int(getattr(signal, str(error).split()[5])))
    except OSError as error:
        print(error.errno)
    else:
        await process.communicate()
        print(process.returncode)
"""
    assert int(_run(program, variant)) in (-11, -9, 12)


@routes
def test_killed_at_once(way: dict[str, str], variant: str, crowd: int) -> None:
    """Killed as its start is reported, a hundred times: the signal is always reported, never an error."""
    program = f"""
async def one():
    process = await aiospawn.create_subprocess_exec("sleep", "1000", stdin=-1, stdout=-1, **{way})
    process.kill()
    return await process.wait()

async def main(directory):
    for _ in range(10):
        print({{*await asyncio.gather(*(one() for _ in range(10)))}})
"""
    assert _run(program, variant, crowd) == "{-9}\n" * 10


def test_signalled_from_threads_while_it_dies(variant: str) -> None:
    """Four threads signal a child until ProcessLookupError: its own status is reported, and no other error."""
    program = """
def signal_on(process, told):
    try:
        while True:
            process.send_signal(signal.SIGCONT)
    except Exception as error:
        told.append(type(error).__name__)

async def main(directory):
    told, statuses = [], []
    for _ in range(20):
        process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", "exit 7", stdout=-1)
        threads = [asyncio.to_thread(signal_on, process, told) for _ in range(4)]
        (_, _), status, *_ = await asyncio.gather(process.communicate(), process.wait(), *threads)
        statuses.append(status)
    print({*statuses}, {*told}, len(told))
"""
    assert _run(program, variant) == "{7} {'ProcessLookupError'} 80\n"


# ---- the parent -------------------------------------------------------------------------------------------------------

_PARENT = """
import asyncio, ctypes, os, pathlib, signal, tempfile, time
import aiospawn, fresh

SUBREAPER, RUNNING = 36, {running}
ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)  # orphans are ours: their statuses show how they ended

async def parent(directory, ready):
    async def held(name, status, **options):
        return await aiospawn.create_subprocess_exec(
            "/bin/sh", "-c", f"exit {{status}}", open_fds={{9: (f"{{directory}}/{{name}}", os.O_RDONLY)}}, **options)

    dying = await aiospawn.create_subprocess_exec("sleep", "1000", pdeathsig=signal.SIGUSR1)
    living = await aiospawn.create_subprocess_exec("/bin/sh", "-c", f"read line <{{directory}}/living; exit 3", stdin=-1)
    launches = RUNNING and [asyncio.create_task(held("held", 4)), asyncio.create_task(held("never", 5, pdeathsig=9))]
    await asyncio.sleep(0)  # they are cloned
    pids = dict.fromkeys(fresh.children())
    del pids[dying.pid], pids[living.pid]
    os.write(ready, f"{{dying.pid}} {{living.pid}} {{' '.join(map(str, pids))}}\\n".encode())
    signal.pause()

for name in ("held", "never", "living"):
    os.mkfifo(os.path.join(os.environ["DIRECTORY"], name))
told, ready = os.pipe()
pid = os.fork()
if pid == 0:
    fresh.new_event_loop().run_until_complete(parent(os.environ["DIRECTORY"], ready))
os.close(ready)
with open(told) as file:
    dying, living, *held = map(int, file.readline().split())
os.kill(pid, signal.SIGKILL)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
print(os.waitstatus_to_exitcode(os.waitpid(dying, 0)[1]))
assert os.waitpid(living, os.WNOHANG) == (0, 0)
for name in ("held", "never", "living") if RUNNING else ("living",):
    os.close(os.open(os.path.join(os.environ["DIRECTORY"], name), os.O_WRONLY))
print(os.waitstatus_to_exitcode(os.waitpid(living, 0)[1]))
print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in held))
assert fresh.children() == []
"""


@crowds
def test_the_parent_is_killed(variant: str, crowd: int, tmp_path: object) -> None:
    """Who has `pdeathsig` dies with it, others live; on its way to the program the one runs it, the other never does."""
    running = not variant.endswith("vfork")  # there the loop waits for the execve
    told = fresh.run(_PARENT.format(running=running), variant, crowd, DIRECTORY=str(tmp_path))
    assert told == ("-10\n3\n4 127\n" if running else "-10\n3\n\n")


@pytest.mark.parametrize("stderr", [None, -1, -3], ids=["a file", "a pipe", "null"])
@pytest.mark.parametrize(("via", "call"), [(None, "close_range"), *(("launcher", call) for call in _ON_THE_WAY)])
def test_killed_in_the_shared_table(via: str | None, call: str, stderr: int | None, tmp_path: Path) -> None:
    """Killed as it leaves the table, at its way to the launcher, or out of it: its launch says so, and the next one works.

    With a file for a stream the launch waits until the child has left. It does not wait for a dead one.
    """
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    program = f"""if True:
        import asyncio, os, subprocess
        import aiospawn

        async def launch():
            process = await aiospawn.create_subprocess_exec("true", stderr={stderr}, via={via!r})
            await process.communicate()
            return process.returncode

        async def main():
            crowd = [os.dup(0) for _ in range(1500)]
            await launch()  # before the tracer comes
            before = len(os.listdir("/proc/self/fd"))
            killing = ["-e", "trace={call}", "-e", "inject={call}:signal=KILL", "-p", str(os.getpid())]
            with subprocess.Popen(["strace", "-f", "-o", "/dev/null", *killing], stderr=subprocess.PIPE) as strace:
                strace.stderr.readline()
                try:
                    await launch()
                except OSError as error:
                    print(error)
                strace.terminate()
            print(await launch(), len(os.listdir("/proc/self/fd")) - before)

        loop = aiospawn.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    """
    with open(tmp_path / "file", "wb") as file:
        completed = subprocess.run(
            fresh.command(program),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            check=False,
        )
    assert (completed.returncode, (tmp_path / "file").read_text()) == (0, "")
    told, after = completed.stdout.decode().splitlines()
    assert "SIGKILL" in told
    assert after == "0 0"
