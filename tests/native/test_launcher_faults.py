"""The launcher in adverse places: killed, hanging, of another version, not there, at the limits of what an execve takes."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import fresh
import pytest
from paths import NATIVE
from place import lacks

import aiospawn

if TYPE_CHECKING:
    import pathlib

pytestmark = pytest.mark.once

crowds = pytest.mark.parametrize("crowd", [0, 700], ids=["few", "crowded"])


def require(*capabilities: str) -> None:
    if missing := lacks(*capabilities):
        pytest.skip(f"needs {', '.join(missing)}")


# ---- the limits of an execve ------------------------------------------------------------------------------------------

# Strings and pointers may take a quarter of the stack's limit, at most 6 MiB (execve(2)); a margin for the environment.
_SOFT = resource.getrlimit(resource.RLIMIT_STACK)[0]
_ROOM = min(_SOFT // 4 if _SOFT != resource.RLIM_INFINITY else 6 << 20, 6 << 20)
_LONGEST = 32 * os.sysconf("SC_PAGE_SIZE") - 1


class Refusal(NamedTuple):
    kind: type
    errno: int | None
    step: str
    filename: Any
    text: str


async def _refusal(*command: str, **options: Any) -> Refusal:
    with pytest.raises(OSError) as caught:
        await aiospawn.create_subprocess_exec(*command, **options)
    error = caught.value
    return Refusal(type(error), error.errno, error.step, error.filename, str(error))  # type: ignore[attr-defined]


async def test_arguments_as_long_as_they_may_be() -> None:
    """Through the launcher arguments and environment may be as long as without it, and arrive as they are."""
    half = (_ROOM - 16384) // 2
    arguments = ["x" * _LONGEST] * (half // _LONGEST) + ["y" * (half % _LONGEST)]
    environment = {f"N{number}": "z" * (_LONGEST - 16) for number in range(half // _LONGEST)}
    process = await aiospawn.create_subprocess_exec(
        *("/bin/sh", "-c", "/bin/cat /proc/$$/cmdline /proc/$$/environ; exit", "sh", *arguments),
        env=environment,
        stdout=aiospawn.PIPE,
        via="launcher",
    )
    output, _ = await process.communicate()
    shown = output.split(b"\0")[:-1]
    assert shown[4 : 4 + len(arguments)] == [argument.encode() for argument in arguments]
    assert shown[4 + len(arguments) :] == [f"{name}={value}".encode() for name, value in environment.items()]


@pytest.mark.parametrize("arguments", [["x" * (_LONGEST + 1)], ["x" * 65536] * (_ROOM // 65536 + 1)], ids=["one", "all"])
async def test_arguments_that_are_too_long(arguments: list[str]) -> None:
    """Arguments that no execve takes are refused in the same words as without the launcher."""
    direct = await _refusal("/bin/true", *arguments)
    assert await _refusal("/bin/true", *arguments, via="launcher") == direct


async def test_hundreds_of_directories(tmp_path: pathlib.Path) -> None:
    """As many directories of a PATH as there are, and among their errors the one that counts."""
    directories = [tmp_path / f"{number}" for number in range(600)]
    directories[-1].mkdir()
    (directories[-1] / "program").symlink_to("/bin/echo")
    env = {"PATH": ":".join(map(str, directories))}
    process = await aiospawn.create_subprocess_exec("program", "text", stdout=aiospawn.PIPE, env=env, via="launcher")
    assert await process.communicate() == (b"text\n", None)
    directories[300].mkdir()
    (directories[300] / "other").touch(mode=0o644)
    refusal = await _refusal("other", env=env, via="launcher")
    assert refusal == await _refusal("other", env=env)
    assert refusal.kind is PermissionError


# ---- killed, hanging --------------------------------------------------------------------------------------------------

_FRAME = """
import asyncio, ctypes, os, platform, signal, sys, threading
import aiospawn, fresh, seccomp

X86 = platform.machine() == "x86_64"
EXECVEAT, PRCTL, EXECVE = (322, 157, 59) if X86 else (281, 167, 221)

class Gate(seccomp.Gate):
    "Every such system call from now on waits until it is let through."

    def __init__(self, number, first_argument):
        self._listener = seccomp._install(
            8,
            (0x20, 0, 0, 0),
            (0x15, 0, 3, number),
            (0x20, 0, 0, 16),
            (0x15, 0, 1 if first_argument is not None else 0, first_argument or 0),
            (0x06, 0, 0, 0x7FC00000),
            (0x06, 0, 0, 0x7FFF0000),
        )

{definitions}

assert aiospawn.supported().features["launcher"]
loop = fresh.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))  # uvloop opens its own descriptors with the first run
before = fresh.descriptors()
loop.run_until_complete(main())
after = fresh.descriptors()
assert {{fd: after[fd] for fd in before}} == before
assert not [target for fd, target in after.items() if fd not in before and "seccomp" not in target], after
assert fresh.children() == []
loop.close()
"""


@crowds
@pytest.mark.parametrize(
    "stage", ["EXECVEAT, None", "PRCTL, 15", "EXECVE, None"], ids=["before", "in its start", "at its end"]
)
def test_killed(stage: str, variant: str, crowd: int) -> None:
    """Killed before the launcher runs, as it starts, or at its end: never reported as a program that ran."""
    definitions = f"""
async def main():
    armed, handed = threading.Event(), []

    def kill():  # not filtered itself: it was there before
        armed.wait()
        while True:
            identity, pid = handed[0].arrival()
            if os.path.exists(f"/proc/self/task/{{pid}}"):
                handed[0].let_through(identity)
                continue
            return os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    handed.append(Gate({stage}))
    armed.set()
    try:
        process = await aiospawn.create_subprocess_exec("/bin/true", stdin=-1, stdout=-1, stderr=-1, via="launcher")
    except ChildProcessError as error:
        print(error.errno, error.step, "SIGKILL" in str(error))
    else:
        print(await process.communicate(), process.returncode)
    killer.join()
"""
    assert fresh.run(_FRAME.format(definitions=definitions), variant, crowd) == "10 execve True\n"


@crowds
def test_cancelled_while_it_hangs(variant: str, crowd: int, tmp_path: pathlib.Path) -> None:
    """A launcher that hangs in a step holds up neither the loop nor another launch; cancelled, it is killed and reaped."""
    definitions = """
async def main():
    path = os.environ["FIFO"]
    os.mkfifo(path)
    pipes = {"stdin": -1, "stdout": -1, "stderr": -1}
    launch = asyncio.create_task(
        aiospawn.create_subprocess_exec("/bin/true", open_fds={3: (path, os.O_RDONLY)}, via="launcher", **pipes))
    await asyncio.sleep(0)
    other = await aiospawn.create_subprocess_exec("echo", "text", stdout=-1, via="launcher")
    print((await other.communicate())[0], launch.done())
    launch.cancel()
    await asyncio.wait([launch])
    print(launch.cancelled(), fresh.children())
"""
    assert fresh.run(_FRAME.format(definitions=definitions), variant, crowd, FIFO=str(tmp_path / "fifo")) == (
        "b'text\\n' False\nTrue []\n"
    )


# ---- privileges -------------------------------------------------------------------------------------------------------

_PRIVILEGES = """
import asyncio, ctypes, os
import aiospawn, fresh

libc = ctypes.CDLL(None)

def saved_group():
    os.setgroups([])
    os.setresgid(1000, 1000, 1500)
    os.setresuid(1000, 1000, 1000)

def outside_the_bounding_set():
    assert libc.prctl(24, 6, 0, 0, 0) == 0  # PR_CAPBSET_DROP, CAP_SETGID

def ambient():
    import struct
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setresuid(1000, 1000, 1000)
    header, wanted = struct.pack("=Ii", 0x20080522, 0), 1 << 6
    assert libc.capset(header, struct.pack("=6I", wanted, wanted, wanted, 0, 0, 0)) == 0
    assert libc.prctl(47, 2, 6, 0, 0) == 0  # PR_CAP_AMBIENT_RAISE

async def main():
    for more in ({}, {"via": "launcher"}):
        process = await aiospawn.create_subprocess_exec("id", "-g", stdout=-1, group=1500, **more)
        output, _ = await process.communicate()
        assert output == b"1500\\n", output

assert aiospawn.supported().features["launcher"]
loop = fresh.new_event_loop()
locals()[os.environ["WHAT"]]()
dumpable = libc.prctl(3, 0, 0, 0, 0)
loop.run_until_complete(main())
assert libc.prctl(3, 0, 0, 0, 0) == dumpable
loop.close()
"""


@pytest.mark.parametrize("what", ["saved_group", "outside_the_bounding_set", "ambient"])
def test_privileges_that_a_forked_child_has(what: str, variant: str) -> None:
    """What a forked child may do a launched one may, whether or not an execve in between would keep the right to it."""
    require("setuid", "setgid", "setpcap")
    fresh.run(_PRIVILEGES, variant, WHAT=what)


def test_dumpable_all_the_while(variant: str) -> None:
    """While children change their users, this process can be looked at by its own as ever, at every moment."""
    require("setuid")
    program = """
import asyncio, ctypes, os, threading
import aiospawn, fresh

libc = ctypes.CDLL(None)
seen, over = set(), threading.Event()

def look():
    while not over.is_set():
        seen.add(libc.prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE

async def launch(user):
    process = await aiospawn.create_subprocess_exec("id", "-u", stdout=-1, user=user)
    assert await process.communicate() == (b"%d\\n" % user, None)

async def main():
    for start in range(1000, 1100, 20):
        await asyncio.gather(*map(launch, range(start, start + 20)))

looker = threading.Thread(target=look)
looker.start()
loop = fresh.new_event_loop()
loop.run_until_complete(main())
over.set()
looker.join()
print(seen)
loop.close()
"""
    assert fresh.run(program, variant) == "{1}\n"


# ---- the machine ------------------------------------------------------------------------------------------------------


@crowds
def test_no_file_may_be_written(variant: str, crowd: int) -> None:
    """A process that may not write files (RLIMIT_FSIZE) launches all the same."""
    program = """
import asyncio, resource
import aiospawn, fresh

async def main():
    process = await aiospawn.create_subprocess_exec("cat", "/proc/self/oom_score_adj", stdout=-1, oom_score_adj=432)
    print(*await process.communicate())

loop = fresh.new_event_loop()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
loop.run_until_complete(main())
loop.close()
"""
    assert fresh.run(program, variant, crowd) == "b'432\\n' None\n"


def test_in_an_empty_root(variant: str, tmp_path: pathlib.Path) -> None:
    """It needs no file, not even /proc: in a root that holds the program and nothing else it launches that."""
    require("sys_chroot", "setuid")
    program = """
import asyncio, os, pathlib
import aiospawn, fresh, place, seccomp
import encodings.idna, threading  # no module can be imported in there

async def main():
    gate = None
    process = await aiospawn.create_subprocess_exec(
        "/bin/sh", "-c", "echo text >/made/file; umask; echo /proc*", stdout=-1, user=1000, umask=0o027, via="launcher")
    print((await process.communicate())[0].split(), process.returncode)

loop = fresh.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
with place.Place(pathlib.Path(os.environ["DIRECTORY"])) as here:
    root = str(here.root)
    os.mkdir(root + "/made")
    os.chmod(root + "/made", 0o777)
    os.chmod(os.environ["DIRECTORY"], 0o755)
    outside = os.open("/", os.O_RDONLY)
    os.chroot(root)
    os.chdir("/")
    assert aiospawn.supported().features["launcher"]
    loop.run_until_complete(main())
    file = os.stat("/made/file")
    print(file.st_uid, oct(file.st_mode & 0o777))
    os.fchdir(outside)
    os.chroot(".")
loop.close()
"""
    shown = fresh.run(program, variant, DIRECTORY=str(tmp_path))
    assert shown == "[b'0027', b'/proc*'] 0\n1000 0o640\n"


# ---- another package --------------------------------------------------------------------------------------------------


class Copy:
    """A copy of the package, and an interpreter that finds it, for `fresh.run`."""

    def __init__(self, directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.package = directory / "copied" / "aiospawn"
        for part in reversed(aiospawn.__path__):  # installed for development the native part lies elsewhere
            shutil.copytree(part, self.package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.launcher = self.package / "_binding" / "_launcher"
        interpreter = directory / "python"
        interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -P "$@"\n')  # -S: no finder of a development install
        interpreter.chmod(0o755)
        monkeypatch.setenv("PYTHONPATH", ":".join([str(self.package.parent), *filter(None, sys.path)]))
        monkeypatch.setattr(sys, "executable", str(interpreter))


@pytest.fixture
def copy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return Copy(tmp_path, monkeypatch)


def _other_version(directory: pathlib.Path) -> pathlib.Path:
    """The launcher, built of the same source but for its version."""
    if not (compiler := shutil.which("cc")):
        pytest.skip("no C compiler")
    source = directory / "source"
    shutil.copytree(NATIVE, source)
    header = (source / "launcher" / "launcher.h").read_text()
    other, count = re.subn(r"LAUNCHER_VERSION = \d+,", "LAUNCHER_VERSION = 1000,", header)
    assert count == 1
    (source / "launcher" / "launcher.h").write_text(other)
    program = source / "_launcher"
    (source / "child" / "clone.c").unlink()
    files = sorted(source.glob("launcher/*.c")) + sorted(source.glob("child/*.c"))
    freestanding = ("-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-nostdlib", "-nostartfiles")
    linked = ("-static", "-no-pie", "-fno-pie")
    command = [
        compiler,
        "-O2",
        "-D_GNU_SOURCE",
        "-fcf-protection=none",
        *freestanding,
        *linked,
        "-I",
        source,
        *files,
        "-o",
        program,
    ]
    if os.uname().machine != "x86_64":
        command.remove("-fcf-protection=none")
    subprocess.run(command, check=True)
    return program


_COPIED = """
import asyncio, os, pathlib, shutil
import fresh
import aiospawn

package = pathlib.Path(aiospawn.__file__).parent
launcher = package / "_binding" / "_launcher"
assert package.parent.name == "copied", package

async def main():
    try:
        process = await aiospawn.create_subprocess_exec(
            "cat", "/proc/self/oom_score_adj", stdout=-1, oom_score_adj=432)
    except OSError as error:
        print(error.errno, error.step, "version" in str(error))
    else:
        output, _ = await process.communicate()
        print(output, pathlib.Path("/proc/self/oom_score_adj").read_text() != "432\\n")

{first}
loop = fresh.new_event_loop()
print(aiospawn.supported().features["launcher"], "launcher" in aiospawn.supported().missing)
loop.run_until_complete(main())
assert fresh.children() == []
loop.close()
"""


@pytest.mark.slow
def test_another_version(variant: str, copy: Copy, tmp_path: pathlib.Path) -> None:
    """A launcher of another version refuses, and the error says so."""
    copy.launcher.unlink()
    shutil.copy(_other_version(tmp_path), copy.launcher)
    assert fresh.run(_COPIED.format(first=""), variant) == "True False\n71 launcher True\n"


@pytest.mark.slow
def test_upgraded_meanwhile(variant: str, copy: Copy, tmp_path: pathlib.Path) -> None:
    """A package that is upgraded under a running process leaves that process its own launcher."""
    other = _other_version(tmp_path)
    first = f"launcher.unlink()\nshutil.copy({str(other)!r}, launcher)"
    assert fresh.run(_COPIED.format(first=first), variant) == "True False\nb'432\\n' True\n"


@pytest.mark.slow
def test_built_without_it(variant: str, copy: Copy) -> None:
    """Without the launcher every step works, and `supported()` says what that costs."""
    copy.launcher.unlink()
    assert fresh.run(_COPIED.format(first=""), variant) == "False True\nb'432\\n' True\n"
