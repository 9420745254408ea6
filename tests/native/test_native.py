"""The native part by itself: symbols of the pre-exec section, layouts, damaged requests, kernels with less."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import pathlib
import shutil
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from compiled import CROSS, HOST, Compiler, compiler, harness, library, undefined_in_the_child
from damaged import Draft
from paths import TESTS

import aiospawn
from aiospawn._binding import library as _clib
from aiospawn._binding.library import NO_FD, REGISTER, Step
from aiospawn._binding.native import Native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.once

crowds = pytest.mark.parametrize("crowd", [0, 700])

# ---- the pre-exec section ----------------------------------------------------------------------------------------------

# What a distribution's or a developer's CFLAGS may bring: all of it would call into libc, or touch thread-local storage.
_CFLAGS = {
    "release": ["-O3", "-DNDEBUG"],
    "debug": ["-O0", "-g"],
    "small": ["-Os"],
    "hardened": ["-O2", "-D_FORTIFY_SOURCE=2", "-fstack-protector-all", "-fstack-clash-protection"],
}


@pytest.mark.parametrize(
    "cflags", ["release", *(pytest.param(name, marks=pytest.mark.slow) for name in _CFLAGS if name != "release")]
)
@pytest.mark.parametrize("wanted", [HOST, pytest.param(CROSS, marks=pytest.mark.slow)], ids=lambda wanted: wanted.program)
def test_child_calls_nobody(wanted: Compiler, cflags: str, tmp_path: pathlib.Path) -> None:
    """From clone to execve no symbol of another library is used: no errno, no lock, no lazy binding."""
    assert undefined_in_the_child(compiler(wanted), tmp_path, *_CFLAGS[cflags]) == []


@pytest.mark.slow
def test_emulator_is_recognized(tmp_path: pathlib.Path) -> None:
    """Under an emulator that copies memory instead of sharing it the probe says so, and comes back."""
    emulator = shutil.which("qemu-aarch64-static")
    if emulator is None:
        pytest.skip("no qemu-aarch64-static")
    program = harness(compiler(CROSS), tmp_path, "probe.c", "-static")
    found = subprocess.run([emulator, program], capture_output=True, text=True, check=True)
    assert found.stdout == "shared memory 0, pidfd 0\n"


# ---- layouts ----------------------------------------------------------------------------------------------------------


def _members(structure: str) -> list[tuple[int, int]]:
    """Offset and size of each member of a structure of the header, arrays member by member."""
    places = []
    for _, field in _clib.ffi.typeof(structure).fields:
        size = _clib.ffi.sizeof(field.type)
        count = field.type.length if field.type.kind == "array" else 1
        places += [(field.offset + size // count * index, size // count) for index in range(count)]
    return places


def _packed(layout: Any) -> list[tuple[int, int]]:
    """The same of a format of the struct module: what differs when one value alone is all ones."""
    values = [0] * len(layout.unpack(bytes(layout.size)))
    places = []
    for index in range(len(values)):
        marked = layout.pack(*[*values[:index], 1, *values[index + 1 :]])
        offset = marked.index(1)
        taken = 1
        while offset + taken < layout.size and _holds(layout, index, offset + taken):
            taken += 1
        places.append((offset, taken))
    return places


def _holds(layout: Any, index: int, offset: int) -> bool:
    """Does a byte at this offset count for this value?"""
    marked = bytearray(layout.size)
    marked[offset] = 1
    return bool(layout.unpack(marked)[index])


@pytest.mark.parametrize(
    ("structure", "layout"),
    [
        ("struct aiospawn_request", struct.Struct(_clib._HEAD.format + _clib._COUNTS.format[1:])),
        ("struct aiospawn_step", _clib._STEP),
    ],
    ids=["request", "step"],
)
def test_formats(structure: str, layout: Any) -> None:
    """Python packs and unpacks each structure as the compiler has laid it out."""
    assert layout.size == _clib.ffi.sizeof(structure)
    places = _packed(layout)
    assert places == _members(structure)[: len(places)]
    assert all(size == 1 for _, size in _members(structure)[len(places) :])  # the rest is padding


def test_kernel_structures(tmp_path: pathlib.Path) -> None:
    """Structures that the native part writes down for itself are the kernel's."""
    ours, kernels = ctypes.create_string_buffer(4096), ctypes.create_string_buffer(4096)
    made = library(tmp_path, "ours.c", "kernels.c")
    made.ours(ours)
    made.kernels(kernels)
    assert ours.value.decode().splitlines() == kernels.value.decode().splitlines()
    assert f"rusage: {_clib.USAGE.size} at" in ours.value.decode()


# ---- damaged requests -------------------------------------------------------------------------------------------------

_WHOLE = 2**32 - 1
_LEAST, _GREATEST = -(2**31), 2**31 - 1


@pytest.fixture
def native() -> Iterator[Native]:
    opened = Native()
    yield opened
    opened.close()


def _refused(native: Native, request: bytes) -> None:
    with pytest.raises(OSError, match="Invalid argument") as caught:
        native.launch(request)
    assert caught.value.errno == errno.EINVAL


def _plain() -> Draft:
    return Draft("true", "argument", streams=(-1, -1, None), env={"A": "b", "C": "d"}, cwd="/")


_HEADS: list[tuple[str, Any]] = [
    *[("version", value) for value in (0, 1, 2, 4, _WHOLE)],
    *[("steps", value) for value in (0, 1, 65537, _WHOLE)],
    ("prelude", _WHOLE),
    *itertools.product(("candidates", "arguments", "variables"), (0, 1000, 2**31, _WHOLE)),
    *[("data_size", value) for value in (0, 1, 1000, 2**31, _WHOLE)],
    *[("top", value) for value in (-2, _LEAST, _GREATEST)],
    *[("pipe_size", value) for value in (-1, _LEAST)],
    *[("program", value) for value in (-6, REGISTER + 1, REGISTER - 64, _LEAST, -3)],
    *[("pipes", value) for value in ([4, 2, 0], [255, 2, 0], [1, 3, 0], [1, 2, 4], [3, 2, 0])],
]


@pytest.mark.parametrize(("field", "value"), _HEADS, ids=lambda part: str(part).replace(" ", ""))
def test_damaged_header(native: Native, field: str, value: Any) -> None:
    """A header that contradicts itself, or the request's size, is refused."""
    draft = _plain()
    assert getattr(draft.head, field) != value
    setattr(draft.head, field, value)
    _refused(native, bytes(draft.bytes))


def test_truncated(native: Native) -> None:
    """A request that ends too early, anywhere, is refused."""
    whole = bytes(_plain().bytes)
    for size in range(len(whole)):
        _refused(native, whole[:size])


@pytest.mark.parametrize("more", [b"\0", b"x", b"x\0", bytes(100)])
def test_too_long(native: Native, more: bytes) -> None:
    """So is one with something behind it."""
    _refused(native, bytes(_plain().bytes) + more)


def test_last_string_does_not_end(native: Native) -> None:
    """So is one whose last string has no end."""
    _refused(native, bytes(_plain().bytes[:-1]) + b"x")


def _with(kind: int, **damage: Any) -> Callable[[], Draft]:
    """A request whose step of that kind is damaged."""

    def make() -> Draft:
        draft = _plain()
        step = draft.steps[-1]
        step.kind, step.fd, step.value, step.data, step.size = kind, 0, 0, 0, 0
        for name, value in damage.items():
            setattr(step, name, value)
        return draft

    return make


_STEPS = {
    "no step": _with(Step.EXECVE),
    "the launcher": _with(Step.LAUNCHER),
    "Python code": _with(Step.PREEXEC_FN),
    "inheriting": _with(Step.INHERIT),
    "closing an end": _with(Step.CLOSE, fd=-1),
    "closing below nothing": _with(Step.CLOSE, fd=3, value=-1),
    "closing above all": _with(Step.CLOSE, fd=3, value=2**31),
    "unknown": _with(Step.KINDS if hasattr(Step, "KINDS") else max(Step) + 1),
    "any number": _with(_WHOLE),
    "data behind the end": _with(Step.UMASK, data=3),
    "data far behind": _with(Step.UMASK, data=_WHOLE, size=2),
    "data too long": _with(Step.UMASK, data=1, size=2),
    "endless data": _with(Step.UMASK, size=_WHOLE),
    "no such end": _with(Step.FCHDIR, fd=-6),
    "an end that is no pipe's": _with(Step.FCHDIR, fd=-3),
    "below the registers": _with(Step.FCHDIR, fd=REGISTER - 64),
    "the least descriptor": _with(Step.FCHDIR, fd=_LEAST),
    "between ends and registers": _with(Step.FCHDIR, fd=REGISTER + 1),
    "saved below": _with(Step.SAVE, value=-1),
    "saved above": _with(Step.SAVE, value=64),
    "saved far above": _with(Step.SAVE, value=2**32),
    "restored from below": _with(Step.DUP_SAVED, fd=-1),
    "restored from above": _with(Step.DUP_SAVED, fd=64),
    "restored above the highest": _with(Step.DUP_SAVED, value=2),
    "restored below zero": _with(Step.DUP_SAVED, value=-(2**32) + 5),
    "duplicated above the highest": _with(Step.DUP, value=2),
    "duplicated far above": _with(Step.DUP, value=2**32),
    "duplicated below zero": _with(Step.DUP, value=-(2**32) + 5),
    "opened above the highest": _with(Step.OPEN, fd=2, size=2),
    "opened below zero": _with(Step.OPEN, fd=-1, size=2),
    "opened without a path": _with(Step.OPEN),
    "opened, the path has no end": _with(Step.OPEN, size=1),
    "directory without a path": _with(Step.CHDIR),
    "directory without an end": _with(Step.CHDIR, size=1),
    "root without an end": _with(Step.CHROOT, size=1),
    "cgroup without an end": _with(Step.CGROUP, size=1),
    "one map": _with(Step.UNSHARE, size=2),
    "maps without an end": _with(Step.UNSHARE, size=1),
    "fewer groups": _with(Step.SETGROUPS, value=1),
    "more groups": _with(Step.SETGROUPS, size=1),
    "groups below zero": _with(Step.SETGROUPS, value=-1),
    "half a limit": _with(Step.RLIMIT, size=2),
    "no limit": _with(Step.RLIMIT),
    "half a hook": _with(Step.HOOK, size=2),
    "no hook": _with(Step.HOOK),
    "part of a filter": _with(Step.SECCOMP, size=2),
}


@pytest.mark.parametrize("make", _STEPS.values(), ids=_STEPS)
def test_damaged_step(native: Native, make: Callable[[], Draft]) -> None:
    """A step that would make the child read or write what it should not is refused."""
    draft = make()
    assert bytes(draft.data) == b"/\0"
    _refused(native, bytes(draft.bytes))


def test_a_program_that_is_nowhere(native: Native) -> None:
    """Without candidates there must be a descriptor to execute."""
    draft = Draft("true", executable=0)
    draft.head.program = NO_FD
    _refused(native, bytes(draft.bytes))


_FLIP = """
import os
import damaged, fresh

for _ in range(int(os.environ["FRESH_CROWD"])):
    os.dup(0)
os.chdir(os.environ["DIRECTORY"])
damaged.flip(50, seed=0)
before = fresh.descriptors()
ended = damaged.flip(1000, seed={seed})
assert fresh.descriptors() == before, (before, fresh.descriptors())
assert fresh.children() == []
assert ended["EINVAL"] > 100 and ended["exited"] > 100 and ended["failed"] > 10, ended
"""


@crowds
@pytest.mark.parametrize("variant", ["stdlib", "stdlib-vfork"])
def test_flipped_bits(variant: str, crowd: int, tmp_path: pathlib.Path) -> None:
    """Whichever bits of a request are flipped: it is refused, fails or runs, and nothing is left of it."""
    (tmp_path / "file").touch()
    seed = 2 * variant.endswith("-vfork") + bool(crowd)
    assert fresh.run(_FLIP.format(seed=seed), variant, crowd, DIRECTORY=str(tmp_path)) == ""


# ---- without a feature ------------------------------------------------------------------------------------------------

_LAUNCHES = """
import asyncio, os, signal
import aiospawn, fresh

PIPE = aiospawn.PIPE

async def main():
    launch = aiospawn.create_subprocess_exec
    for via in ({{}}, {{"via": "launcher"}}):
        process = await launch("cat", stdin=PIPE, stdout=PIPE, **via)
        assert await process.communicate(b"text") == (b"text", None) and process.returncode == 0
        for options, step in (({{}}, "execve"), ({{"cwd": "/nowhere"}}, "chdir")):
            try:
                await launch("/nowhere", stdin=PIPE, stdout=PIPE, stderr=PIPE, **options, **via)
            except FileNotFoundError as error:
                assert error.step == step and error.filename == "/nowhere"
            else:
                raise AssertionError(step)
        process = await launch("sleep", "1000", **via)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM
        inheritable = os.dup(0)
        os.set_inheritable(inheritable, True)
        process = await launch("ls", "/proc/self/fd", stdout=PIPE, **via)
        output, _ = await process.communicate()
        assert output.split() == [b"0", b"1", b"2", b"3"], output  # 3: the listing's own
        process = await launch("ls", "/proc/self/fd", stdout=PIPE, close_fds=False, **via)
        output, _ = await process.communicate()
        assert str(inheritable).encode() in output.split()
        os.close(inheritable)
        process = await launch("sh", "-c", "kill -STOP $$", stdout=PIPE, restore_signals=False, **via)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        with open(f"/proc/{{process.pid}}/status") as status:
            lines = dict(line.split(":\\t") for line in status.read().splitlines() if line.startswith("Sig"))
        assert int(lines["SigCgt"], 16) >> signal.SIGUSR1 - 1 & 1 == 0
        assert int(lines["SigIgn"], 16) >> signal.SIGUSR2 - 1 & 1 == 1
        process.kill()
        await process.wait()

signal.signal(signal.SIGUSR1, lambda *_: None)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
support = aiospawn.supported()
absent = {absent!r}.split(",")
assert support and not any(support.features[name] for name in absent) and support.missing.keys() >= {{*absent}}
assert support.variant == ("vfork" if "concurrent_clone" in absent else "concurrent")
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.parametrize(
    "absent", ["clone3", "close_range", "pidfd_info", "concurrent_clone", "clone3,close_range,pidfd_info,concurrent_clone"]
)
@crowds
def test_without(variant: str, crowd: int, absent: str) -> None:
    """On a kernel or processor that lacks a feature launches are the same, and `supported()` says what that costs."""
    assert fresh.run(_LAUNCHES.format(absent=absent), variant, crowd, AIOSPAWN_WITHOUT=absent) == ""


# ---- valgrind ---------------------------------------------------------------------------------------------------------

_UNDER_VALGRIND = """
import asyncio, os, tempfile
import aiospawn

for _ in range(1100):
    os.dup(0)

async def main():
    process = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    print(await process.communicate(b"text"), process.returncode)
    try:
        await aiospawn.create_subprocess_exec("/nowhere", stdout=-1)
    except FileNotFoundError as error:
        print(error.step)
    process = await aiospawn.create_subprocess_exec("sleep", "1000")
    process.kill()
    print(await process.wait())
    with tempfile.TemporaryFile() as file:  # without valgrind the launch waits for the child to leave the shared table
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        process = await aiospawn.create_subprocess_exec("sh", "-c", "echo once >&2")
        os.dup2(kept, 2)
        print(await process.wait(), os.pread(file.fileno(), 100, 0))

print(bool(aiospawn.supported()), aiospawn.supported().variant)
print({name: aiospawn.supported().features[name] for name in ("shared_memory", "close_range")})
with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
    runner.run(main())
"""


@pytest.mark.slow
def test_valgrind(tmp_path: pathlib.Path) -> None:
    """Under valgrind, which ends a program at a clone whose parent runs on, launches wait for their execve.

    It makes a fork of that: the child's word that it has left a shared table would never come. No table is shared, for the
    child that tried close_range could not say that it is there, either.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        pytest.skip("no valgrind")
    suppressions = tmp_path / "interpreter"  # whose own code, in some versions, depends on what valgrind takes for unset
    suppressions.write_text("".join(f"{{\n{kind}\nMemcheck:{kind}\nobj:*python3*\n}}\n" for kind in ("Cond", "Value8")))
    checked = subprocess.run(
        [
            valgrind,
            "--error-exitcode=99",
            "--undef-value-errors=yes",
            f"--suppressions={suppressions}",
            sys.executable,
            "-c",
            _UNDER_VALGRIND,
        ],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines() == [
        "True vfork",
        "{'shared_memory': False, 'close_range': False}",
        "(b'text', None) 0",
        "execve",
        "-9",
        "0 b'once\\n'",
    ]


# ---- numbers that are somebody else's ---------------------------------------------------------------------------------


def _told(program: pathlib.Path) -> str:
    return subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_clone_fails_late(tmp_path: pathlib.Path) -> None:
    """The number of a pidfd that was not made after all is another thread's to use: a failed launch does not close it."""
    program = harness(compiler(), tmp_path, "late_failure.c", without=("child/clone.c",))
    assert _told(program) == "Resource temporarily unavailable, the other's descriptor is open\n"


@pytest.mark.slow
def test_forks_beside_a_reactor(tmp_path: pathlib.Path) -> None:
    """A fork by another thread, while a reactor is opened or closed, holds nothing of it and closes nobody's descriptor."""
    assert _told(harness(compiler(), tmp_path, "fork_beside.c")).splitlines() == [
        "opened: 0 held",
        *(2 * ["a descriptor of a child's is closed: 0 held"]),  # one not yet: it is kept until the child is reaped
        "closed: 0 held, theirs is open",
    ]


@pytest.mark.slow
def test_reserved_numbers_are_free(tmp_path: pathlib.Path) -> None:
    """Numbers are set aside without taking one that another thread has just been given."""
    program = harness(compiler(), tmp_path, "fd_block_claim.c", without=("parent/fd_block.c",))
    assert _told(program) == "opened 74, it is still theirs\n"


def test_closed_by_a_daemon() -> None:
    """A program that closes what it does not know, and opens its own files there, has them in the children of its forks."""
    program = """
import os
import aiospawn

aiospawn.new_event_loop().close()
known = {int(name) for name in os.listdir("/proc/self/fd")}
os.closerange(3, max(known) + 1)
own = [os.open("/", os.O_RDONLY) for _ in range(max(known))]
pid = os.fork()
if not pid:
    os._exit(sum(not os.path.exists(f"/proc/self/fd/{fd}") for fd in own) != 0)
assert os.waitpid(pid, 0)[1] == 0
"""
    assert fresh.run(program) == ""


@pytest.mark.parametrize("via", ["", "launcher"], ids=["direct", "launcher"])
def test_limit_lowered_before_execve(variant: str, via: str) -> None:
    """RLIMIT_NOFILE may sink below the numbers of a child before its execve: the end of its output is seen all the same."""
    program = """
import asyncio, os, resource
import aiospawn, fresh

async def main():
    launch = asyncio.create_task(aiospawn.create_subprocess_exec("echo", stdout=-1, via=os.environ["VIA"] or None))
    await asyncio.sleep(0)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    process = await launch
    assert await process.communicate() == (b"\\n", None)

loop = fresh.new_event_loop()
loop.run_until_complete(main())
"""
    assert fresh.run(program, variant, crowd=700, VIA=via) == ""


def test_standard_streams_stay_free(variant: str) -> None:
    """Where the program has closed its standard streams, nothing of ours takes their numbers."""
    program = """
import os
os.close(0)
import asyncio
import aiospawn, fresh

def is_free():
    return not os.path.exists("/proc/self/fd/0")

async def main():
    os.close(0)
    process = await aiospawn.create_subprocess_exec("cat", stdin=aiospawn.PIPE)
    try:
        assert is_free() and process.pidfd > 2
    finally:
        process.stdin.close()
        await process.wait()
        assert os.open(os.devnull, os.O_RDONLY) == 0

assert is_free()
assert os.open(os.devnull, os.O_RDONLY) == 0
loop = fresh.new_event_loop()  # asyncio's own selector takes any number
loop.run_until_complete(main())
loop.close()
"""
    assert fresh.run(program, variant) == ""


def test_file_size_limit(variant: str) -> None:
    """Where no file may be written (RLIMIT_FSIZE), a launch through the launcher does not end the program by SIGXFSZ."""
    program = """
import asyncio, resource, signal
import aiospawn, fresh

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    process = await aiospawn.create_subprocess_exec("true", via="launcher")
    assert await process.wait() == 0

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    assert fresh.run(program, variant) == ""


# ---- ends -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def first_thread_ends(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    source = TESTS / "native" / "first_thread_ends.c"
    program = tmp_path_factory.mktemp("first-thread-ends") / "program"
    subprocess.run([compiler().program, source, "-o", program, "-pthread"], check=True)
    return program


async def test_first_thread_ends(first_thread_ends: pathlib.Path) -> None:
    """A program runs as long as one of its threads does, though the first, whose number it has, is a zombie already."""
    import asyncio

    known = fresh.children()
    launch = asyncio.create_task(aiospawn.create_subprocess_exec(first_thread_ends, stdin=-1, stdout=-1))
    await asyncio.sleep(0)
    (pid,) = set(fresh.children()) - set(known)
    while " Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text():  # noqa: ASYNC240 - the loop is kept busy
        os.sched_yield()
    process = await launch
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"text\n")
    assert await process.stdout.readline() == b">text\n"
    process.stdin.close()
    assert await process.wait() == 7


async def test_packets() -> None:
    """A pipe in packet mode (O_DIRECT) gives a packet a read: a short one is not the end."""
    packets = "import fcntl, os; fcntl.fcntl(1, fcntl.F_SETFL, os.O_DIRECT); [os.write(1, b'packet') for _ in range(5)]"
    process = await aiospawn.create_subprocess_exec(sys.executable, "-c", packets, stdout=aiospawn.PIPE)
    assert await process.communicate() == (5 * b"packet", None)


@pytest.mark.parametrize("via", ["", "launcher"], ids=["direct", "launcher"])
def test_loop_is_closed_at_once(variant: str, via: str, tmp_path: pathlib.Path) -> None:
    """Children live on when their loop is closed right behind the launch, whatever of them is yet to be reported."""
    program = """
import os, time
from aiospawn._binding.native import Native
from damaged import Draft

path = os.environ["DIRECTORY"]
for number in range(50):
    native = Native()
    native.launch(bytes(Draft("mkdir", f"{path}/{number}", via=os.environ["VIA"] or None).bytes))
    native.close()
while len(os.listdir(path)) < 50:
    time.sleep(0.001)
while True:  # some are reaped already
    try:
        assert os.wait()[1] == 0
    except ChildProcessError:
        break
"""
    assert fresh.run(program, variant, DIRECTORY=str(tmp_path), VIA=via) == ""


def test_peeked_while_reaped(variant: str) -> None:
    """A thread that asks for the exit status while the loop reaps the child never gets another."""
    program = """
import asyncio, threading
import aiospawn, fresh

async def main():
    for _ in range(300):
        process = await aiospawn.create_subprocess_exec("sh", "-c", "exit 3")
        view = process._transport.get_extra_info("subprocess")
        seen = []
        thread = threading.Thread(target=lambda: seen.append(view.wait()))
        asker = threading.Thread(target=lambda: seen.append(ask(view)))
        thread.start(), asker.start()
        assert await process.wait() == 3
        thread.join(), asker.join()
        assert seen == [3, 3], seen

def ask(view):
    while (returncode := view.poll()) is None:
        continue
    return returncode

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    assert fresh.run(program, variant, AIOSPAWN_WITHOUT="pidfd_info") == ""
