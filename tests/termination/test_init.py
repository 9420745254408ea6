"""`init`: nothing that a command started outlives it, a stop, or this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import select
import signal
import subprocess
import time
from typing import Any

import fresh
import pytest
from hostile import SHAPES, hostile
from marker import PATIENCE, Marker, stands
from process_trees import lives

import aiospawn

pytestmark = pytest.mark.once

# ---- ends -------------------------------------------------------------------------------------------------------------


def _children(pid: int) -> list[int]:
    return [*map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


async def _by_stop(command: list[str], marker: Marker, count: int, options: dict[str, Any]) -> None:
    process = await aiospawn.create_subprocess_exec(*command, **options)
    await stands(marker, count)
    await process.stop(0.01)


async def _by_kill(command: list[str], marker: Marker, count: int, options: dict[str, Any]) -> None:
    process = await aiospawn.create_subprocess_exec(*command, **options)
    await stands(marker, count)
    process.kill()
    assert await process.wait() == -signal.SIGKILL


async def _by_cancellation(command: list[str], marker: Marker, count: int, options: dict[str, Any]) -> None:
    running = asyncio.ensure_future(aiospawn.run(command, grace=0, **options))
    await stands(marker, count)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def _by_timeout(command: list[str], marker: Marker, count: int, options: dict[str, Any]) -> None:
    with pytest.raises(subprocess.TimeoutExpired):  # whether it stands by then or not
        await aiospawn.run(command, timeout=0.1, grace=0, **options)


async def _by_closed_transport(command: list[str], marker: Marker, count: int, options: dict[str, Any]) -> None:
    process = await aiospawn.create_subprocess_exec(*command, **options)
    await stands(marker, count)
    process._transport.close()  # type: ignore[attr-defined]
    await process.wait()


async def _by_the_end_of_the_command(command: list[str], marker: Marker, count: int, options: dict[str, Any]) -> None:
    process = await aiospawn.create_subprocess_exec(*command, **options)
    await stands(marker, count)
    os.kill(_children(process.pid)[0], signal.SIGKILL)  # the first is the command, the others are orphans
    assert await process.wait() == -signal.SIGKILL


ENDS = [_by_stop, _by_kill, _by_cancellation, _by_timeout, _by_closed_transport, _by_the_end_of_the_command]


@pytest.mark.parametrize(
    ("end", "namespace"),
    [*((end, None) for end in ENDS), (_by_stop, "pid"), (_by_kill, "pid"), (_by_the_end_of_the_command, "pid")],
)
async def test_nobody_survives(end: Any, namespace: Any) -> None:
    """Whatever a tree has done to get away: when its end is reported nobody is left, for the pipe has ended by then."""
    for shape, (_, count) in SHAPES.items():
        each = Marker()
        options = {"init": True, "init_namespace": namespace, "pass_fds": [each.writer]}
        try:
            await end(hostile(shape, each.writer), each, count, options)
            assert each.has_ended(), shape
        finally:
            each.close_writer()
            os.close(each.reader)


_PARENT = """
import asyncio, os, resource, signal, sys, threading, time
import aiospawn, fresh
from hostile import SHAPES, hostile

marker, how = int(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
loop = fresh.new_event_loop()
processes = []

async def launch():
    for shape in SHAPES:
        processes.append(await aiospawn.create_subprocess_exec(
            *hostile(shape, marker), pass_fds=[marker], init=True, init_namespace=sys.argv[3] or None))

def in_a_thread():
    loop.run_until_complete(launch())

if how in ("thread", "closed in a thread"):
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
else:
    loop.run_until_complete(launch())
if os.fork() == 0:  # what is forked from here must not keep the trees alive
    os.close(marker)
    time.sleep(1000)
print("launched", flush=True)
sys.stdin.readline()
if how == "crash":
    os.abort()
elif how == "exec":
    os.close(marker)
    os.execlp("sleep", "sleep", "1000")
elif how in ("loop", "closed in a thread"):
    os.close(marker)
    loop.close()
    time.sleep(1000)
elif how == "exit":
    os._exit(3)
else:
    time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("how", "without", "namespace"),
    [
        *((how, "", "") for how in ("kill", "crash", "exec", "exit", "loop", "thread", "closed in a thread")),
        ("kill", "proc_children", ""),
        ("kill", "", "pid"),
        ("exec", "", "pid"),
    ],
)
def test_nobody_survives_the_parent(how: str, without: str, namespace: str, marker: Marker) -> None:
    """However this process ends, from whatever thread the launch came, and whatever was forked from it."""
    with subprocess.Popen(
        fresh.command(_PARENT, str(marker.writer), how, namespace),
        pass_fds=[marker.writer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=fresh.environment(AIOSPAWN_WITHOUT=without),
        process_group=0,
    ) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdin is not None
            assert parent.stdout.readline() == b"launched\n"
            marker.stands(sum(count for _, count in SHAPES.values()))
            assert not marker.has_ended()
            parent.stdin.write(b"\n")
            parent.stdin.flush()
            if how in ("kill", "thread"):
                parent.kill()
            marker.ends()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)


# ---- a lease ------------------------------------------------------------------------------------------------------------

_HANGING = """
import asyncio, sys, time
import aiospawn, fresh
from hostile import hostile

marker = int(sys.argv[1])

async def main():
    options = {"pass_fds": [marker], "init": True}
    await aiospawn.create_subprocess_exec(*hostile("setsid", marker), init_lease=1.0, **options)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    time.sleep(1000)

fresh.new_event_loop().run_until_complete(main())
"""


@pytest.mark.parametrize("how", ["stopped", "hung"])
def test_lease(how: str, marker: Marker) -> None:
    """The tree of a process that is there, and whose loop does not run, ends."""
    with subprocess.Popen(
        fresh.command(_HANGING, str(marker.writer)),
        pass_fds=[marker.writer],
        stdin=subprocess.PIPE,
        env=fresh.environment(),
        process_group=0,  # a command that ends may orphan its group, and the kernel hangs up one that has a stopped member
    ) as parent:
        try:
            assert parent.stdin is not None
            marker.stands(2)
            if how == "stopped":
                parent.send_signal(signal.SIGSTOP)
            else:
                parent.stdin.write(b"\n")
                parent.stdin.flush()
            _become_zombies(_children(parent.pid))
            assert parent.poll() is None
        finally:
            parent.kill()


def _become_zombies(pids: list[int]) -> None:
    """Waits until they have ended; their parent does not reap them."""
    deadline = time.monotonic() + PATIENCE
    while any(map(lives, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.loops("one")
async def test_a_lease_is_renewed() -> None:
    """Again and again, as long as the loop runs; and no longer than somebody has one."""
    process = await aiospawn.create_subprocess_exec("sleep", "1000", init=True, init_lease=0.3)
    (page,) = [fd for fd, target in fresh.descriptors().items() if "aiospawn:lease" in target]
    seen = set()
    while len(seen) < 3:
        seen.add(os.pread(page, 8, 0))
        await asyncio.sleep(0.01)
    process.kill()
    await process.wait()


# ---- who is left when the command has ended ------------------------------------------------------------------------------


@pytest.mark.parametrize("init", [True, "kill", "wait", "leave"])
@pytest.mark.loops("one")
async def test_who_is_left(init: Any, marker: Marker) -> None:
    """They are ended, waited for, or let go."""
    gate, opener = os.pipe()
    try:
        script = "setsid sh -c 'echo -n . >&9; read line <&8' & exit 7"
        process = await aiospawn.create_subprocess_exec("sh", "-c", script, init=init, fds={9: marker.writer, 8: gate})
        if init != "kill" and init is not True:
            await stands(marker, 1)
        if init == "wait":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(process.wait(), 0.05)
            os.write(opener, b"\n")
        assert await process.wait() == 7
        assert marker.has_ended() == (init != "leave")
    finally:
        os.close(opener)  # who was left reads its end
        os.close(gate)
    if init == "leave":
        marker.ends()


@pytest.mark.parametrize("init", ["wait", "leave"])
@pytest.mark.loops("one")
async def test_a_stop_ends_all(init: Any, marker: Marker) -> None:
    """Who is to be waited for, or let go, is ended where the command did not end by itself."""
    process = await aiospawn.create_subprocess_exec(*hostile("deaf", marker.writer), init=init, pass_fds=[marker.writer])
    await stands(marker, 2)
    await process.stop(0)
    assert marker.has_ended()


@pytest.mark.loops("one")
async def test_grace_is_the_trees(marker: Marker) -> None:
    """A stop asks everybody to end, and who has left the group has the grace too."""
    script = (
        "trap 'echo -n s >&9; exit 0' TERM; setsid sh -c '"
        'trap "sleep 0.1; echo -n c >&9; exit 0" TERM; echo -n . >&9; while :; do sleep 0.01; done'
        "' & while :; do sleep 0.01; done"
    )
    process = await aiospawn.create_subprocess_exec("sh", "-c", script, init=True, fds={9: marker.writer})
    await stands(marker, 1)
    assert await process.stop(PATIENCE) == 0
    marker.close_writer()
    assert sorted(os.read(marker.reader, 10)) == sorted(b"sc")


# ---- statuses, signals, resource use ------------------------------------------------------------------------------------


@pytest.mark.loops("one")
async def test_signals_are_passed_on() -> None:
    """What is sent to the process, or by somebody to its number, is the command's."""
    script = 'for s in HUP INT QUIT USR1 TERM CONT WINCH; do trap "echo $s" $s; done; echo .; while :; do sleep 0.01; done'
    process = await aiospawn.create_subprocess_exec("sh", "-c", script, init=True, stdout=aiospawn.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b".\n"
    for name in ("HUP", "INT", "QUIT", "USR1", "TERM", "CONT", "WINCH"):
        number = getattr(signal, f"SIG{name}")
        process.send_signal(number)
        assert await process.stdout.readline() == f"{name}\n".encode()
        os.kill(process.pid, number)
        assert await process.stdout.readline() == f"{name}\n".encode()
    process.kill()
    await process.wait()


async def test_resource_use() -> None:
    """The command's and its descendants', and nothing of this process: the memory here is far larger."""
    ballast = bytearray(64 << 20)
    ballast[::4096] = bytes([1]) * len(ballast[::4096])
    program = "x = bytearray(30 << 20); x[::4096] = bytes([1]) * len(x[::4096]); sum(range(3000000))"
    plain = await aiospawn.run(fresh.command(program, flags=["-I", "-S"]))
    inside = await aiospawn.run(fresh.command(program, flags=["-I", "-S"]), init=True)
    assert plain.rusage is not None
    assert inside.rusage is not None
    assert 30 << 10 < inside.rusage.ru_maxrss < 64 << 10 < plain.rusage.ru_maxrss  # KiB; without, this process's counts
    assert inside.rusage.ru_utime == pytest.approx(plain.rusage.ru_utime, rel=0.8, abs=0.05)
    small = await aiospawn.run(["true"], init=True)
    assert small.rusage is not None
    assert small.rusage.ru_maxrss < 10 << 10


# ---- the place of the command ---------------------------------------------------------------------------------------------


@pytest.mark.loops("one")
async def test_the_command_is_as_without() -> None:
    """Its process group, session, signals, descriptors; nothing of init's."""
    status = "grep -E '^(Sig[^Q]|Shd|Cap|NoNew|Seccomp:)' /proc/self/status"
    show = f"{status}; ls /proc/self/fd; cut -d' ' -f5-8 /proc/self/stat"

    async def shown(**options: Any) -> bytes:
        done = await aiospawn.run(["sh", "-c", show], capture_output=True, process_group=-1, **options)
        assert done.returncode == 0
        return bytes(done.stdout)

    assert await shown(init=True) == await shown()


@pytest.mark.loops("one")
async def test_init_holds_nothing() -> None:
    """No pipe of the command's, and in a process group of its own."""
    process = await aiospawn.create_subprocess_exec(
        "sh", "-c", "exec sleep 1000 >&- 2>&-", init=True, stdout=aiospawn.PIPE, stderr=aiospawn.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.read() == b""
    assert len(os.listdir(f"/proc/{process.pid}/fd")) <= 3
    assert os.getpgid(process.pid) == process.pid
    process.kill()
    await process.wait()


@pytest.mark.loops("one")
async def test_an_outsider_kills_init() -> None:
    """The command goes with it; the status is init's own."""
    gate, held = os.pipe()
    process = await aiospawn.create_subprocess_exec("sleep", "1000", init=True, pass_fds=[held])
    os.close(held)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    assert select.select([gate], [], [], PATIENCE)[0]
    os.close(gate)


@pytest.mark.loops("one")
async def test_a_stopped_init_is_killed_all_the_same(marker: Marker) -> None:
    process = await aiospawn.create_subprocess_exec(*hostile("setsid", marker.writer), init=True, pass_fds=[marker.writer])
    await stands(marker, 2)
    os.kill(process.pid, signal.SIGSTOP)
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert marker.has_ended()


# ---- errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"init": "reap"}, 'init must be a bool, "kill", "wait" or "leave", got \'reap\''),
        ({"init": 1}, 'init must be a bool, "kill", "wait" or "leave", got 1'),
        ({"init": True, "preexec_fn": print}, "preexec_fn="),
        ({"init_lease": 1.5}, "init_lease=1.5 needs init"),
        ({"init": True, "init_lease": 0}, "init_lease must be from 0.05 to 2000000 seconds, got 0"),
        ({"init": True, "hook": aiospawn.NativeHook(1)}, "hook"),
        ({"init": True, "pdeathsig": signal.SIGTERM}, "pdeathsig=15"),
    ],
)
@pytest.mark.loops("one")
async def test_refused(options: dict[str, Any], named: str) -> None:
    """By name, before anything is made."""
    with pytest.raises(ValueError) as refused:
        await aiospawn.run(["true"], **options)
    assert named in str(refused.value)
    assert "init" in str(refused.value)


@pytest.mark.loops("one")
async def test_failed_launches() -> None:
    """The errors are those without init."""
    with pytest.raises(FileNotFoundError) as missing:
        await aiospawn.run(["no such program"], init=True)
    assert missing.value.step == "execve"  # type: ignore[attr-defined]
    with pytest.raises(NotADirectoryError) as place:
        await aiospawn.run(["true"], init=True, cwd="/dev/null")
    assert place.value.step == "chdir"  # type: ignore[attr-defined]


_NO_PROC = """
import asyncio, os, sys
import aiospawn, fresh

aiospawn.supported()

async def main():
    try:
        await aiospawn.run(["true"], init=True)
    except OSError as error:
        print(type(error).__name__, error.step, error)

{limit}
fresh.new_event_loop().run_until_complete(main())
"""


def test_without_privileges_to_keep() -> None:
    """The launcher's execve would give back what this process has given up."""
    if os.getuid():
        pytest.skip("only root gains by an execve")
    limit = "import ctypes; ctypes.CDLL(None).prctl(24, 0)\nos.setresuid(1, 1, 0)"
    told = fresh.run(_NO_PROC.format(limit=limit))
    assert told.startswith("PermissionError init ")


# ---- large requests -------------------------------------------------------------------------------------------------------


@pytest.mark.loops("one")
async def test_a_request_longer_than_a_message() -> None:
    """It goes by a file."""
    groups = [*range(3000)]
    if os.getuid():
        pytest.skip("groups are root's to set")
    done = await aiospawn.run(["id", "-G"], init=True, extra_groups=groups, capture_output=True)
    assert {*map(int, done.stdout.split())} >= {*groups}
