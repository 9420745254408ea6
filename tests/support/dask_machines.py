"""A Dask cluster whose network, scheduler and workers can be disturbed, as if each worker were a machine of its own.

This is a program and the door to it. The program has a scheduler and workers, each in a process, and starts again those that
end. Between a worker and all others is the network: a relay for each worker, or a pair of interfaces where each worker has a
network namespace. It can be cut in either direction alone: nothing is lost then, it is late, as TCP has it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from dask_workers import started

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

__all__ = ["Machines", "dask_machines", "no_namespaces", "within"]

_SCHEDULER = textwrap.dedent("""
    import asyncio, sys, distributed

    async def main(host, port):
        async with distributed.Scheduler(host=host, port=int(port), dashboard=False) as scheduler:
            print(scheduler.port, flush=True)
            await scheduler.finished()

    asyncio.run(main(*sys.argv[1:]))
""")
_WORKER = textwrap.dedent("""
    import asyncio, os, sys, distributed

    async def main(scheduler, host, contact):
        worker = distributed.Worker(scheduler, host=host, contact_address=contact or None, nthreads=1, dashboard=False)
        async with worker:
            print(worker.listener.listen_address.rpartition(":")[2], flush=True)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what commands write, which nobody reads
            await worker.finished()

    asyncio.run(main(*sys.argv[1:]))
""")
_TO, _FROM = "to", "from"  # the worker
_WRONG = "02:00:00:00:00:01"  # an address that no interface has: what is sent there is dropped


# ---- the program ------------------------------------------------------------------------------------------------------


class _Relay:
    """Passes connections on to an address, each direction for as long as it is open."""

    def __init__(self, forth: asyncio.Event, back: asyncio.Event) -> None:
        self.there: int | None = None
        """The port on the other side, once it is known."""
        self.most = 0
        """Two of three connections are torn after at most so many bytes, wherever that is in a message; 0: none."""
        self._number = 0  # of connections
        self._forth, self._back = forth, back
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._passed, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.there)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer.transport, there_writer.transport)
        self._number += 1
        most = self.most if self._number % 3 else 0  # so that each message gets through within its lease
        with contextlib.suppress(OSError):
            await asyncio.gather(
                self._one_way(reader, there_writer, self._forth, ends, most),
                self._one_way(there_reader, writer, self._back, ends, most),
            )
        for end in ends:
            end.abort()

    async def _one_way(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event,
        ends: tuple[Any, ...],
        most: int,
    ) -> None:
        left = random.randint(1, most) if most else None
        while True:
            data = await reader.read(1 << 16)
            await gate.wait()
            if left is not None and len(data) >= left:
                writer.write(data[:left])
                await asyncio.sleep(0)
                for end in ends:
                    end.abort()
                return
            if not data:
                writer.close()
                return
            left = None if left is None else left - len(data)
            writer.write(data)
            await writer.drain()


class _Relayed:
    """The network of a worker that is behind relays."""

    def __init__(self, number: int) -> None:
        self._gates = {_TO: asyncio.Event(), _FROM: asyncio.Event()}
        for gate in self._gates.values():
            gate.set()
        self._to_worker = _Relay(self._gates[_TO], self._gates[_FROM])
        self._to_scheduler = _Relay(self._gates[_FROM], self._gates[_TO])

    async def started(self, scheduler: int) -> asyncio.subprocess.Process:
        if self._to_scheduler.there is None:
            self._to_scheduler.there = scheduler
            self._ports = await self._to_scheduler.open(), await self._to_worker.open()
        scheduler_port, port = self._ports
        worker = await _started(_WORKER, f"tcp://127.0.0.1:{scheduler_port}", "127.0.0.1", f"tcp://127.0.0.1:{port}")
        self._to_worker.there = await _said(worker)
        return worker

    async def set_open(self, direction: str, is_open: bool) -> None:
        gate = self._gates[direction]
        (gate.set if is_open else gate.clear)()

    async def tear(self, most: int) -> None:
        self._to_worker.most = most


class _Namespaced:
    """The network of a worker that has a namespace, with a pair of interfaces to the one where the scheduler is."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._here, self._there = f"10.77.{number}.1", f"10.77.{number}.2"
        self._holder = 0

    async def started(self, scheduler: int) -> asyncio.subprocess.Process:
        if not self._holder:
            await self._join()
        return await _started(_WORKER, f"tcp://{self._here}:{scheduler}", self._there, "", within=self._within)

    @property
    def _within(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._holder}/ns/net"]

    async def _join(self) -> None:
        holder = await asyncio.create_subprocess_exec(
            "unshare", "--net", "sh", "-c", "echo 1; exec cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        await _said(holder)
        self._holder = holder.pid
        one, other = f"here{self._number}", f"there{self._number}"
        await _ip("link", "add", one, "type", "veth", "peer", "name", other)
        await _ip("link", "set", other, "netns", str(holder.pid))
        for within, name, address in ((), one, self._here), (self._within, other, self._there):
            await _ip("address", "add", f"{address}/24", "dev", name, within=within)
            for link in (name, "lo"):
                await _ip("link", "set", link, "up", within=within)

    async def set_open(self, direction: str, is_open: bool) -> None:
        """The sender has a wrong hardware address of the receiver, or the one that it finds out."""
        within, name, receiver = (
            ((), f"here{self._number}", self._there)
            if direction == _TO
            else (self._within, f"there{self._number}", self._here)
        )
        rule = ["del", receiver] if is_open else ["replace", receiver, "lladdr", _WRONG, "nud", "permanent"]
        await _ip("neighbour", *rule, "dev", name, within=within)

    async def tear(self, most: int) -> None:
        raise NotImplementedError("only a relay tears connections")


async def _ip(*arguments: str, within: Any = ()) -> None:
    process = await asyncio.create_subprocess_exec(*within, "ip", *arguments)
    assert await process.wait() == 0, arguments


async def _started(program: str, *arguments: str, within: Any = ()) -> asyncio.subprocess.Process:
    command = [*within, sys.executable, "-c", program, *arguments]
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


async def _said(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    line = await process.stdout.readline()
    return int(line) if line else 0


class _Program:
    """The scheduler, the workers and who keeps them."""

    def __init__(self, count: int, network: type[_Relayed | _Namespaced]) -> None:
        self._networks = [network(number) for number in range(count)]
        self._host = "127.0.0.1" if network is _Relayed else "0.0.0.0"
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        self._scheduler: asyncio.subprocess.Process | None = None
        self._port = 0
        self._keepers: list[asyncio.Task[None]] = []
        self._is_kept = asyncio.Event()
        self._is_kept.set()

    async def begin(self, workers: int) -> int:
        """Returns the scheduler's port."""
        await self.scheduler()
        for number in range(workers):
            await self.join(number)
        return self._port

    async def scheduler(self) -> None:
        """Starts it, at the port that it had."""
        self._scheduler = await _started(_SCHEDULER, self._host, str(self._port))
        self._port = await _said(self._scheduler)

    async def kill_scheduler(self) -> None:
        assert self._scheduler is not None
        self._scheduler.kill()
        await self._scheduler.wait()

    async def join(self, number: int) -> None:
        """A worker more."""
        self._workers[number] = await self._networks[number].started(self._port)
        self._keepers.append(asyncio.create_task(self._kept(number)))

    async def _kept(self, number: int) -> None:
        while True:
            await self._workers[number].wait()
            self._workers[number] = await self._networks[number].started(self._port)

    def pid(self, number: int) -> int:
        return self._workers[number].pid

    def workers(self) -> str:
        return " ".join(f"{number}:{process.pid}" for number, process in self._workers.items())

    async def do(self, what: str, *arguments: str) -> Any:
        """One line of standard input."""
        if what in ("cut", "mend"):
            number, direction = arguments
            for one in (_TO, _FROM) if direction == "both" else (direction,):
                await self._networks[int(number)].set_open(one, what == "mend")
        elif what == "tear":
            await self._networks[int(arguments[0])].tear(int(arguments[1]))
        else:
            calls: dict[str, Callable[..., Any]] = {
                "join": self.join, "pid": self.pid, "workers": self.workers,
                "kill_scheduler": self.kill_scheduler, "scheduler": self.scheduler
            }  # fmt: skip
            answer = calls[what](*map(int, arguments))
            return await answer if asyncio.iscoroutine(answer) else answer
        return None


async def _main(count: int, workers: int, network: type[_Relayed | _Namespaced]) -> None:
    if network is _Namespaced:
        await _ip("link", "set", "lo", "up")
    program = _Program(count, network)
    print(await program.begin(workers), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(await program.do(*line.split()), flush=True)
    os.killpg(0, signal.SIGKILL)  # the test is gone


# ---- the door ---------------------------------------------------------------------------------------------------------


class Machines(NamedTuple):
    """A cluster that runs."""

    address: str
    """The scheduler's."""
    pid: int
    """Of the program."""
    process: subprocess.Popen[str]

    def tell(self, *words: object) -> str:
        """What the program is to do, see `_Program.do`; comes back when it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def cut(self, worker: int, direction: str = "both") -> None:
        """Nothing gets "to" it, or "from" it, or "both"."""
        self.tell("cut", worker, direction)

    def mend(self, worker: int, direction: str = "both") -> None:
        self.tell("mend", worker, direction)

    def worker(self, number: int) -> int:
        """Its process, the one that it has now."""
        return int(self.tell("pid", number))

    def workers(self) -> dict[int, int]:
        """The numbers of all that are there now, by their processes."""
        pairs = (word.split(":") for word in self.tell("workers").split())
        return {int(pid): int(number) for number, pid in pairs}


@contextlib.contextmanager
def dask_machines(count: int = 2, *, workers: int | None = None, namespaces: bool = False) -> Iterator[Machines]:
    """At most `count` workers, of which `workers` are there from the beginning. Everything has ended behind the block."""
    within = ["unshare", "--net"] if namespaces else []
    first = count if workers is None else workers
    words = [str(count), str(first), *(["--namespaces"] if namespaces else [])]
    with started([*within, sys.executable, __file__, *words]) as (process, port):
        yield Machines(f"tcp://127.0.0.1:{port}", process.pid, process)


def no_namespaces() -> str | None:
    """Why workers cannot have network namespaces; None if they can."""
    if not hasattr(os, "setns"):
        return "os.setns is new in Python 3.12"
    missing = [name for name in ("ip", "unshare", "nsenter") if shutil.which(name) is None]
    if missing:
        return f"not there: {', '.join(missing)}"
    pair = ["unshare", "--net", "ip", "link", "add", "one", "type", "veth", "peer", "name", "other"]
    done = subprocess.run(pair, capture_output=True, text=True, check=False)
    return done.stderr.strip() or "no network namespaces" if done.returncode else None


def within(machines: Machines, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs it on a loop in the network where the scheduler is."""
    faults: list[BaseException] = []

    def ran() -> None:
        try:
            with open(f"/proc/{machines.pid}/ns/net") as network:
                os.setns(network.fileno(), os.CLONE_NEWNET)
            asyncio.run(_tidied(main))
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            faults.append(error)

    thread = threading.Thread(target=ran)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]


async def _tidied(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """tornado forgets a connection that was on its way when whoever made it was cancelled, as by a time-out of Dask's."""
    from tornado.iostream import IOStream

    await main()
    for stream in [each for each in gc.get_objects() if isinstance(each, IOStream)]:
        if getattr(stream.io_loop, "asyncio_loop", None) is asyncio.get_running_loop():
            stream.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("workers", type=int)
    parser.add_argument("--namespaces", action="store_true")
    options = parser.parse_args()
    asyncio.run(_main(options.count, options.workers, _Namespaced if options.namespaces else _Relayed))
