"""A soak: launches of every kind on four loops in turn. No status and no byte may be lost, and nothing may grow.

    python tests/long/soak.py --launches 1000000
    python tests/long/soak.py --seconds 3600

Exits with 1, and says why, when a status, an output or a bound is wrong. Every other round has so many descriptors open that
launches share the descriptor table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import hashlib
import os
import pathlib
import random
import resource
import signal
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))  # where this is run as a script

import fresh
from loops import ALL, new_event_loop

import aiospawn
from aiospawn import DEVNULL, PIPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = ["ROUND", "Sample", "WrongError", "check", "check_growth", "main", "slope"]

AT_ONCE = 32
TURN = 400  # launches on one loop, before the next has its turn
CROWD, LARGER_CROWD = 600, 1100
ROUND = 3 * len(ALL) * TURN
BYTES_A_LAUNCH = 1.0
SLACK = 1 << 20  # bytes: what an allocator may keep or not, which matters in short runs only
KEPT_STACKS = 64  # of stack_pool.c
PAGE = resource.getpagesize()

Via = dict[str, str]


class WrongError(Exception):
    """Something was lost, or has grown."""


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise WrongError(f"{what}: {got!r}, not {wanted!r}")


def _expect_output(what: str, got: bytes | None, wanted: bytes) -> None:
    _expect(what, hashlib.sha256(got or b"").hexdigest(), hashlib.sha256(wanted).hexdigest())


# ---- launches ---------------------------------------------------------------------------------------------------------


async def _exits(dice: random.Random, via: Via) -> None:
    status = dice.randrange(256)
    process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", f"exit {status}", **via)
    _expect("exit status", await process.wait(), status)


async def _writes(dice: random.Random, via: Via) -> None:
    status, text = dice.randrange(256), dice.randbytes(20).hex()
    command = 'echo "$1"; echo "error $1" >&2; exit $2'
    process = await aiospawn.create_subprocess_exec(
        "/bin/sh", "-c", command, "sh", text, str(status), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, **via
    )
    output, errors = await process.communicate()
    _expect_output("output", output, f"{text}\n".encode())
    _expect_output("errors", errors, f"error {text}\n".encode())
    _expect("exit status", process.returncode, status)


async def _copies(dice: random.Random, via: Via) -> None:
    data = dice.randbytes(1 << dice.randrange(19))
    process = await aiospawn.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, **via)
    output, _ = await process.communicate(data)
    _expect_output(f"copy of {len(data)} bytes", output, data)
    _expect("exit status", process.returncode, 0)


def _sleeper(**options: Any) -> Awaitable[aiospawn.Process]:
    """One that does not outlive a soak that fails."""
    return aiospawn.create_subprocess_exec("sleep", "1000", pdeathsig=signal.SIGKILL, **options)


async def _killed(dice: random.Random, via: Via) -> None:
    process = await _sleeper(stdout=dice.choice([None, PIPE]), **via)
    number = dice.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
    process.send_signal(number)
    _expect("status of the killed", await process.wait(), -number)


async def _stopped(dice: random.Random, via: Via) -> None:
    leads = dice.random() < 0.5
    async with await _sleeper(stdin=PIPE, start_new_session=leads, **via) as process:
        pass
    _expect("status of the stopped", process.returncode, -signal.SIGTERM)


async def _cancelled(dice: random.Random, via: Via) -> None:
    launch = asyncio.ensure_future(_sleeper(stdout=PIPE, **via))
    for _ in range(dice.randrange(4)):
        await asyncio.sleep(0)
    launch.cancel()
    await asyncio.wait([launch])
    if launch.cancelled():
        return
    process = launch.result()  # it was there before the cancellation
    waiting = asyncio.ensure_future(process.communicate())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    _expect("cancelled", waiting.cancelled(), True)
    _expect("status of the stopped", await process.stop(), -signal.SIGTERM)
    process._transport.close()


async def _fails(dice: random.Random, via: Via) -> None:
    wanted, step, options = dice.choice([
        (FileNotFoundError, "execve", {"executable": "/nowhere"}),
        (PermissionError, "execve", {"executable": "/etc"}),
        (FileNotFoundError, "chdir", {"cwd": "/nowhere"}),
    ])  # fmt: skip
    try:
        await aiospawn.create_subprocess_exec("true", stdin=PIPE, stdout=PIPE, stderr=PIPE, **options, **via)
    except OSError as error:
        _expect("error", (type(error), getattr(error, "step", None)), (wanted, step))
    else:
        raise WrongError(f"no error with {options}")


_KINDS: dict[Callable[[random.Random, Via], Awaitable[None]], int] = {
    _exits: 40, _writes: 25, _copies: 8, _killed: 9, _stopped: 4, _cancelled: 7, _fails: 7,
}  # fmt: skip


async def _turn(dice: random.Random, count: int) -> None:
    async def worker() -> None:
        nonlocal count
        while count > 0:
            count -= 1
            (kind,) = dice.choices([*_KINDS], [*_KINDS.values()])
            via: Via = {"via": "launcher"} if dice.random() < 0.1 else {}
            await kind(dice, via)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())


@contextlib.contextmanager
def _crowded(size: int) -> Iterator[None]:
    """So many more descriptors; the larger crowd with a regular file as standard error, for which launches wait then."""
    descriptors = [os.dup(0) for _ in range(size)]
    stderr = os.dup(2)
    if size == LARGER_CROWD:
        file = os.memfd_create("a regular file")
        os.dup2(file, 2)
        os.close(file)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        for descriptor in (stderr, *descriptors):
            os.close(descriptor)


# ---- what may not grow ------------------------------------------------------------------------------------------------


class Sample(NamedTuple):
    """What the process holds when nothing runs."""

    launches: int
    resident: int  # bytes
    descriptors: int
    reserved: int  # descriptors
    children: int  # zombies included
    stacks: int  # of launches that are not over, and those kept for the next

    @classmethod
    def taken(cls, launches: int) -> Sample:
        gc.collect()
        _trim()
        open_now = fresh.descriptors()
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * PAGE
        reserved = len(fresh.reserved())
        return cls(launches, resident, len(open_now), reserved, len(fresh.children()), _stacks())


def _trim() -> None:
    """What malloc holds and nobody uses goes back to the kernel: it comes and goes by a megabyte."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _stacks() -> int:
    """Each has a guard page below its stack, of which no other mapping of this size and kind has one."""
    found, guarded = 0, 0
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        addresses, access, *_, inode = line.split()[:5]
        start, end = (int(address, 16) for address in addresses.split("-"))
        found += start == guarded and access == "rw-p" and inode == "0" and end - start == _MAPPING
        guarded = end if access == "---p" and end - start == PAGE else 0
    return found


_MAPPING = (64 + 64) * 1024  # stack and room


def slope(samples: list[Sample]) -> float:
    """Bytes of resident memory that a launch adds, fitted over the last three quarters."""
    settled = samples[len(samples) // 4 :]
    if len(settled) < 2:
        return 0.0
    launches, resident = zip(*((sample.launches, sample.resident) for sample in settled), strict=True)
    return statistics.linear_regression(launches, resident).slope


def check(first: Sample, sample: Sample) -> None:
    _expect("children left", sample.children, 0)
    _expect("descriptors", sample.descriptors, first.descriptors)
    _expect("reserved descriptors", sample.reserved, first.reserved)
    if sample.stacks > KEPT_STACKS:
        raise WrongError(f"stacks kept: {sample.stacks}")


def check_growth(samples: list[Sample]) -> None:
    grown = slope(samples) * (samples[-1].launches - samples[0].launches)
    bound = max(SLACK, BYTES_A_LAUNCH * samples[-1].launches)
    if grown > bound:
        raise WrongError(f"resident memory has grown by {grown:.0f} bytes, more than {bound:.0f}")


# ---- the run ----------------------------------------------------------------------------------------------------------


class Soak:
    """Four loops that live as long as the run, and what was seen whenever all were at rest."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._loops = [new_event_loop(variant) for variant in ALL]
        self._launches = 0
        self.samples: list[Sample] = []

    def round(self) -> None:
        """A turn for each loop, with few descriptors, with many, and with more."""
        for size in (0, CROWD, LARGER_CROWD):
            for loop in self._loops:
                with _crowded(size):
                    loop.run_until_complete(_turn(self._dice, TURN))
                self._launches += TURN
        self.samples.append(Sample.taken(self._launches))
        check(self.samples[0], self.samples[-1])

    def run(self, launches: int, seconds: float) -> None:
        started = time.monotonic()
        self.round()  # first uses, free lists
        while len(self.samples) < 2 or (self._launches < launches and time.monotonic() - started < seconds):
            self.round()
            if len(self.samples) % 32 == 0:
                print(self.samples[-1], flush=True)
        check_growth(self.samples)
        print(_told(self.samples, time.monotonic() - started))

    def close(self) -> None:
        for loop in self._loops:
            loop.close()


def _told(samples: list[Sample], seconds: float) -> str:
    first, last = samples[0], samples[-1]
    rows = [
        f"{last.launches} launches, {last.launches / seconds:.0f} a second",
        f"resident memory: {first.resident >> 10} KiB, then {last.resident >> 10} KiB, {slope(samples):+.3f} bytes a launch",
        f"descriptors: {first.descriptors}, then {last.descriptors}; reserved {first.reserved}, then {last.reserved}",
        f"stacks, kept or not: {first.stacks}, then {last.stacks}, at most {max(sample.stacks for sample in samples)}",
        f"children left: {last.children}",
    ]
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Launches of every kind on four loops; nothing may be lost, nothing grow.")
    parser.add_argument("--launches", type=int, default=sys.maxsize, help="end after so many")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    if chosen.launches == sys.maxsize and chosen.seconds == float("inf"):
        parser.error("--launches or --seconds is needed")
    soak, status = Soak(chosen.seed), 1
    try:
        soak.run(chosen.launches, chosen.seconds)
        status = 0
    except* WrongError as wrong:
        print(f"seed {chosen.seed}: {wrong.exceptions}", file=sys.stderr)
    finally:
        soak.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
