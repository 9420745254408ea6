"""`run` beyond subprocess.run: stopping trees, held pipes, files, bounds, bad input, where nothing is launched natively."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import tempfile
import textwrap
from typing import Any

import fresh
import pytest
from child import child
from process_trees import STUBBORN, lives, none_lives
from timeouts import delayed_until, executing, printed

import aiospawn


async def test_timeout_stops_the_tree() -> None:
    """Who ignores SIGTERM gets SIGKILL after the grace, grandchildren too, and the output is there."""
    started = asyncio.get_running_loop().time()
    with pytest.raises(subprocess.TimeoutExpired) as caught, delayed_until(printed(3)):
        await aiospawn.run(STUBBORN, stdout=aiospawn.PIPE, timeout=0.4, grace=0.2)
    assert asyncio.get_running_loop().time() - started >= 0.6
    pids = [*map(int, caught.value.output.split())]
    assert len(pids) == 3
    assert await none_lives(pids)


async def test_grace_is_the_whole_groups() -> None:
    """A grandchild has the time to clean up, when the child itself has ended at once."""
    script = "(trap 'sleep 0.2; echo clean; exit' TERM; echo ready; sleep 1000 & wait) & exec sleep 1000"
    with pytest.raises(subprocess.TimeoutExpired) as caught, delayed_until(printed(1)):
        await aiospawn.run(["sh", "-c", script], stdout=aiospawn.PIPE, timeout=0.4, grace=1000)
    assert caught.value.output == b"ready\nclean\n"


async def test_cancelled_twice_kills_at_once() -> None:
    """The second cancellation ends the grace."""
    reader, writer = os.pipe()
    try:
        task = asyncio.create_task(aiospawn.run(STUBBORN, stdout=writer, grace=1000))
        os.set_blocking(reader, False)
        told = b""
        while told.count(b"\n") < 3:
            await asyncio.sleep(0.01)
            with contextlib.suppress(BlockingIOError):
                told += os.read(reader, 100)
        pids = [*map(int, told.split())]
        task.cancel()
        await asyncio.sleep(0.1)
        assert all(map(lives, pids))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await none_lives(pids)
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.loops("one")
async def test_cancelled_while_it_is_killed() -> None:
    """The reactor releases the child, however often the caller interrupts."""
    task = asyncio.create_task(aiospawn.run(STUBBORN, stdout=aiospawn.DEVNULL, grace=1000))
    await asyncio.sleep(0.3)
    for _ in range(6):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    assert task.cancelled()
    assert asyncio.get_running_loop()._aiospawn_reactor.targets == {}  # type: ignore[attr-defined]


async def test_timeout_of_asyncio() -> None:
    """Whoever else cancels, it is stopped as well."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await aiospawn.run(["sleep", "1000"])


async def test_group_of_its_own_by_default() -> None:
    """And none if the caller says so: then a grandchild is not signalled."""
    show = "ps -o pgid= -p $$"
    own = await aiospawn.run(["sh", "-c", show], capture_output=True)
    assert int(own.stdout) == own.pid
    shared = await aiospawn.run(["sh", "-c", show], capture_output=True, process_group=-1)
    assert int(shared.stdout) == os.getpgrp()


@pytest.mark.loops("one")
async def test_terminal_stays_in_the_foreground() -> None:
    """A child that reads from a terminal stays in the caller's group: only the foreground may read."""
    ours, theirs = os.openpty()
    try:
        script = "ps -o pgid= -p $$"
        result = await aiospawn.run(["sh", "-c", script], stdin=theirs, stdout=aiospawn.PIPE)
        assert int(result.stdout) == os.getpgrp()
        with os.fdopen(os.dup(theirs)) as file:
            result = await aiospawn.run(["sh", "-c", script], stdin=file, stdout=aiospawn.PIPE)
        assert int(result.stdout) == os.getpgrp()
    finally:
        os.close(ours)
        os.close(theirs)


async def test_held_pipe() -> None:
    """A grandchild that keeps the pipe is not waited for, and the result says that there might be more."""
    script = "sleep 1000 & echo $!"
    result = await aiospawn.run(["sh", "-c", script], stdout=aiospawn.PIPE, pipe_grace=0.1)
    assert result.returncode == 0
    assert not result.complete
    os.kill(int(result.stdout), signal.SIGKILL)
    assert (await aiospawn.run(["sh", "-c", "sleep 0.2 & echo x"], stdout=aiospawn.PIPE, pipe_grace=None)).complete


async def test_held_pipe_of_input() -> None:
    """The same for the standard input that a grandchild holds and does not read."""
    script = "sleep 1000 <&0 >/dev/null & echo $!"
    result = await aiospawn.run(["bash", "-c", script], stdout=aiospawn.PIPE, input=b"x" * 300_000, pipe_grace=0.1)
    assert not result.complete
    os.kill(int(result.stdout), signal.SIGKILL)


@pytest.mark.parametrize("capture", [True, "file"])
async def test_max_output(capture: Any) -> None:
    """Exactly so many bytes are no error, one more is; what came is in it, and the child is stopped."""
    result = await aiospawn.run(child("write", 1000), capture_output=capture, max_output=1000)
    assert len(result.stdout) == 1000
    with pytest.raises(aiospawn.OutputLimitExceeded, match="wrote more than max_output=999 bytes") as caught:
        await aiospawn.run(child("write", 1000), capture_output=capture, max_output=999)
    assert len(caught.value.stdout or b"") == 999
    assert caught.value.stderr is None
    with pytest.raises(aiospawn.OutputLimitExceeded) as caught:
        await aiospawn.run(["sh", "-c", "yes; sleep 1000"], capture_output=capture, max_output=10, grace=0.1)
    assert caught.value.output == b"y\n" * 5
    both = ["sh", "-c", "printf 12345; sleep 0.1; printf 67890 >&2; sleep 1000"]
    with pytest.raises(aiospawn.OutputLimitExceeded) as caught:
        await aiospawn.run(both, capture_output=capture, max_output=7)
    assert (caught.value.stdout, caught.value.stderr) == (b"12345", b"67")
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (copied.cmd, copied.limit, copied.stdout, copied.stderr) == (both, 7, b"12345", b"67")


async def test_files() -> None:
    """Output in files: much of it, text, both streams, and what a timeout leaves."""
    result = await aiospawn.run(child("copy"), input=b"0123456789" * 500_000, capture_output="file")
    assert result.stdout == b"0123456789" * 500_000
    assert result.stderr == b""
    said = await aiospawn.run(["sh", "-c", "echo a; echo b >&2"], capture_output="file", text=True)
    assert (said.stdout, said.stderr) == ("a\n", "b\n")
    with pytest.raises(subprocess.TimeoutExpired) as caught, delayed_until(executing("sleep")):
        await aiospawn.run(["sh", "-c", "echo x; exec sleep 1000"], capture_output="file", timeout=0.3)
    assert caught.value.output == b"x\n"


@pytest.mark.loops("one")
async def test_result_can_be_pickled() -> None:
    """With everything it knows."""
    result = await aiospawn.run(["echo", "x"], capture_output=True)
    copied = pickle.loads(pickle.dumps(result))
    assert vars(copied) == vars(result)
    assert copied.rusage == result.rusage


BAD: tuple[tuple[Any, dict[str, Any], type[Exception], str], ...] = (
    ([], {}, ValueError, r"args must name a program, got \[\]"),
    ((), {"shell": True}, ValueError, r"args must name a program"),
    ("ls -l", {}, ValueError, r"args must be a list of arguments, or a command with shell=True, got 'ls -l'"),
    (b"ls", {}, ValueError, r"args must be a list"),
    (5, {}, TypeError, "args must be a list of arguments, got 5"),
    (pathlib.Path("/bin/true"), {"shell": True}, TypeError, r"args with shell=True must be a command"),
    (["cat"], {"input": b"", "stdin": aiospawn.PIPE}, ValueError, "stdin and input arguments may not both be used"),
    (
        ["cat"],
        {"input": "text"},
        TypeError,
        "input must be a contiguous bytes-like object, not str: pass text=True, or encode it",
    ),
    (["cat"], {"input": memoryview(b"abc")[::2]}, TypeError, "input must be a contiguous"),
    (["cat"], {"input": b"", "text": True}, TypeError, "input must be a str in text mode, not bytes"),
    (["true"], {"timeout": -1}, ValueError, "timeout must not be negative, got -1"),
    (["true"], {"timeout": float("nan")}, ValueError, "timeout must not be negative, got nan"),
    (["true"], {"timeout": "1"}, TypeError, "timeout must be a number of seconds or None, got '1'"),
    (["true"], {"grace": -0.1}, ValueError, "grace must not be negative"),
    (["true"], {"grace": None}, TypeError, "grace must be a number of seconds, got None"),
    (["true"], {"pipe_grace": -1}, ValueError, "pipe_grace must not be negative"),
    (["true"], {"max_output": -1}, ValueError, "max_output must not be negative, got -1"),
    (["true"], {"max_output": 1.5}, TypeError, "max_output must be a number of bytes or None, got 1.5"),
    (["true"], {"capture_output": "files"}, ValueError, "capture_output must be a bool or \"file\", got 'files'"),
    (["true"], {"capture_output": "file", "stdout": -1}, ValueError, "may not be used with capture_output"),
    (["true"], {"encoding": 8}, TypeError, "encoding must be a str or None, got 8"),
    (["true"], {"errors": "nonsense"}, LookupError, "nonsense"),
    (["true"], {"on_event": 1}, TypeError, "on_event must be callable or None, got 1"),
    (["true"], {"on_event": asyncio.sleep}, TypeError, "on_event must not be a coroutine function, got <function sleep"),
    (["true"], {"pty": True}, ValueError, "pty=True is for create_subprocess_exec"),
    (["true"], {"nice": 41}, ValueError, "nice"),
    (["true"], {"stdin": 1 << 31}, OverflowError, "stdin=2147483648: a descriptor's number is an int of C's"),
    (
        ["true"],
        {"preexec_fn": int, "via": "launcher"},
        ValueError,
        "via='launcher' cannot be combined with preexec_fn=<class 'int'>",
    ),
)


@pytest.mark.loops("one")
@pytest.mark.parametrize(("args", "keywords", "error", "message"), BAD, ids=range(len(BAD)))
async def test_bad_input(args: Any, keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    """It is refused by name and value, before anything is made."""
    events: list[Any] = []
    with pytest.raises(error, match=message):
        await aiospawn.run(args, **{"on_event": events.append} | keywords)
    assert events == []


async def test_events() -> None:
    """Three for a child that ran, two for one that could not; arguments only where they are asked for."""
    events: list[Any] = []
    result = await aiospawn.run(["true"], on_event=events.append)
    spawned, executed, exited = events
    assert spawned == aiospawn.Spawned(spawned.launch, result.pid, spawned.time)
    assert executed == aiospawn.Executed(spawned.launch, result.pid, executed.time)
    assert exited == aiospawn.Exited(spawned.launch, result.pid, exited.time, 0, result.rusage)
    assert spawned.time <= executed.time <= exited.time
    events.clear()
    with pytest.raises(FileNotFoundError) as caught:
        await aiospawn.run(["/nonexistent", "secret"], on_event=events.append, event_arguments=True)
    first, failed = events
    assert first.args == ["/nonexistent", "secret"]
    assert failed == aiospawn.LaunchFailed(first.launch, first.pid, failed.time, caught.value)
    assert first.launch != spawned.launch


@pytest.mark.loops("one")
@pytest.mark.usefixtures("nothing_native")
async def test_events_of_the_loops_own() -> None:
    """The same where nothing is launched natively."""
    events: list[Any] = []
    await aiospawn.run(["true"], on_event=events.append)
    assert [type(event) for event in events] == [aiospawn.Spawned, aiospawn.Executed, aiospawn.Exited]
    assert events[2].rusage is None


async def test_observer_that_raises() -> None:
    """The loop's exception handler hears of it; the child does not suffer."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    def raises(event: object) -> None:
        raise ArithmeticError

    result = await aiospawn.run(["echo", "x"], capture_output=True, on_event=raises)
    assert result.stdout == b"x\n"
    assert [type(context["exception"]) for context in told] == [ArithmeticError] * 3


@pytest.mark.loops("one")
@pytest.mark.parametrize("runs", [True, False])
async def test_coroutine_thrown_away(runs: bool) -> None:
    """Its child is killed and reaped all the same, whether its program ran yet or not."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    events: list[Any] = []
    running = aiospawn.run(["sleep", "1000"], on_event=events.append)
    running.send(None)
    while runs and not isinstance(events[-1], aiospawn.Executed):  # noqa: ASYNC110 - nothing else reports it
        await asyncio.sleep(0.01)
    running.close()
    while not isinstance(events[-1], (aiospawn.Exited, aiospawn.LaunchFailed)):  # noqa: ASYNC110 - nothing else reports it
        await asyncio.sleep(0.01)
    if runs:
        assert events[-1].returncode == -signal.SIGKILL
    gc.collect()
    assert told == []


@pytest.mark.loops("concurrent")
def test_without_the_native_part(variant: str) -> None:
    """Results, stopping and errors on the loop's own implementation, under a group of its own too."""
    program = """
    import asyncio, os, subprocess, warnings
    import aiospawn
    from process_trees import STUBBORN, none_lives
    from timeouts import delayed_until, printed
    assert not aiospawn.supported()
    async def main():
        result = await aiospawn.run(["sh", "-c", "ps -o pgid= -p $$; echo err >&2"], capture_output=True, text=True)
        assert int(result.stdout) == result.pid and result.stderr == "err\\n" and result.rusage is None, result
        assert (await aiospawn.run(["cat"], input=b"x" * 300000, stdout=-1)).stdout == b"x" * 300000
        try:
            with delayed_until(printed(3)):
                await aiospawn.run(STUBBORN, stdout=-1, timeout=0.5, grace=0.1)
        except subprocess.TimeoutExpired as exc:
            assert await none_lives([*map(int, exc.output.split())])
        else:
            raise AssertionError
        result = await aiospawn.run(["sh", "-c", "sleep 1000 & echo $!"], stdout=-1, pipe_grace=0.1)
        assert not result.complete
        os.kill(int(result.stdout), 9)
        try:
            await aiospawn.run(["/nonexistent"])
        except FileNotFoundError:
            pass
        lines = [line async for line in aiospawn.lines(["seq", "3"], text=True)]
        assert lines == ["1\\n", "2\\n", "3\\n"]
        piped = await aiospawn.pipeline(["seq", "10"], ["grep", "1"], ["wc", "-l"], capture_output=True)
        assert piped.stdout == b"2\\n", piped
        try:
            async with aiospawn.ProcessGroup(grace=0.2) as group:
                await group.spawn("sleep", "1000")
                raise ArithmeticError
        except ArithmeticError:
            pass
    import fresh
    loop = asyncio.SelectorEventLoop() if os.environ["FRESH_LOOP"] == "stdlib" else __import__("uvloop").new_event_loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
    """
    fresh.run(program, variant, AIOSPAWN_WITHOUT="pidfd")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to make a set-user-id program")
def test_child_that_may_not_be_signalled() -> None:
    """It goes on, and the exception says so, instead of waiting for ever; nothing of it stays in this process."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv of util-linux is not installed")
    program = """
    import asyncio, os, subprocess, sys
    import aiospawn, fresh
    from timeouts import delayed_until, executing
    async def main():
        os.setresuid(1000, 1000, 1000)
        command = [os.environ["PROGRAM"], "--reuid", "0", "sleep", "1000"]
        for stop in ("timeout", "cancellation"):
            timeout = 0.5 if stop == "timeout" else None
            null = aiospawn.DEVNULL  # ours would be held
            events = []
            launch = aiospawn.run(command, stdout=null, stderr=null, timeout=timeout, grace=0.1, on_event=events.append)
            task = asyncio.create_task(launch)
            with delayed_until(executing("sleep")):  # before, as the user's own, it may be signalled
                while not (events and executing("sleep")(events[0])):
                    await asyncio.sleep(0.01)
                if stop == "cancellation":
                    task.cancel()
                await asyncio.wait([task])
            try:
                await task
            except (subprocess.TimeoutExpired, asyncio.CancelledError) as exc:
                print(exc.__notes__[0])
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
    """
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        copied = shutil.copy(setpriv, directory)
        os.chmod(copied, 0o4755)
        notes = fresh.run(program, PROGRAM=copied).splitlines()
    pids = [int(note.split()[2]) for note in notes]
    assert notes == [
        f"Its process {pid} is still running: no permission to signal it (a set-user-id program)." for pid in pids
    ]
    assert len(pids) == 2
    for pid in pids:
        assert lives(pid)
        os.kill(pid, signal.SIGKILL)


@pytest.mark.once
@pytest.mark.loops("one")
async def test_memory_is_flat() -> None:
    """Three thousand results later this process is no larger."""
    for _ in range(300):
        await aiospawn.run(["true"], stdout=aiospawn.PIPE)
    before = _resident()

    async def many() -> None:
        for _ in range(600):
            await aiospawn.run(["true"], stdout=aiospawn.PIPE)

    await asyncio.gather(*(many() for _ in range(5)))
    assert _resident() - before < 2 << 20


def _resident() -> int:
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_interrupt_at_the_terminal() -> None:
    """Ctrl-C cancels the main task, which stops the child's tree, though that is in a group of its own."""
    program = textwrap.dedent(
        """
        import asyncio, aiospawn
        async def main():
            print("ready", flush=True)
            script = "trap 'echo stopped; exit' TERM; echo in; while :; do sleep 0.05; done"
            await aiospawn.run(["bash", "-c", script], grace=1000)
        try:
            asyncio.Runner(loop_factory=aiospawn.new_event_loop).run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    with subprocess.Popen(fresh.command(program), stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as ours:
        assert ours.stdout is not None
        assert [ours.stdout.readline(), ours.stdout.readline()] == ["ready\n", "in\n"]
        ours.send_signal(signal.SIGINT)
        assert ours.stdout.read() == "stopped\ninterrupted\n"
