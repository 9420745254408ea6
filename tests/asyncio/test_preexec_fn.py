"""A launch with `preexec_fn`: CPython forks, and from then on the child is like any other, on every loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import fresh
import pytest

import aiospawn
from aiospawn._asyncio import forked_child
from aiospawn._asyncio.transport import SubprocessTransport
from aiospawn._binding.native import Native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def nothing() -> None:
    pass


def _pid_of(pidfd: int) -> int:
    information = pathlib.Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return next(int(line.removeprefix("Pid:")) for line in information if line.startswith("Pid:"))


# ---- like any other ---------------------------------------------------------------------------------------------------


async def test_watched_by_the_reactor() -> None:
    """It has a pidfd, resource use, and its signals go through the pidfd."""
    process = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1, preexec_fn=nothing)
    assert isinstance(process._transport, SubprocessTransport)
    assert process.pidfd is not None
    assert _pid_of(process.pidfd) == process.pid
    assert await process.communicate(b"x" * 300_000) == (b"x" * 300_000, None)
    assert process.rusage is not None
    assert process.rusage.ru_maxrss > 0
    async with await aiospawn.create_subprocess_exec("sleep", "1000", preexec_fn=nothing) as other:
        other.terminate()
        assert await other.wait() == -signal.SIGTERM


async def test_every_function() -> None:
    """run, map, pipeline, lines, system, popen, ProcessGroup: the function runs in each of their children."""

    def to_usr() -> None:
        os.chdir("/usr")

    options: dict[str, Any] = {"preexec_fn": to_usr}
    run = await aiospawn.run(["pwd"], capture_output=True, text=True, **options)
    shown = [run.stdout]
    assert run.rusage is not None
    async with aiospawn.map([["pwd"], ["pwd"]], capture_output=True, text=True, **options) as results:
        shown += [result.stdout async for result in results]
    pipeline = await aiospawn.pipeline(["pwd"], ["sh", "-c", "cat; pwd"], capture_output=True, text=True, **options)
    shown += pipeline.stdout.splitlines(keepends=True)
    shown += [line async for line in aiospawn.lines(["pwd"], text=True, **options)]
    async with await aiospawn.popen("pwd", **options) as pipe:
        shown.append(await pipe.read())
    async with aiospawn.ProcessGroup(**options) as group:
        process = await group.spawn("pwd", stdout=aiospawn.PIPE)
        shown.append((await process.communicate())[0].decode())
    assert shown == ["/usr\n"] * 8
    assert await aiospawn.system('test "$(pwd)" = /usr', **options) == 0


async def test_failures_of_every_function() -> None:
    """What the function raises is SubprocessError wherever the launch is awaited, and the observer hears of it."""
    options: dict[str, Any] = {"preexec_fn": lambda: 1 // 0}
    events: list[Any] = []

    async def lines() -> None:
        async for _ in aiospawn.lines(["true"], on_event=events.append, **options):
            pass

    async def group() -> None:
        async with aiospawn.ProcessGroup(on_event=events.append, **options) as group:
            await group.spawn("true")

    for launch in (
        aiospawn.run(["true"], on_event=events.append, **options),
        aiospawn.pipeline(["cat"], ["true"], on_event=events.append, **options),
        aiospawn.system("true", on_event=events.append, **options),
        lines(),
        group(),
    ):
        events.clear()
        with pytest.raises(subprocess.SubprocessError, match=r"^Exception occurred in preexec_fn\.$") as caught:
            await launch
        assert caught.value.step == "preexec_fn"  # type: ignore[attr-defined]
        assert any(isinstance(event, aiospawn.LaunchFailed) and event.error.step == "preexec_fn" for event in events)  # type: ignore[union-attr]
    async with aiospawn.map([["true"]], **options) as results:
        assert [type(result.error) async for result in results] == [subprocess.SubprocessError]


async def test_group_by_default() -> None:
    """Where nobody says otherwise the child leads a group, which the function may make itself, or a session."""
    script = ["sh", "-c", "ps -o pgid=,sid= -p $$"]
    pgid_and_sid = {}
    for function in (nothing, lambda: os.setsid() and None, lambda: os.setpgid(0, 0)):
        result = await aiospawn.run(script, preexec_fn=function, capture_output=True)  # type: ignore[arg-type]
        pgid, sid = map(int, result.stdout.split())
        pgid_and_sid[function] = pgid == result.pid, sid == result.pid
    assert [*pgid_and_sid.values()] == [(True, False), (True, True), (True, False)]
    left = await aiospawn.run(script, preexec_fn=nothing, process_group=-1, capture_output=True)
    assert int(left.stdout.split()[0]) == os.getpgrp()


@pytest.mark.parametrize("function", [nothing, lambda: os.setsid() and None], ids=["group", "session"])
async def test_tree_is_stopped(function: Callable[[], None]) -> None:
    """A time-out ends the descendants with the child."""
    reader, writer = os.pipe()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            await aiospawn.run(
                ["sh", "-c", "sleep 1000 & sleep 1000; :"], timeout=0.3, pass_fds=[writer], preexec_fn=function
            )
    finally:
        os.close(writer)
    loop = asyncio.get_running_loop()
    assert await asyncio.wait_for(loop.run_in_executor(None, os.read, reader, 1), 30) == b""
    os.close(reader)


async def test_context() -> None:
    """The function runs in the caller's context."""
    variable = contextvars.ContextVar("variable", default="default")

    def to_standard_error() -> None:
        os.write(2, variable.get().encode())

    variable.set("the caller's")
    result = await aiospawn.run(["true"], capture_output=True, preexec_fn=to_standard_error)
    assert result.stderr == b"the caller's"


async def test_descriptors_in_the_function() -> None:
    """The standard streams are the child's, the parent's descriptors are open, and no pipe end of the parent's is."""
    with tempfile.TemporaryFile() as file:
        number = file.fileno()
        about = os.fstat(number)

        def show() -> None:
            found = {fd: kind for fd, kind in fresh.descriptors().items() if kind.startswith("pipe")}
            os.write(1, repr((sorted(found), os.path.samestat(os.fstat(number), about))).encode())
            os.write(1, repr([pathlib.Path(f"/proc/self/fdinfo/{fd}").read_text().split()[3] for fd in found]).encode())

        before = {fd for fd, kind in fresh.descriptors().items() if kind.startswith("pipe")}
        process = await aiospawn.create_subprocess_exec("true", stdin=-1, stdout=-1, stderr=-1, preexec_fn=show)
        output, _ = await process.communicate()
    numbers, is_open = eval(output[: output.index(b"[", 2)])
    assert is_open
    # Three streams, the same ends under their first numbers, and the status pipe: all are the child's.
    assert len({*numbers} - before - {0, 1, 2}) == 4, (numbers, before)
    flags = eval(output[output.index(b"[", 2) :])
    assert [int(each, 8) & os.O_ACCMODE for each in flags[:3]] == [os.O_RDONLY, os.O_WRONLY, os.O_WRONLY]


# ---- the loop ---------------------------------------------------------------------------------------------------------


async def test_loop_runs_on() -> None:
    """The loop is held for the fork alone, not until the function and the program are through, as by subprocess."""
    reader, writer = os.pipe()
    launch = asyncio.create_task(aiospawn.create_subprocess_exec("true", preexec_fn=lambda: os.read(reader, 1)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not launch.done()
    os.write(writer, b"x")
    assert await (await launch).wait() == 0
    os.close(reader)
    os.close(writer)


async def test_cancelled_in_the_function() -> None:
    """The child is killed and reaped before the cancellation goes on."""
    reader, writer = os.pipe()

    def tell_and_sleep() -> None:
        os.write(writer, b"x")
        time.sleep(1000)

    for create in (
        aiospawn.create_subprocess_exec("true", preexec_fn=tell_and_sleep),
        aiospawn.run(["true"], preexec_fn=tell_and_sleep),
    ):
        launch = asyncio.ensure_future(create)
        await asyncio.get_running_loop().run_in_executor(None, os.read, reader, 1)
        launch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await launch
        assert fresh.children() == []
    os.close(reader)
    os.close(writer)


async def test_killed_in_the_function() -> None:
    """The program never ran, as in any launch."""
    with pytest.raises(ChildProcessError, match="killed by SIGKILL before it could run"):
        await aiospawn.create_subprocess_exec("true", preexec_fn=lambda: os.kill(os.getpid(), signal.SIGKILL))


async def test_many_at_once() -> None:
    """Sixty launches, of which each third fails."""

    def raises() -> None:
        raise ArithmeticError

    async def one(number: int) -> Any:
        process = await aiospawn.create_subprocess_exec(
            "sh", "-c", f"cat; exit {number}", stdin=-1, stdout=-1, preexec_fn=nothing if number % 3 else raises
        )
        output, _ = await process.communicate(b"text")
        return output, process.returncode

    results = await asyncio.gather(*map(one, range(60)), return_exceptions=True)
    for number, result in enumerate(results):
        assert result == (b"text", number) if number % 3 else type(result) is subprocess.SubprocessError


# ---- nobody else takes it ---------------------------------------------------------------------------------------------


async def test_popen_does_not_know_it() -> None:
    """`subprocess` holds no object of this child, so that nothing of it reaps."""
    with mock.patch.object(subprocess.Popen, "__init__", side_effect=AssertionError):
        process = await aiospawn.create_subprocess_exec("true", preexec_fn=nothing)
    assert not subprocess._active  # type: ignore[attr-defined]
    assert await process.wait() == 0


async def test_audited_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit event `subprocess.Popen` is raised once, with what is launched; none is raised for the fork."""
    if not _audited_by:  # a hook stays for ever
        sys.addaudithook(_audit)
        _audited_by.append(_audit)
    environment = {"NAME": "value"}
    _audited.clear()
    monkeypatch.setitem(_listening, "now", True)
    process = await aiospawn.create_subprocess_exec("/bin/true", "x", cwd="/", env=environment, preexec_fn=nothing)
    monkeypatch.undo()
    await process.wait()
    assert _audited == [("subprocess.Popen", ("/bin/true", ["/bin/true", "x"], "/", environment))]


_listening = {"now": False}
_audited: list[tuple[str, Any]] = []
_audited_by: list[Any] = []


def _audit(event: str, arguments: Any) -> None:
    if _listening["now"] and event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"):
        _audited.append((event, arguments))


@pytest.mark.loops("kinds")
def test_beside_who_waits_for_everybody(variant: str) -> None:
    """A thread that reaps whatever has ended, and a child that ends before anybody could have opened its pidfd."""
    program = """
import asyncio, contextlib, logging, os, threading
import aiospawn, fresh

logging.disable()
over = threading.Event()

def reap():
    while not over.is_set():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

async def main():
    known = aiospawn.supported().features["pidfd_info"]
    for _ in range(60):
        process = await aiospawn.create_subprocess_exec("true", preexec_fn=lambda: os._exit(7))
        assert await process.wait() == 7 or not known, process.returncode

thread = threading.Thread(target=reap)
thread.start()
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
over.set()
thread.join()
"""
    assert fresh.run(program, variant) == ""


@pytest.mark.loops("kinds")
def test_with_sigchld_ignored(variant: str) -> None:
    """The kernel reaps the child as it ends: then its pidfd is open already."""
    program = """
import asyncio, logging, os, signal
import aiospawn, fresh

logging.disable()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)

async def main():
    known = aiospawn.supported().features["pidfd_info"]
    for _ in range(20):
        process = await aiospawn.create_subprocess_exec("sh", "-c", "exit 5", preexec_fn=os.getpid)
        assert await process.wait() in ((5,) if known else (5, 255)), process.returncode

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""
    assert fresh.run(program, variant) == ""


# ---- forks of others --------------------------------------------------------------------------------------------------


def _forked_elsewhere(report: int) -> None:
    """A fork of another thread, whose child prints how many pipes it has."""

    def fork() -> None:
        pid = os.fork()
        if not pid:
            os.write(report, bytes([sum(kind.startswith("pipe") for kind in fresh.descriptors().values())]))
            os._exit(0)
        os.waitpid(pid, 0)

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()


@contextlib.contextmanager
def _before_the_fork(action: Callable[[], None]) -> Iterator[None]:
    """Lets this happen between preparation and fork."""
    prepare = Native.prepare

    def prepared(native: Native, request: bytes) -> int:
        gate = prepare(native, request)
        action()
        return gate

    with mock.patch.object(Native, "prepare", prepared):
        yield


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_forked_elsewhere_between() -> None:
    """The child of another fork, just then, keeps no end of this child's pipes."""
    reader, writer = os.pipe()
    try:
        _forked_elsewhere(writer)
        with _before_the_fork(lambda: _forked_elsewhere(writer)):
            process = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1, stderr=-1, preexec_fn=nothing)
        assert await process.communicate(b"text") == (b"text", b"")
        first, second = os.read(reader, 2)
        assert first == second
    finally:
        os.close(reader)
        os.close(writer)


async def test_the_function_forks() -> None:
    """Its own child may do the rest, as programs that become daemons do it."""

    def fork() -> None:
        if os.fork():
            os._exit(3)

    process = await aiospawn.create_subprocess_exec("echo", "text", stdout=-1, preexec_fn=fork)
    output, _ = await process.communicate()
    assert (output, process.returncode) == (b"text\n", 3)


# ---- what can go wrong ------------------------------------------------------------------------------------------------

_FULL_TABLE = """
import asyncio, os, resource
import aiospawn, fresh

async def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    await (await aiospawn.create_subprocess_exec("true", stdin=-1, stdout=-1, stderr=-1, preexec_fn=os.getpid)).wait()
    refused = 0
    before = fresh.descriptors()
    highest = max(before)
    fillers = []
    while (filler := os.dup(0)) < highest:
        fillers.append(filler)
    os.close(filler)
    for free in range(14):
        now = fresh.descriptors()
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + free, hard))
        try:
            process = await aiospawn.create_subprocess_exec(
                "cat", stdin=-1, stdout=-1, stderr=-1, preexec_fn=os.getpid)
        except OSError as error:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert error.errno == 24, error
            refused += 1
        else:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert await process.communicate(b"text") == (b"text", b"")
            break
        assert fresh.children() == [], fresh.children()
        assert fresh.descriptors() == now
    print(refused)

loop = fresh.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.loops("kinds")
def test_descriptors_run_out(variant: str) -> None:
    """At every point of the launch: EMFILE, the child that was forked already is reaped, nothing is left."""
    assert int(fresh.run(_FULL_TABLE, variant)) >= 10  # three pipes, the status pipe, the gate


async def test_fork_fails() -> None:
    """The OSError of the fork, and nothing is left."""
    for error in (BlockingIOError(11, "none left"), RuntimeError("preexec_fn not supported within subinterpreters")):
        with mock.patch("_posixsubprocess.fork_exec", side_effect=error), pytest.raises(type(error)) as caught:
            await aiospawn.create_subprocess_exec("true", stdin=-1, stdout=-1, stderr=-1, preexec_fn=nothing)
        assert caught.value is error


async def test_interrupted_before_it_is_adopted() -> None:
    """A signal's handler that raises between fork and adoption: the child runs neither function nor program."""
    ran: list[int] = []
    reader, writer = os.pipe()

    def interrupted(_: Any, pid: int) -> None:
        ran.append(pid)
        raise KeyboardInterrupt

    with mock.patch.object(Native, "adopt", interrupted), contextlib.suppress(KeyboardInterrupt):
        # Not in a task: the interrupt would leave the loop.
        forked_child.forked(*_native_and_request(lambda: os.write(writer, b"x")))
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert len(ran) == 1
    assert fresh.children() == []
    assert await (await aiospawn.create_subprocess_exec("true", preexec_fn=nothing)).wait() == 0


def _native_and_request(function: Callable[[], object]) -> tuple[Native, Any]:
    from aiospawn._asyncio.reactor import reactor_of
    from aiospawn._options.validation import validated
    from aiospawn._request import request as _request

    options = validated({"preexec_fn": function})
    request = _request.compiled(["true"], _request.program((None, None, None), options), options)
    return reactor_of(asyncio.get_running_loop()).native, request


_INTERRUPTED = """
import asyncio, collections, contextvars, random, signal, sys
import aiospawn, fresh
from aiospawn._binding import library
from aiospawn._request import request
from aiospawn._options.validation import validated
from aiospawn._asyncio.reactor import reactor_of

chance = random.Random(3)
ends = collections.Counter()
options = validated({"preexec_fn": int})
request = request.compiled(["true"], request.program((-1, -1, -1), options), options)

class Child:
    context, immediate = contextvars.Context(), True

    def on_event(self, number, kind, *_):
        ends[kind] += 1
        if kind in (library.Event.EXITED, library.Event.FAILED, library.Event.DIED):
            reactor.done(self.token)

def interrupt(*_):
    raise KeyboardInterrupt

sys.unraisablehook = lambda _: None  # at-fork functions are interrupted too: what they raise cannot be raised
signal.signal(signal.SIGALRM, interrupt)
loop = fresh.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
reactor = reactor_of(loop)
before = fresh.descriptors()
interrupted = 0
for _ in range(300):
    child = Child()
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-6 + chance.random() / 200)
            reactor.launch(request, child)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    while len(fresh.children()) > 16:  # however slow they are: each has five descriptors
        loop.run_until_complete(asyncio.sleep(0.001))
while fresh.children():
    loop.run_until_complete(asyncio.sleep(0.01))
assert fresh.descriptors() == before, (before, fresh.descriptors(), ends)
loop.close()
print(interrupted)
"""


@pytest.mark.loops("kinds")
def test_interrupted_anywhere(variant: str) -> None:
    """A signal's handler that raises at any point of the launch: no child is left, and no descriptor."""
    assert int(fresh.run(_INTERRUPTED, variant)) > 0


def test_the_parent_dies_before_it_adopts() -> None:
    """Then the child ends: nobody can open the gate any more."""
    program = """
import asyncio, os, signal, sys
import aiospawn
from aiospawn._binding.native import Native

def adopt(native, pid):
    print(pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

Native.adopt = adopt
asyncio.run(aiospawn.run(["sleep", "1000"], preexec_fn=os.getpid))
"""
    died = subprocess.run(fresh.command(program), stdout=subprocess.PIPE, check=False)
    assert died.returncode == -signal.SIGKILL
    child, deadline = pathlib.Path(f"/proc/{int(died.stdout)}/stat"), time.monotonic() + 30
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while child.read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < deadline:
            time.sleep(0.01)
    assert time.monotonic() < deadline
