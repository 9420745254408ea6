"""A fork elsewhere in the process: its child holds nothing of the reactor, hurts nobody, and may launch on its own."""

import asyncio
import ctypes
import gc
import multiprocessing
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any, Self

import fresh
import pytest
from recorder import Recorder

import aiospawn

# A fork without any of Python's hooks: its child prints which descriptors it has, stays until `held` is closed, and exits.
_STRANGER = r"""
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int stranger(int told, int hold, int held) {
  int pid = fork();
  if (pid) return pid;
  char path[64], target[256], line[512];
  close(held);
  DIR *directory = opendir("/proc/self/fd");
  for (struct dirent *entry; (entry = readdir(directory));) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", atoi(entry->d_name));
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory) || length < 0) continue;
    target[length] = 0;
    int size = snprintf(line, sizeof line, "%s %s\n", entry->d_name, target);
    if (write(told, line, size) != size) _exit(1);
  }
  close(told);
  _exit(read(hold, path, 1) != 0);
}
"""


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Any:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("stranger") / "stranger.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=_STRANGER, text=True, check=True)
    return ctypes.CDLL(str(library)).stranger


class Strangers:
    """Forked processes that stay until the block is left."""

    def __init__(self, stranger: Any) -> None:
        self._stranger = stranger
        self._pids = []
        self._hold, self._held = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._held)
        os.close(self._hold)
        for pid in self._pids:
            assert os.waitpid(pid, 0)[1] == 0

    def fork(self) -> dict[int, str]:
        """One more: its descriptors and what they are, but for those that it talks to us by."""
        source, sink = os.pipe()
        own = {os.readlink(f"/proc/self/fd/{number}") for number in (sink, self._hold)}
        self._pids.append(self._stranger(sink, self._hold, self._held))
        os.close(sink)
        with os.fdopen(source) as told:
            listed = [line.rstrip("\n").split(maxsplit=1) for line in told]
        return {int(number): target for number, target in listed if target not in own}


@pytest.fixture(params=[(0, None), (600, None), (600, "launcher")], ids=["few", "crowded", "launcher"])
def via(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Above 256 descriptors or so, launches share the descriptor table for a moment, and keep numbers for it."""
    crowd, via = request.param
    descriptors = [os.dup(0) for _ in range(crowd)]
    yield via
    for descriptor in descriptors:
        os.close(descriptor)


async def _cat(via: str | None = None) -> Any:
    return await asyncio.get_running_loop().subprocess_exec(Recorder, "cat", stderr=None, via=via)


async def _assert_alive(transport: Any, protocol: Recorder) -> None:
    """The child reads its input; its output, its end of file and its exit are reported."""
    transport.get_pipe_transport(0).write(b"text")
    transport.get_pipe_transport(0).write_eof()
    await protocol.lost
    transport.close()
    assert transport.get_returncode() == 0
    assert protocol.output == {1: b"text"}
    assert sorted(protocol.calls) == [("data", 1), ("exited",), ("lost",), ("made",), ("pipe lost", 0), ("pipe lost", 1)]


async def _launch_and_check() -> None:
    process = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    assert await process.communicate(b"text") == (b"text", None)
    assert process.returncode == 0
    with pytest.raises(FileNotFoundError):
        await aiospawn.create_subprocess_exec("/nonexistent")


def _run_a_loop_of_the_same_kind(kind: Any) -> None:
    with asyncio.Runner(loop_factory=kind) as runner:
        runner.run(_launch_and_check())


# ---- what the fork holds ----------------------------------------------------------------------------------------------


def _ours(before: dict[int, str]) -> dict[int, str]:
    """What three children and the running loop's reactor hold."""
    epoll = asyncio.get_running_loop()._aiospawn_reactor.native.epoll
    after = fresh.descriptors()
    ours = {number: after[number] for number in after.keys() - before.keys() | {epoll}}
    assert len(ours) == 3 * 3 + 1
    return ours


def _assert_holds_none(held: dict[int, str], ours: dict[int, str], files: list[Any]) -> None:
    """`held` has none of `ours`; the numbers of `files`, whose owners will close them, are the null device."""
    assert {number: held[number] for number in ours.keys() & held.keys()} == {file.fileno(): os.devnull for file in files}
    # Pipes have names of their own; all pidfds and all epoll descriptors are called the same.
    assert [target for target in held.values() if target in ours.values() and target.startswith("pipe:")] == []


async def test_a_stranger_holds_nothing_of_ours(stranger: Any, via: str | None) -> None:
    """A fork by a C library keeps no pipe, pidfd or epoll descriptor of ours; files asked for lead nowhere there."""
    await _assert_alive(*await _cat(via))  # what the first launch reserves for all is there now
    before = fresh.descriptors()
    pairs = [await _cat(via) for _ in range(3)]
    files = [pairs[0][0].get_pipe_transport(fd).get_extra_info("pipe") for fd in (0, 1)]
    ours = _ours(before)
    with Strangers(stranger) as strangers:
        _assert_holds_none(strangers.fork(), ours, files)
        for pair in pairs:
            await _assert_alive(*pair)  # an end of file included, though the fork lives


async def test_a_python_fork_holds_nothing_of_ours(via: str | None) -> None:
    """The same after os.fork."""
    await _assert_alive(*await _cat(via))  # what the first launch reserves for all is there now
    before = fresh.descriptors()
    pairs = [await _cat(via) for _ in range(3)]
    files = [pairs[0][0].get_pipe_transport(1).get_extra_info("pipe")]
    ours = _ours(before)
    fresh.in_fork(lambda: _assert_holds_none(fresh.descriptors(), ours, files))
    for pair in pairs:
        await _assert_alive(*pair)


async def test_forks_while_launches_are_in_flight(stranger: Any, via: str | None) -> None:
    """However a fork falls into a launch, it holds nothing back: every child's output, end and exit arrive."""
    before = fresh.descriptors()
    stop, held = threading.Event(), []

    def fork_on() -> None:
        while not stop.is_set() and len(held) < 100:
            held.append(strangers.fork())

    with Strangers(stranger) as strangers:
        forking = threading.Thread(target=fork_on)
        forking.start()
        try:
            rounds = 0
            while rounds < 20 or not held:
                rounds += 1
                pairs = await asyncio.gather(*(_cat(via) for _ in range(10)))
                await asyncio.gather(*(_assert_alive(*pair) for pair in pairs))
        finally:
            stop.set()
            forking.join()
    assert held
    # By number: libuv replaces its own descriptors in a fork, and the reactor's numbers are not among those of before.
    found = [target for listing in held for number, target in listing.items() if number not in before]
    assert [target for target in found if not target.startswith(fresh.RESERVED)] == []


async def test_a_fork_between_clone_and_program(via: str | None) -> None:
    """A fork while launches wait for their programs changes nothing for them."""
    creations = [asyncio.create_task(_cat(via)) for _ in range(5)]
    await asyncio.sleep(0)  # every child is cloned
    fresh.in_fork(lambda: None)
    for pair in await asyncio.gather(*creations):
        await _assert_alive(*pair)


# ---- what the fork does -----------------------------------------------------------------------------------------------


async def test_closing_everything_in_a_fork() -> None:
    """Transports, pipes, files and views are dead there: whatever is called, the parent's child notices nothing."""
    transport, protocol = await _cat()
    file = transport.get_pipe_transport(1).get_extra_info("pipe")
    view = transport.get_extra_info("subprocess")

    def body() -> None:
        for call in transport.kill, transport.terminate, view.kill:
            with pytest.raises(ProcessLookupError):
                call()
        assert transport.get_returncode() is None
        assert transport.pidfd is None
        for fd in (0, 1):
            pipe = transport.get_pipe_transport(fd)
            (pipe.abort if fd == 0 else pipe.close)()
        transport.get_pipe_transport(0).write(b"from the fork")
        file.close()
        transport.close()
        view.poll()

    fresh.in_fork(body)
    await _assert_alive(transport, protocol)


async def test_reading_on_in_a_fork() -> None:
    """Pausing and resuming there does not take the parent's pipe out of the parent's set."""
    transport, protocol = await _cat()

    def body() -> None:
        pipe = transport.get_pipe_transport(1)
        pipe.pause_reading()
        pipe.resume_reading()
        pipe.pause_reading()

    fresh.in_fork(body)
    await _assert_alive(transport, protocol)


async def test_files_are_closed_harmlessly_in_a_fork() -> None:
    """A file asked for before the fork is closed there, while the same number is the parent's pipe still."""
    transport, protocol = await _cat()
    files = [transport.get_pipe_transport(fd).get_extra_info("pipe") for fd in (0, 1)]

    def body() -> None:
        assert files[1].read(10) == b""
        for file in files:
            file.close()
        assert [file.closed for file in files] == [True, True]

    fresh.in_fork(body)
    await _assert_alive(transport, protocol)


def test_a_loop_is_closed_in_a_fork() -> None:
    """Closing the loop there, and collecting it, leaves the parent's children and the parent's loop as they are."""
    loop = aiospawn.new_event_loop()
    pair = loop.run_until_complete(_cat())
    held = [loop]

    def body() -> None:
        held.pop().close()
        gc.collect()

    fresh.in_fork(body)
    loop.run_until_complete(_assert_alive(*pair))
    loop.close()


async def test_a_loop_of_its_own_works_in_a_fork(via: str | None) -> None:
    """A loop that is started in the fork launches, also in a fork of the fork, beside the parent's children."""
    pair = await _cat(via)
    kind = type(asyncio.get_running_loop())

    def body() -> None:
        _run_a_loop_of_the_same_kind(kind)
        fresh.in_fork(lambda: _run_a_loop_of_the_same_kind(kind))

    fresh.in_fork(body)
    await _assert_alive(*pair)


async def test_multiprocessing() -> None:
    """A process of multiprocessing's fork context launches; the parent's children go on."""
    pair = await _cat()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_run_a_loop_of_the_same_kind, args=(type(asyncio.get_running_loop()),))
    process.start()
    await asyncio.get_running_loop().run_in_executor(None, process.join)
    assert process.exitcode == 0
    process.close()
    await _assert_alive(*pair)
