"""KeyboardInterrupt, or what any signal's handler raises, lost an event where it struck: `run` waited for ever.

Here it strikes at every bytecode of the package: in what the loop calls, where all goes on as if nothing had been; and in
what the caller's task calls, which ends by it and leaves nothing behind. `INTERRUPT_STEP=1` takes each bytecode, and hours.
"""

from __future__ import annotations

import asyncio
import dis
import gc
import inspect
import os
import random
import signal
import sys
from typing import TYPE_CHECKING, Any, Self

import fresh
import pytest
from recorder import Recorder

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from types import FrameType

_PACKAGE = os.path.dirname(aiospawn.__file__)
_STEP = int(os.environ.get("INTERRUPT_STEP", "149"))  # bytecodes between two strikes, where all of them would take too long
_TOO_LONG_S = 20
_END_SEND = dis.opmap.get("END_SEND", -1)  # from CPython 3.12 on
_LOOKS_FOR_SIGNALS = {code for name, code in dis.opmap.items() if name.startswith(("CALL", "JUMP_BACKWARD", "RESUME"))}
_CALLS = {code for name, code in dis.opmap.items() if name.startswith("CALL")}
_RETURNS = {code for name, code in dis.opmap.items() if name.startswith("RETURN_") and name != "RETURN_GENERATOR"}
_LOADS = {code for name, code in dis.opmap.items() if name.startswith("LOAD_FAST")}
_INPUT = bytes(range(256)) * 1024  # four times what a pipe holds
_TALKS = ["sh", "-c", "cat; echo word >&2; exit 3"]


class _Strike:
    """KeyboardInterrupt at the bytecode of that number, of those in the package that run in a task, or of the others."""

    def __init__(self, position: int, *, in_task: bool, only: Callable[[FrameType], bool] = lambda _: True) -> None:
        self.position = position
        self.count = 0
        self._in_task = in_task
        self._returned_to: FrameType | None = None
        self._only = only

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # CPython 3.12 looks for that when tracing begins
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(_PACKAGE) or code.co_name == "__del__":  # what that raises is raised to nobody
            return None
        if _runs_in_task(frame) != self._in_task or not self._only(frame):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._traced

    def _traced(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "opcode":
            self.count += 1
            if self._may_run_a_handler(frame) and self.count >= self.position:  # which ends the tracing
                raise KeyboardInterrupt(f"{frame.f_code.co_qualname}, line {frame.f_lineno}")
        return self._traced

    def _may_run_a_handler(self, frame: FrameType) -> bool:
        """Not between an await's return and the next call: CPython looks for signals behind calls and at jumps back.

        So no handler runs at `return name`, which is outside of its `try`, either.
        """
        code, at = frame.f_code.co_code, frame.f_lasti
        operation = code[at]
        if operation in _RETURNS or (operation in _LOADS and code[at + 2] in _RETURNS):
            return False
        if _begins_to_leave(frame):
            return False
        if frame is self._returned_to:
            if operation in _LOOKS_FOR_SIGNALS:
                self._returned_to = None
            return False
        if operation == _END_SEND:
            self._returned_to = frame
        return operation != _END_SEND


def _begins_to_leave(frame: FrameType) -> bool:
    """Where `__aexit__` has called nothing yet: CPython leaves no block whose end is interrupted there (bpo-29988)."""
    code = frame.f_code.co_code
    return frame.f_code.co_name == "__aexit__" and not any(code[at] in _CALLS for at in range(0, frame.f_lasti, 2))


def _runs_in_task(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            return True
        frame = frame.f_back
    return False


def _run_through(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> tuple[asyncio.Task[Any], int]:
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
        except Exception:  # noqa: BLE001 - the task's own
            assert task.done()
    return task, count


# ---- what is run ------------------------------------------------------------------------------------------------------


async def _silent(**options: Any) -> None:
    process = await aiospawn.create_subprocess_exec("true", **options)
    assert await process.wait() == 0


async def _communicate(**options: Any) -> None:
    process = await aiospawn.create_subprocess_exec(*_TALKS, stdin=-1, stdout=-1, stderr=-1, **options)
    assert await process.communicate(_INPUT) == (_INPUT, b"word\n")
    assert process.returncode == 3


async def _written() -> None:
    """A writer that waits until its pipe takes more, and a reader that lets its pipe wait."""
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1, limit=1024)
    assert process.stdin is not None
    assert process.stdout is not None

    async def write(stdin: asyncio.StreamWriter) -> None:
        for _ in range(4):
            stdin.write(_INPUT)
            await stdin.drain()
        stdin.close()
        await stdin.wait_closed()

    writing = asyncio.create_task(write(process.stdin))
    got = b""
    while part := await process.stdout.read(50_000):
        got += part
    await writing
    assert got == 4 * _INPUT
    assert await process.wait() == 0


async def _run(**options: Any) -> None:
    result = await aiospawn.run(_TALKS, input=_INPUT, capture_output=True, **options)
    assert (result.stdout, result.stderr, result.returncode, result.complete) == (_INPUT, b"word\n", 3, True)


async def _observed() -> None:
    events: list[Any] = []
    await _run(on_event=events.append)
    assert [type(event).__name__ for event in events] == ["Spawned", "Executed", "Exited"]


async def _limited() -> None:
    with pytest.raises(aiospawn.OutputLimitExceeded) as raised:
        await aiospawn.run(["sh", "-c", "echo 12345678; exec sleep 1000"], capture_output=True, max_output=5)
    assert raised.value.output == b"12345"


async def _map() -> None:
    commands = [["true"], ["sh", "-c", "echo word; exit 3"], ["/nonexistent"]] * 2
    async with aiospawn.map(commands, concurrency=2, capture_output=True) as results:
        found = [(result.returncode, result.stdout, type(result.error)) async for result in results]
    assert found == [(0, b"", type(None)), (3, b"word\n", type(None)), (None, None, FileNotFoundError)] * 2


async def _lines() -> None:
    assert [line async for line in aiospawn.lines(["printf", "a\\nb\\nc"])] == [b"a\n", b"b\n", b"c"]


async def _protocol(**options: Any) -> None:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.subprocess_exec(Recorder, *_TALKS, **options)
    stdin, stdout = (protocol.transport.get_pipe_transport(stream) for stream in (0, 1))
    stdout.pause_reading()
    stdin.write(b"some")
    stdin.write_eof()
    await protocol.exited
    stdout.resume_reading()
    await protocol.lost
    made, *others, lost = protocol.calls
    told = [("pipe lost", 0), ("pipe lost", 1), ("pipe lost", 2), ("exited",)]
    assert (made, lost) == (("made",), ("lost",))
    assert [call for call in others if call[0] != "data"] != []
    assert sorted(call for call in others if call[0] != "data") == sorted(told)
    assert protocol.output == {1: b"some", 2: b"word\n"}
    protocol.transport.close()


async def _failed(**options: Any) -> None:
    for launch in (aiospawn.create_subprocess_exec("/nonexistent", **options), aiospawn.run(["/nonexistent"], **options)):
        with pytest.raises(FileNotFoundError):
            await launch


async def _stopped() -> None:
    process = await aiospawn.create_subprocess_exec("sh", "-c", "echo up; sleep 1000", stdout=-1, start_new_session=True)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    assert await process.stop() == -signal.SIGTERM


_SLEEPS = ["sleep", "1000"]  # what nobody stops is found behind the strike


async def _stopped_run() -> None:
    with pytest.raises(aiospawn.TimeoutExpired):
        await aiospawn.run(_SLEEPS, timeout=0.001)


async def _stopped_pipeline() -> None:
    with pytest.raises(aiospawn.TimeoutExpired):
        await aiospawn.pipeline(_SLEEPS, _SLEEPS, timeout=0.001)


async def _stopped_map() -> None:
    async with aiospawn.map([_SLEEPS] * 2, concurrency=2, timeout=0.001) as results:
        assert [type(result.error) async for result in results] == [aiospawn.TimeoutExpired] * 2


async def _left_map() -> None:
    async with aiospawn.map([["true"], _SLEEPS, _SLEEPS], concurrency=3, ordered=False) as results:
        assert (await anext(results)).ok


async def _stopped_lines() -> None:
    with pytest.raises(aiospawn.TimeoutExpired):
        assert [line async for line in aiospawn.lines(_SLEEPS, timeout=0.001)] == []


async def _left_block() -> None:
    async with aiospawn.pipeline(_SLEEPS, _SLEEPS) as running:
        assert len(running.processes) == 2


async def _left_group() -> None:
    async with aiospawn.ProcessGroup() as group:
        await group.spawn(*_SLEEPS)
        await group.stop()


async def _preexec_silent() -> None:
    await _silent(preexec_fn=int)


async def _preexec_run() -> None:
    await _run(preexec_fn=int)


_LAUNCHES = (_silent, _communicate, _written, _run, _map, _observed, _limited, _lines, _protocol, _failed, _stopped)
_STOPPED = (_stopped_run, _stopped_map, _left_map, _stopped_pipeline, _stopped_lines, _left_block, _left_group)
_SCENARIOS = {scenario.__name__.strip("_"): scenario for scenario in (*_LAUNCHES, *_STOPPED, _preexec_silent, _preexec_run)}


_WHO_STOPS = [scenario.__name__.strip("_") for scenario in _STOPPED]


@pytest.fixture
def loop(variant: str) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that the test runs itself; "plain" is asyncio's, where reactors come and go with the launches."""
    factories = {"uvloop": aiospawn.new_uvloop_event_loop, "stdlib": aiospawn.new_event_loop}
    loop = factories.get(variant, asyncio.SelectorEventLoop)()
    yield loop
    loop.close()


def _strikes(
    loop: asyncio.AbstractEventLoop, scenario: Callable[[], Awaitable[None]], step: int, *, in_task: bool
) -> Iterator[tuple[str | None, int]]:
    """Runs it with a strike at each `step`-th bytecode, until there are no more. What did each raise, if anything?

    When that is gone, with what its traceback holds, so are the children and all descriptors.
    """

    async def bounded() -> None:
        async with asyncio.timeout(_TOO_LONG_S):
            await scenario()

    _run_through(loop, bounded())  # what is done once
    before = fresh.descriptors()
    position, struck = random.Random(4).randrange(step) + 1, True
    while struck:
        with _Strike(position, in_task=in_task) as strike:
            task, _ = _run_through(loop, bounded())
        struck = strike.count >= position
        raised = task.exception() and f"{type(task.exception()).__name__}: {task.exception()}"
        del task
        yield raised, position
        deadline = loop.time() + _TOO_LONG_S
        while fresh.children():
            assert loop.time() < deadline, (position, "a child that nobody has stopped")
            _run_through(loop, asyncio.sleep(0.001))
        _run_through(loop, asyncio.sleep(0))
        while fresh.descriptors() != before:  # what was struck is called once more, by some turn of the loop
            gc.collect()
            assert loop.time() < deadline, (position, fresh.descriptors(), before)
            _run_through(loop, asyncio.sleep(0.001))
        position += step


def _check_calls(loop: asyncio.AbstractEventLoop, name: str, step: int) -> None:
    for raised, position in _strikes(loop, _SCENARIOS[name], step, in_task=True):
        assert raised is None or raised.startswith("KeyboardInterrupt"), (position, raised)


def _check_callbacks(loop: asyncio.AbstractEventLoop, name: str, step: int) -> None:
    for raised, position in _strikes(loop, _SCENARIOS[name], step, in_task=False):
        assert raised is None, (position, raised)


@pytest.mark.parametrize(("variant", "name", "step"), [("stdlib", "run", 53), ("uvloop", "communicate", 89)])
def test_in_some_callbacks(loop: asyncio.AbstractEventLoop, name: str, step: int) -> None:
    """Every event is reported once, as without the interrupt: output, exit, end of file."""
    _check_callbacks(loop, name, step)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("name", _SCENARIOS)
@pytest.mark.parametrize("variant", ["plain", "stdlib", "uvloop"])
def test_in_a_callback(loop: asyncio.AbstractEventLoop, name: str) -> None:
    """The same for each kind of launch."""
    _check_callbacks(loop, name, _STEP)


@pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited:RuntimeWarning"
)  # struck between its making and its await
@pytest.mark.parametrize(
    ("variant", "name", "step"), [("uvloop", "silent", 97), ("plain", "silent", 97), ("stdlib", "stopped_run", 97)]
)
def test_at_some_calls(loop: asyncio.AbstractEventLoop, name: str, step: int) -> None:
    """In what the task calls the interrupt ends the task; child and descriptors are gone, and the loop runs on."""
    _check_calls(loop, name, step)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)  # in a generator's __del__
@pytest.mark.parametrize("name", ["silent", "run", "map", *_WHO_STOPS])  # not "stopped": its process is the caller's
@pytest.mark.parametrize("variant", ["plain", "stdlib", "uvloop"])
def test_at_a_call(loop: asyncio.AbstractEventLoop, name: str) -> None:
    """The same for each way to stop a child that ends only if it is stopped."""
    _check_calls(loop, name, _STEP)
