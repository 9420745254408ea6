"""One measurement, in a process of its own: `python -m aiospawn.cli._bench._worker SPEC` prints its figures as JSON.

SPEC is a JSON object: `kind` names a function here, the rest are the fields of `Spec`.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import mmap
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import aiospawn
from aiospawn.cli._bench._heart import heartbeat, stalls
from aiospawn.cli._measure import methods

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator

__all__ = ["Spec"]

_AT_MOST_PACED = 256  # launches that are under way at a time
_OPENED_A_MILLISECOND = 50
_DELAY_S = 1.0
_BLOCK = 256 << 10


class Spec(NamedTuple):
    """What is measured. Times in seconds, sizes in MiB."""

    kind: str
    loop: str  # a name of `_measure.methods()`
    program: list[str]
    total: int = 1  # launches, or bytes
    seconds: float = 1e9
    window: int = 1
    capture: str = "none"  # none, pipe: create_subprocess_exec; run: aiospawn.run
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    ballast: int = 0  # memory in use
    reserved: int = 0  # memory that is only there
    descriptors: int = 0
    live: int = 0  # children that are alive meanwhile
    gate: str = ""  # what these run
    rate: int = 0  # launches a second
    through: str = "streams"  # or transport
    stderr_file: bool = False  # standard error is a regular file


# ---- launching --------------------------------------------------------------------------------------------------------


def _launch(spec: Spec, slices: list[float] | None = None) -> Callable[[], Awaitable[int | None]]:
    """A function that launches once, waits, and returns the return code. `slices` gets each create's first step."""
    if spec.capture == "run":
        return lambda: _run(spec)
    stdout = PIPE if spec.capture == "pipe" else None

    async def launch() -> int | None:
        create = asyncio.create_subprocess_exec(*spec.program, stdout=stdout, **spec.options)
        process = await (create if slices is None else _FirstSlice(create, slices))
        if process.stdout is not None:
            await process.stdout.read()
        return await process.wait()

    return launch


async def _run(spec: Spec) -> int | None:
    run: Callable[..., Awaitable[subprocess.CompletedProcess[bytes]]] = vars(aiospawn)["run"]
    return (await run(spec.program, stdout=PIPE, **spec.options)).returncode


class _FirstSlice(Awaitable[Any]):
    """Awaits a coroutine and notes how long its first step holds the loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], slices: list[float]) -> None:
        self._coroutine = coroutine
        self._slices = slices

    def __await__(self) -> Generator[Any, Any, Any]:
        started = perf_counter()
        try:
            waited_for = self._coroutine.send(None)
        except StopIteration as ended:
            return ended.value
        finally:
            self._slices.append(perf_counter() - started)
        yield waited_for
        return (yield from self._coroutine.__await__())


async def _successfully(launched: Awaitable[int | None]) -> None:
    status = await launched
    if status != 0:
        raise RuntimeError(f"a child ended with {status}")


# ---- kinds ------------------------------------------------------------------------------------------------------------


async def launches(spec: Spec) -> dict[str, Any]:
    """`total` launches, `window` at a time: rate, CPU of the loop's thread, first slices where one runs at a time."""
    slices: list[float] = []
    launch = _launch(spec, slices if spec.window == 1 else None)
    crowd = await _crowd(spec)
    await _successfully(launch())  # what a process sets up once is not a launch's cost
    slices.clear()
    launched, cut = 0, False

    async def worker(numbers: Iterator[int], deadline: float) -> None:
        nonlocal launched, cut
        for _ in numbers:
            if perf_counter() > deadline:
                cut = True
                return
            await _successfully(launch())
            launched += 1

    numbers = iter(range(spec.total))
    childrens, cpu, started = _children_cpu(), time.thread_time(), perf_counter()
    await asyncio.gather(*[worker(numbers, started + spec.seconds) for _ in range(spec.window)])
    elapsed, cpu, childrens = perf_counter() - started, time.thread_time() - cpu, _children_cpu() - childrens
    figures: dict[str, Any] = {
        "launched": launched,
        "seconds": elapsed,
        "cut": cut,
        "per_s": launched / elapsed,
        "mean_us": elapsed / launched * 1e6,
        "loop_cpu_us": cpu / launched * 1e6,
        "children_cpu_us": childrens / launched * 1e6,
    }
    if slices:
        figures["slice_us"] = statistics.median(slices) * 1e6
    return figures | await crowd.dismissed()


class _Crowd(NamedTuple):
    members: list[asyncio.subprocess.Process]
    gate: int  # closed, it lets all of them go
    figures: dict[str, float]

    async def dismissed(self) -> dict[str, float]:
        """Signals all, reaps all. Raises RuntimeError where one was lost."""
        if not self.members:
            os.close(self.gate)
            return {}
        started = perf_counter()
        for member in self.members:
            member.send_signal(signal.SIGTERM)
        signalled = perf_counter()
        statuses = await asyncio.gather(*[member.wait() for member in self.members])
        reaped = perf_counter()
        os.close(self.gate)
        if set(statuses) - {-signal.SIGTERM}:
            raise RuntimeError(f"children ended with {set(statuses)}")
        return self.figures | {"live_signal_s": signalled - started, "live_reap_s": reaped - signalled}


async def _crowd(spec: Spec, stdout: int | None = PIPE) -> _Crowd:
    """`live` children that wait for the end of one pipe, each with a pipe of its own for its output."""
    gate, inner = os.pipe()
    members: list[asyncio.subprocess.Process] = []

    async def create() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(spec.gate, stdin=gate, stdout=stdout, **spec.options)

    async def worker(numbers: Iterator[int]) -> None:
        members.extend([await create() for _ in numbers])

    if spec.live:
        first = await create()
        first.kill()
        await first.wait()
    resident, started, numbers = _resident_kib(), perf_counter(), iter(range(spec.live))
    await asyncio.gather(*[worker(numbers) for _ in range(min(64, spec.live))])
    elapsed, resident = perf_counter() - started, _resident_kib() - resident
    os.close(gate)
    figures = {"live_launch_s": elapsed, "live_kib_each": resident / spec.live} if spec.live else {}
    return _Crowd(members, inner, figures)


async def paced(spec: Spec) -> dict[str, Any]:
    """`rate` launches a second for `seconds`, and how late a task that sleeps a millisecond wakes meanwhile."""
    launch = _launch(spec)
    await _successfully(launch())
    late: list[float] = []
    running: set[asyncio.Task[None]] = set()
    cpu, started = time.thread_time(), perf_counter()
    with heartbeat(late):
        for number in range(round(spec.rate * spec.seconds)):
            early = started + number / spec.rate - perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            elif perf_counter() > started + 2 * spec.seconds:
                break
            while len(running) >= _AT_MOST_PACED:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(_successfully(launch()))
            running.add(task)
            task.add_done_callback(running.discard)
        if not spec.rate:
            await asyncio.sleep(spec.seconds)
            number = -1
        await asyncio.gather(*running)
        elapsed = perf_counter() - started
    cpu = time.thread_time() - cpu
    return stalls(late) | {"per_s": (number + 1) / elapsed, "loop_cpu_ms_per_s": cpu / elapsed * 1e3}


async def opening(spec: Spec) -> dict[str, Any]:
    """`descriptors` are opened beside launches, a few each millisecond."""
    launch = _launch(spec)
    await _successfully(launch())
    late: list[float] = []
    opened: list[int] = []

    async def launching() -> None:
        while len(opened) < spec.descriptors:
            await _successfully(launch())

    started = perf_counter()
    with heartbeat(late):
        workers = [asyncio.create_task(launching()) for _ in range(spec.window)]
        while len(opened) < spec.descriptors:
            opened += [os.open(os.devnull, os.O_RDONLY) for _ in range(_OPENED_A_MILLISECOND)]
            await asyncio.sleep(0.001)
        await asyncio.gather(*workers)
    elapsed = perf_counter() - started
    for descriptor in opened:
        os.close(descriptor)
    return stalls(late) | {"seconds": elapsed}


async def delayed(spec: Spec) -> dict[str, Any]:
    """A launch whose execve waits for a lease on the program, which is given back after a second."""
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "program")
        shutil.copy(spec.program[0], program)
        launch = _launch(spec._replace(program=[program]))
        await _successfully(launch())
        command = [sys.executable, "-P", "-m", __spec__.name, json.dumps({"kind": "hold", "program": [program]})]
        with subprocess.Popen(command, stdout=PIPE) as holder:  # noqa: ASYNC220 - nothing is measured yet
            assert holder.stdout is not None
            holder.stdout.readline()
            late: list[float] = []
            started = perf_counter()
            with heartbeat(late):
                await _successfully(launch())
            return stalls(late) | {"seconds": perf_counter() - started}


def _hold(program: str) -> None:
    """Whoever opens the program waits until its write lease is given back (fcntl(2), F_SETLEASE)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})
    with open(program, "rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        print("held", flush=True)
        signal.sigwait({signal.SIGIO})
        time.sleep(_DELAY_S)


async def storm(spec: Spec) -> dict[str, Any]:
    """`live` children end at once: how long until all are reaped, and how late a beat comes meanwhile."""
    crowd = await _crowd(spec, stdout=None)
    late: list[float] = []
    started = perf_counter()
    with heartbeat(late):
        os.close(crowd.gate)
        statuses = await asyncio.gather(*[member.wait() for member in crowd.members])
        elapsed = perf_counter() - started
    if set(statuses) != {0}:
        raise RuntimeError(f"children ended with {set(statuses)}")
    return stalls(late) | {"seconds": elapsed, "per_s": spec.live / elapsed}


async def read(spec: Spec) -> dict[str, Any]:
    """`total` bytes from a child."""
    program = [*spec.program, "write", str(spec.total)]
    cpu, started = time.thread_time(), perf_counter()
    if spec.through == "transport":
        protocol = await _through_transport(program, stdin=None, stdout=PIPE)
        await protocol.ended
        moved = protocol.received
    else:
        process = await asyncio.create_subprocess_exec(*program, stdout=PIPE)
        assert process.stdout is not None
        moved = 0
        while block := await process.stdout.read(_BLOCK):
            moved += len(block)
        await process.wait()
    return _moved(moved, spec.total, perf_counter() - started, time.thread_time() - cpu)


async def write(spec: Spec) -> dict[str, Any]:
    """`total` bytes to a child."""
    program = [*spec.program, "read"]
    block = memoryview(bytes(_BLOCK))
    cpu, started = time.thread_time(), perf_counter()
    if spec.through == "transport":
        protocol = await _through_transport(program, stdin=PIPE, stdout=None)
        pipe = cast("asyncio.WriteTransport", protocol.transport.get_pipe_transport(0))
        for position in range(0, spec.total, _BLOCK):
            pipe.write(block[: spec.total - position])
            await protocol.writable.wait()
        pipe.close()
        await protocol.ended
    else:
        process = await asyncio.create_subprocess_exec(*program, stdin=PIPE)
        assert process.stdin is not None
        for position in range(0, spec.total, _BLOCK):
            process.stdin.write(block[: spec.total - position])
            await process.stdin.drain()
        process.stdin.close()
        await process.wait()
    return _moved(spec.total, spec.total, perf_counter() - started, time.thread_time() - cpu)


class _Counting(asyncio.SubprocessProtocol):
    transport: asyncio.SubprocessTransport

    def __init__(self) -> None:
        self.received = 0
        self.writable = asyncio.Event()
        self.writable.set()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        self.received += len(data)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as above
        self.ended.set_result(None)


async def _through_transport(program: list[str], stdin: int | None, stdout: int | None) -> _Counting:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(_Counting, *program, stdin=stdin, stdout=stdout, stderr=None)
    protocol.transport = transport
    return protocol


def _moved(moved: int, expected: int, seconds: float, cpu: float) -> dict[str, Any]:
    if moved != expected:
        raise RuntimeError(f"{moved} bytes came, not {expected}")
    mib = moved / (1 << 20)
    return {"bytes": moved, "seconds": seconds, "mib_per_s": mib / seconds, "loop_cpu_us": cpu / mib * 1e6}


# ---- the process ------------------------------------------------------------------------------------------------------


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _resident_kib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE / 1024


def _in_use(mib: int) -> mmap.mmap | None:
    """Private memory in pages of 4 KiB, as a heap has it, each of them touched."""
    if not mib:
        return None
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(0, len(memory), mmap.PAGESIZE):
        memory[page] = 1
    return memory


_KINDS = {each.__name__: each for each in (launches, paced, opening, delayed, storm, read, write)}


def _main(text: str) -> None:
    fields = json.loads(text)
    if fields["kind"] == "hold":
        _hold(*fields["program"])
        return
    spec = Spec(**fields)
    factory = next(method.loop_factory for method in methods() if method.name == spec.loop)
    ballast = _in_use(spec.ballast)
    reserved = mmap.mmap(-1, spec.reserved << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) if spec.reserved else None
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(spec.descriptors if spec.kind != "opening" else 0)]
    if spec.stderr_file:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
    with asyncio.Runner(loop_factory=factory) as runner:
        figures = runner.run(_KINDS[spec.kind](spec))
    del ballast, reserved, opened
    print(json.dumps(figures))


if __name__ == "__main__":
    try:
        _main(sys.argv[1])
    except OSError as error:
        sys.exit(f"{type(error).__name__}: {error}")
