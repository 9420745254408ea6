"""What docs/cluster.md promises when the network, the scheduler, a worker, an agent or a disk fails."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import pathlib
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from dask_machines import dask_machines, no_namespaces, within
from dask_workers import dask_workers, running_in
from until import until

import aiospawn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from dask_machines import Machines

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.once, pytest.mark.slow, pytest.mark.loops("one")]

TRUE = ["true"]
LEASE = 3.0
# The first time it is run it goes on for ever; and it fails if it runs twice at a time.
HANGS_FIRST = ["flock", "-n", "-E", "9", "lock", "sh", "-c", "mkdir first 2>/dev/null && exec sleep 1000; echo again"]
WAITS = ["/bin/sh", "-c", "echo >>begun; while [ ! -e flag ]; do sleep 0.05; done"]


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """Two workers behind relays, and one that does not run yet."""
    with dask_machines(3, workers=2) as machines:
        yield machines


def rules(machines: Machines, **others: Any) -> aiospawn.Cluster:
    return aiospawn.Cluster(machines.address, **{"lease": LEASE, "worker_retries": 20, **others})


def worker_of(pid: int, workers: dict[int, int]) -> int:
    """Which of the workers, by their pids, has started this process."""
    while pid not in workers:
        pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return workers[pid]


async def has_hung(machines: Machines, directory: pathlib.Path) -> int:
    """Waits until it runs; returns the number of its worker."""
    await until(lambda: (directory / "first").exists() and running_in(directory))
    return worker_of(running_in(directory)[0], machines.workers())


# ---- the network ------------------------------------------------------------------------------------------------------


async def cut_off(machines: Machines, directory: pathlib.Path, direction: str) -> None:
    """What it ran has ended before it is run elsewhere, and it works again later."""
    mended = asyncio.Event()

    async def commands() -> AsyncIterator[list[str]]:
        yield HANGS_FIRST
        await mended.wait()
        while True:
            yield TRUE

    workers = set()
    async with aiospawn.map(commands(), cluster=rules(machines), cwd=directory, capture_output=True) as results:
        first = asyncio.ensure_future(anext(results))
        number = await has_hung(machines, directory)
        machines.cut(number, direction)
        assert (await first).stdout == b"again\n"
        machines.mend(number, direction)
        mended.set()
        async for result in results:
            assert result.ok
            workers.add(result.worker)
            if len(workers) == 2:
                break
    assert not running_in(directory)


directions = pytest.mark.parametrize("direction", ["to", "from", "both"])


@directions
async def test_relay_that_stops(machines: Machines, tmp_path: pathlib.Path, direction: str) -> None:
    """Nothing comes to a worker, or from it, on connections that are open."""
    await cut_off(machines, tmp_path, direction)


@directions
def test_packets_that_are_dropped(tmp_path_factory: pytest.TempPathFactory, direction: str) -> None:
    """The same between network namespaces."""
    reason = no_namespaces()
    if reason is not None:
        pytest.skip(reason)
    with dask_machines(namespaces=True) as machines:
        within(machines, functools.partial(cut_off, machines, tmp_path_factory.mktemp("cut"), direction))


async def test_torn_messages(machines: Machines, tmp_path: pathlib.Path) -> None:
    """Connections end in the middle of messages: each command is run once, and has its result."""
    script = 'mkdir "$0" && head -c 100 /dev/zero'
    commands = [["/bin/sh", "-c", script, str(number)] for number in range(400)]
    for worker in range(2):
        machines.tell("tear", worker, 40_000)
    try:
        async with aiospawn.map(commands, cluster=rules(machines, lease=20.0), cwd=tmp_path, capture_output=True) as stream:
            results = [result async for result in stream]
    finally:
        for worker in range(2):
            machines.tell("tear", worker, 0)
    assert [(result.number, result.returncode, len(result.stdout)) for result in results] == [
        (number, 0, 100) for number in range(400)
    ]


# ---- the scheduler ----------------------------------------------------------------------------------------------------


async def test_scheduler_that_comes_back(machines: Machines, tmp_path: pathlib.Path) -> None:
    """Its workers close, with Dask: they finish what they run. The map goes on with those that come."""
    async with aiospawn.map([WAITS] * 5, cluster=rules(machines, lease=20.0), cwd=tmp_path) as stream:
        results = asyncio.ensure_future(_all(stream))
        await until(lambda: len(running_in(tmp_path)) >= 2)
        machines.tell("kill_scheduler")
        (tmp_path / "flag").touch()
        await until(lambda: not running_in(tmp_path))
        machines.tell("scheduler")
        finished = [(result.returncode, result.attempts) for result in await results]
    assert finished == [(0, 1)] * 5
    assert (tmp_path / "begun").read_text() == "\n" * 5  # each once


async def test_scheduler_that_stays_away(tmp_path: pathlib.Path) -> None:
    """The map ends when the client has given up."""
    with dask_machines(1) as machines:
        async with distributed.Client(machines.address, asynchronous=True, set_as_default=False, timeout=1) as client:
            cluster = aiospawn.Cluster(client, lease=20.0)
            async with aiospawn.map([WAITS, TRUE], cluster=cluster, cwd=tmp_path) as stream:
                first = asyncio.ensure_future(anext(stream))
                await until(lambda: running_in(tmp_path))
                machines.tell("kill_scheduler")
                (tmp_path / "flag").touch()
                assert (await first).ok
                with pytest.raises(aiospawn.ClusterError, match="the scheduler is gone, and with it all workers"):
                    await anext(stream)
            assert not running_in(tmp_path)


async def _all(stream: Any) -> list[aiospawn.MapResult]:
    return [result async for result in stream]


# ---- workers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_worker_that_is_killed_or_stopped(machines: Machines, tmp_path: pathlib.Path, number: signal.Signals) -> None:
    """Its commands are run again elsewhere, none twice at a time, and none is counted as a failure."""
    script = 'flock -n -E 9 "$0.lock" sh -c "echo >>$0.done; sleep 0.02"'
    commands = [["/bin/sh", "-c", script, str(each)] for each in range(150)]
    stopped = machines.worker(0)
    async with aiospawn.map(commands, cluster=rules(machines), concurrency=2, cwd=tmp_path) as stream:
        results = []
        async for result in stream:
            results.append(result)
            if result.number == 20:
                os.kill(stopped, number)
    if number == signal.SIGSTOP:
        os.kill(stopped, signal.SIGCONT)
    assert [result.number for result in results] == list(range(150))
    assert [result for result in results if not result.ok] == []


async def test_command_that_kills_its_workers(machines: Machines) -> None:
    """It is given up after three, and named; those beside it are run."""
    killer = ["/bin/sh", "-c", "read _ _ _ init _ </proc/$$/stat; read _ _ _ worker _ </proc/$init/stat; kill -9 $worker"]
    cluster = rules(machines, lease=6.0, worker_retries=2)
    async with aiospawn.map([*[TRUE] * 20, killer, *[TRUE] * 20], cluster=cluster) as stream:
        results = await _all(stream)
    assert [result.number for result in results if not result.ok] == [20]
    error = results[20].error
    assert isinstance(error, aiospawn.WorkerLost)
    assert (error.cmd, len(error.workers)) == (killer, 3)


async def test_worker_that_joins(machines: Machines, tmp_path: pathlib.Path) -> None:
    """It gets commands of a map that runs."""
    async with aiospawn.map([WAITS] * 12, cluster=rules(machines, lease=20.0), cwd=tmp_path) as stream:
        results = asyncio.ensure_future(_all(stream))
        await until(lambda: (tmp_path / "begun").exists() and (tmp_path / "begun").read_text() == "\n\n")
        machines.tell("join", 2)
        own = {machines.worker(2): 2}
        await until(lambda: any(_is_of(pid, own) for pid in running_in(tmp_path)))
        (tmp_path / "flag").touch()
        assert len({result.worker for result in await results if result.ok}) == 3


def _is_of(pid: int, workers: dict[int, int]) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the end of all ancestors, or of the process
        return bool(worker_of(pid, workers))
    return False


async def test_worker_that_retires(machines: Machines, tmp_path: pathlib.Path) -> None:
    """What it runs it ends; what it has not started is run elsewhere; then it is let go."""
    quick = ["/bin/sh", "-c", "sleep 0.01"]
    async with distributed.Client(machines.address, asynchronous=True, set_as_default=False) as client:
        cluster = aiospawn.Cluster(client, lease=20.0)
        async with aiospawn.map([*[quick] * 60, *[WAITS] * 60], cluster=cluster, cwd=tmp_path, ordered=False) as stream:
            for _ in range(60):
                await anext(stream)
            links = stream._workers._dispatcher.links  # type: ignore[attr-defined]
            await until(lambda: any(link.ahead for link in links))
            link = max(links, key=lambda link: link.ahead)
            retiring = asyncio.ensure_future(client.retire_workers([link.worker]))
            await until(lambda: len(link.in_hand) == 1)
            noticed = time.time()
            (tmp_path / "flag").touch()
            results = [result async for result in stream]
        assert len(results) == 60
        assert [
            result for result in results if not result.ok or (result.worker == link.worker and result.started > noticed)
        ] == []
        await retiring


async def test_memory_that_dask_limits(tmp_path: pathlib.Path) -> None:
    """The nanny kills a worker that is too large; what it ran is run by the next."""

    def grow() -> int:
        kept = []
        while True:
            kept.append(bytes([1]) * (10 << 20))
            time.sleep(0.01)

    with dask_workers(count=1, memory_limit=500 << 20) as workers:
        async with distributed.Client(workers.address, asynchronous=True, set_as_default=False) as client:
            cluster = aiospawn.Cluster(client, lease=LEASE)
            async with aiospawn.map([HANGS_FIRST, TRUE], cluster=cluster, cwd=tmp_path, capture_output=True) as stream:
                first = asyncio.ensure_future(anext(stream))
                await until(lambda: (tmp_path / "first").exists() and running_in(tmp_path))
                hog = client.submit(grow, pure=False)
                await until(lambda: not running_in(tmp_path))
                hog.release()
                assert (await first).stdout == b"again\n"
                assert (await anext(stream)).ok


# ---- agents -----------------------------------------------------------------------------------------------------------


async def test_agent_that_raises(client: Any, tmp_path: pathlib.Path) -> None:
    """What it raises ends the map, and what runs."""

    def spoil() -> None:
        from aiospawn._cluster import agent

        agent.packed, agent.spoilt = None, agent.packed

    def mend() -> None:
        from aiospawn._cluster import agent

        agent.packed = agent.spoilt

    await client.run(spoil)
    try:
        with pytest.raises(TypeError, match="not callable"):
            async with aiospawn.map([["sleep", "1000"], TRUE, TRUE], cluster=client, concurrency=2, cwd=tmp_path) as stream:
                await _all(stream)
    finally:
        await client.run(mend)
    assert not running_in(tmp_path)


@pytest.fixture
def small(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory with room for two pages, and for some more names."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8k,nr_inodes=5", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_disk_that_is_full(client: Any, small: pathlib.Path) -> None:
    """A command gets ENOSPC when it writes; where there is no place for its files, that is its error."""
    has_failed = asyncio.Event()

    async def commands() -> AsyncIterator[list[str]]:
        yield ["head", "-c", "100000", "/dev/zero"]
        await has_failed.wait()
        yield TRUE

    async with aiospawn.map(commands(), cluster=aiospawn.Cluster(client, results=small)) as stream:
        full = await anext(stream)
        has_failed.set()
        refused = await anext(stream)
    assert full.returncode == 1
    assert (small / "0" / "stdout").stat().st_size == 8192
    assert isinstance(refused.error, OSError)
    assert refused.error.errno == errno.ENOSPC
