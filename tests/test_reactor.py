"""The rules of the reactor: what a wake-up brought is told completely, once, in order, fairly, and in the right context."""

import asyncio
import contextlib
import contextvars
import gc
import os
import resource
import sys
import weakref

import fresh
import pytest
from recorder import Recorder

import aiospawn
from aiospawn._clib import Native

_BATCH = 128  # epoll events that one drain handles

variants = pytest.mark.parametrize("variant", fresh.VARIANTS)


@pytest.fixture
def loop(variant, monkeypatch):
    """A loop that the test runs itself."""
    name, _, spawn = variant.partition("-")
    monkeypatch.setenv("AIOSPAWN_SPAWN", spawn)
    if name == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    loop = aiospawn.new_uvloop_event_loop() if name == "uvloop" else aiospawn.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def drains(monkeypatch):
    """Grows by one with each drain."""
    counted, drain = [], Native.drain
    monkeypatch.setattr(Native, "drain", lambda native: (counted.append(native), drain(native))[1])
    return counted


def wait_without_the_loop(pid):
    """Until the process has exited; it stays a zombie. No callback runs meanwhile, so all it has to tell comes at once."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


# ---- interrupted wake-ups ---------------------------------------------------------------------------------------------

_WHOLE = [("made",), ("data", 1), ("data", 2), ("exited",), ("lost",), ("pipe lost", 0), ("pipe lost", 1), ("pipe lost", 2)]


async def _launched(count):
    """Children that do all they have to do when they are sent a line."""
    loop = asyncio.get_running_loop()
    program = "read line; echo $line; echo $line >&2; exit 5"
    return [(await loop.subprocess_exec(Recorder, "/bin/sh", "-c", program))[1] for _ in range(count)]


def _ready_at_once(protocols):
    for protocol in protocols:
        protocol.transport.get_pipe_transport(0).write(b"word\n")
        wait_without_the_loop(protocol.transport.get_pid())


async def _told_everything(protocols):
    # Turns are counted, not time: everything is ready, so a callback that is still due after these will never come.
    for _ in range(100):
        if all(protocol.lost.done() for protocol in protocols):
            return
        await asyncio.sleep(0)


def _run_through(loop, coroutine):
    """Runs it to its end, through interrupts. How many came?"""
    task, count = loop.create_task(coroutine), 0
    while not task.done():
        try:
            loop.run_until_complete(task)
        except KeyboardInterrupt:
            count += 1
        except RuntimeError as error:
            # uvloop stops once more after it was interrupted.
            assert str(error) == "Event loop stopped before Future completed."  # noqa: PT017
    return count


def _run(loop, coroutine):
    task = loop.create_task(coroutine)
    _run_through(loop, asyncio.wait([task]))
    return task.result()


def _assert_whole(protocols):
    for protocol in protocols:
        assert sorted(protocol.calls) == sorted(_WHOLE)
        assert protocol.calls[0] == ("made",)
        assert protocol.calls[-1] == ("lost",)
        assert protocol.output == {1: b"word\n", 2: b"word\n"}
        assert protocol.transport.get_returncode() == 5
        protocol.transport.close()


@contextlib.contextmanager
def _interrupt_at(position):
    """KeyboardInterrupt strikes when the reactor comes to its line of that number, once."""
    lines, before = 0, sys.gettrace()

    def in_reactor(frame, event, argument):
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == position:
                raise KeyboardInterrupt
        return in_reactor

    def trace(frame, event, argument):
        return in_reactor if frame.f_code.co_filename.endswith("/aiospawn/_reactor.py") else None

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@variants
def test_an_interrupt_anywhere_in_a_wake_up_loses_and_doubles_nothing(loop):
    """Wherever in the reactor KeyboardInterrupt strikes, every child of the batch is told everything once."""
    position, interrupted = 0, 1
    while interrupted:
        position += 1
        protocols = _run(loop, _launched(2))
        _ready_at_once(protocols)
        with _interrupt_at(position):
            interrupted = _run_through(loop, _told_everything(protocols))
        _assert_whole(protocols)
    assert position > 50


@variants
@pytest.mark.parametrize("handed_over", [False, True], ids=["before it is posted", "after it is posted"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_event_that_could_not_be_posted_is_not_lost(loop, handed_over, error):
    """When `call_soon` raises at any event of a batch, before or after it took the callback, all is told once."""
    call_soon, countdown, reported = loop.call_soon, -1, []

    def raising(callback, *arguments, **keywords):
        nonlocal countdown
        strikes = getattr(callback, "__name__", "") == "on_event" and countdown == 0
        if getattr(callback, "__name__", "") == "on_event":
            countdown -= 1
        if not strikes or handed_over:
            handle = call_soon(callback, *arguments, **keywords)
        if strikes:
            raise error
        return handle

    loop.call_soon = raising
    loop.set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    events = 2 * 6  # of each child: two streams with data and end, the loss of stdin's reader, the exit
    for position in range(events):
        protocols = _run(loop, _launched(2))
        _ready_at_once(protocols)
        countdown = position
        struck = _run_through(loop, _told_everything(protocols))
        assert struck + len(reported) == 1, position
        reported.clear()
        _assert_whole(protocols)


async def test_a_raising_protocol_hurts_nobody():
    """A protocol that raises in every call still gets all of them, and so does the child beside it."""
    loop, errors = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))

    class Raising(Recorder):
        def told(self, *call):
            super().told(*call)
            raise ZeroDivisionError

        def process_exited(self):
            self.exited.set_result(None)
            super().process_exited()

        def connection_lost(self, exc):
            self.lost.set_result(None)
            super().connection_lost(exc)

    program = "read line; echo $line; echo $line >&2; exit 5"
    protocols = [(await loop.subprocess_exec(kind, "/bin/sh", "-c", program))[1] for kind in (Raising, Recorder, Raising)]
    _ready_at_once(protocols)
    await _told_everything(protocols)
    _assert_whole(protocols)
    for error in errors:  # of calls that fall due together, one exception is the other's context
        errors.extend(filter(None, [error.__context__]))
    assert [type(error) for error in errors] == [ZeroDivisionError] * 2 * len(_WHOLE)


# ---- contexts ---------------------------------------------------------------------------------------------------------

request = contextvars.ContextVar("request")


class _InContext(Recorder):
    def told(self, *call):
        super().told(*call, request.get("none"))


async def _request(name):
    request.set(name)
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(_InContext, "/bin/sh", "-c", "cat; echo >&2")
    return transport, protocol


async def test_callbacks_run_in_the_context_of_their_request():
    """Each protocol hears everything in a copy of the context that created its child."""
    pairs = await asyncio.gather(*(_request(name) for name in "ab"))
    for transport, _ in pairs:
        transport.get_pipe_transport(0).write(b"text")
        transport.get_pipe_transport(0).write_eof()
    for transport, protocol in pairs:
        await protocol.lost
        transport.close()
    for name, (_, protocol) in zip("ab", pairs, strict=True):
        assert len(protocol.calls) == len(_WHOLE)
        assert {call[-1] for call in protocol.calls} == {name}


@pytest.mark.parametrize("foreign", ["asyncio", "uvloop"])
def test_the_reactor_keeps_no_request_alive(foreign):
    """The first request's context is not the reactor's: it is free when its child is, though others still run."""
    loop = pytest.importorskip(foreign).new_event_loop()

    class Payload:
        pass

    async def first(payload):
        request.set(payload)
        longest = await aiospawn.create_subprocess_exec("true")  # opens the reactor
        second = await asyncio.create_task(other(), context=contextvars.Context())
        await longest.wait()
        return second

    async def other():
        return await aiospawn.create_subprocess_exec("cat", stdin=aiospawn.PIPE)

    async def main():
        payload = Payload()
        reference = weakref.ref(payload)
        process = await asyncio.create_task(first(payload))
        del payload
        await asyncio.sleep(0)
        gc.collect()
        alive = reference() is not None
        process.stdin.close()
        await process.wait()
        return alive

    try:
        assert loop.run_until_complete(main()) is False
    finally:
        loop.close()


@pytest.mark.parametrize("variant", ["stdlib", "stdlib-vfork"])
def test_nested_loops(variant):
    """Under nest_asyncio a callback may run the loop until its own child has ended."""
    pytest.importorskip("nest_asyncio")
    program = """
        import asyncio, warnings
        import fresh
        warnings.simplefilter("ignore", DeprecationWarning)
        import nest_asyncio
        from recorder import Recorder

        class Nesting(Recorder):
            def pipe_data_received(self, fd, data):
                super().pipe_data_received(fd, data)
                asyncio.get_running_loop().run_until_complete(self.lost)

        async def main():
            loop = asyncio.get_running_loop()
            pairs = [await loop.subprocess_exec(Nesting, "/bin/sh", "-c", "echo text", stdin=None) for _ in range(3)]
            for transport, protocol in pairs:
                await protocol.lost
                transport.close()
                print(protocol.calls[-1], protocol.output[1], transport.get_returncode())

        loop = fresh.new_event_loop()
        nest_asyncio.apply(loop)
        loop.run_until_complete(main())
        loop.close()
    """
    assert fresh.run(program, variant) == "('lost',) b'text\\n' 0\n" * 3


# ---- fairness and order -----------------------------------------------------------------------------------------------


async def test_endless_writers_do_not_starve_a_quiet_child(drains):
    """With 64 pipes that are always full, each of them and the quiet child's are served in every drain."""
    loop, served = asyncio.get_running_loop(), []

    class Paused(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.get_pipe_transport(1).pause_reading()
            self.full = loop.create_future()

        def pipe_data_received(self, fd, data):
            if fd == 2:
                self.full.set_result(None)
            else:
                served.append((len(drains), self, len(data)))

    size = 256 * 1024  # sixteen times what a drain may give to one pipe of 64
    endless = f"read line; head -c {size} /dev/zero; echo full >&2; exec yes"
    started = [
        await loop.subprocess_exec(Paused, "/bin/sh", "-c", program, pipesize=size)
        for program in [endless] * 64 + ["read line; echo quiet; echo full >&2"]
    ]
    writers, quiet = [protocol for _, protocol in started[:-1]], started[-1][1]
    for transport, protocol in started:
        transport.get_pipe_transport(0).write(b"go\n")
        await protocol.full
    await quiet.exited
    first = len(drains) + 1
    for transport, _ in started:
        transport.get_pipe_transport(1).resume_reading()
    while len(drains) < first + 8:
        await asyncio.sleep(0)
    for drained in range(first, first + 8):
        now = [protocol for number, protocol, _ in served if number == drained]
        assert sorted(now, key=id) == sorted([*writers, quiet] if drained == first else writers, key=id)
        assert sum(length for number, _, length in served if number == drained) <= 1024 * 1024
    for transport, _ in started:
        transport.close()
    for _, protocol in started:
        await protocol.lost


async def test_started_comes_first():
    """However late a child is looked at, and however many are ready, `connection_made` comes before the rest."""
    loop = asyncio.get_running_loop()
    before = fresh.children()
    program = "echo text; echo text >&2; exit 5"
    creations = [asyncio.create_task(loop.subprocess_exec(Recorder, "/bin/sh", "-c", program)) for _ in range(_BATCH)]
    await asyncio.sleep(0)  # every child is cloned
    for pid in set(fresh.children()) - set(before):
        wait_without_the_loop(pid)
    for transport, protocol in await asyncio.gather(*creations):
        await protocol.lost
        transport.close()
        assert sorted(protocol.calls) == sorted(_WHOLE)
        assert protocol.calls[0] == ("made",)
        assert protocol.calls[-1] == ("lost",)
        assert protocol.output == {1: b"text\n", 2: b"text\n"}


# ---- launches are counted ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["asyncio", "uvloop"])
def foreign(request):
    """A loop that is not ours: it must hold no descriptor of ours when none of its children is left."""
    loop = pytest.importorskip(request.param).new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))  # uvloop opens its own with the first run
    before = fresh.descriptors()
    yield loop
    after = fresh.descriptors()
    loop.close()
    assert after == before


def test_a_foreign_loop_holds_the_reactor_until_its_last_child(foreign):
    """The reactor comes with the first child and goes with the last, whatever their order."""

    async def main():
        first, second = [await aiospawn.create_subprocess_exec("cat", stdin=aiospawn.PIPE) for _ in range(2)]
        reactor = foreign._aiospawn_reactor
        first.stdin.close()
        await first.wait()
        assert foreign._aiospawn_reactor is reactor
        second.stdin.close()
        await second.wait()
        assert not hasattr(foreign, "_aiospawn_reactor")

    foreign.run_until_complete(main())


def test_a_child_that_was_gone_at_once(foreign):
    """A child that has exited before anybody looks is told of, and lets the reactor go."""

    async def launched():
        known = fresh.children()
        creation = asyncio.create_task(aiospawn.create_subprocess_exec("true", stdin=-1, stdout=-1, stderr=-1))
        await asyncio.sleep(0)
        (pid,) = set(fresh.children()) - set(known)
        wait_without_the_loop(pid)
        process = await creation
        assert await process.communicate() == (b"", b"")
        assert process.returncode == 0

    foreign.run_until_complete(launched())


def test_failed_launches_let_the_reactor_go(foreign):
    """A program that is not there closes the reactor with its end, and not under a launch that is still on its way."""

    async def main():
        missing = [asyncio.create_task(aiospawn.create_subprocess_exec("/nonexistent", stdout=-1)) for _ in range(5)]
        await asyncio.wait(missing, return_when=asyncio.FIRST_COMPLETED)
        process = await aiospawn.create_subprocess_exec("echo", "text", stdout=-1)
        for task in missing:
            with pytest.raises(FileNotFoundError):
                await task
        assert await process.communicate() == (b"text\n", None)

    foreign.run_until_complete(main())


def test_a_launch_that_made_nothing_lets_the_reactor_go(foreign):
    """An error of the clone itself closes the reactor; another child's stays."""

    async def main():
        beside = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 3, limits[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1, stderr=-1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert await beside.communicate(b"text") == (b"text", None)

    foreign.run_until_complete(main())


def test_cancelled_launches_let_the_reactor_go(foreign):
    """A cancelled creation has killed and reaped its child, and given the reactor back, when it raises."""

    async def main():
        for turns in range(3):
            creation = asyncio.create_task(aiospawn.create_subprocess_exec("sleep", "1000", stdin=-1, stdout=-1))
            for _ in range(turns):
                await asyncio.sleep(0)
            creation.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                process = await creation  # too late to be cancelled
                process.kill()
                await process.wait()
        assert fresh.children() == []

    foreign.run_until_complete(main())
