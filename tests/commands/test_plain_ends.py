"""A child without a capture is dropped at its end: what it held is given back while the loop runs, whatever end it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal
import time
from typing import TYPE_CHECKING, Any

import fresh
import pytest

import aiospawn
from aiospawn._asyncio.reactor import Reactor

if TYPE_CHECKING:
    from aiospawn._commands.plain_child import PlainChild

pytestmark = pytest.mark.skipif(not aiospawn.supported(), reason="no native part")

_HELD = ["sh", "-c", "sleep 1000 & echo $!"]
_ENDS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "exit": (["true"], {}),
    "output": (["echo", "text"], {"capture_output": True}),
    "signal": (["sh", "-c", "kill -9 $$"], {"capture_output": True}),
    "closes its output and lives on": (["sh", "-c", "exec >&- 2>&-; sleep 0.05"], {"capture_output": True}),
    "no such program": (["/nonexistent"], {}),
    "no such program, with pipes": (["/nonexistent"], {"capture_output": True}),
    "no program": (["/dev/null"], {"capture_output": True}),
    "path": ([pathlib.Path("/bin/echo"), "text"], {"capture_output": True}),
    "a descendant has a pipe": (_HELD, {"stdout": -1, "pipe_grace": 0.05}),
}


@pytest.mark.parametrize("end", _ENDS)
@pytest.mark.parametrize("by_map", [False, True], ids=["run", "map"])
@pytest.mark.loops("kinds")
async def test_nothing_is_left(end: str, *, by_map: bool) -> None:
    """No descriptor and no child, behind each of several."""
    command, options = _ENDS[end]
    holder = await aiospawn.create_subprocess_exec("sleep", "1000")  # the reactor stays open
    before, children = fresh.descriptors(), fresh.children()
    for _ in range(3):
        pids = []
        if by_map:
            async with aiospawn.map([command] * 3, concurrency=2, **options) as results:
                pids = [result.stdout async for result in results]
        else:
            with contextlib.suppress(OSError):
                pids = [(await aiospawn.run(command, **options)).stdout]
        for pid in pids if command is _HELD else ():
            os.kill(int(pid), signal.SIGKILL)
        assert fresh.descriptors() == before
        assert fresh.children() == children
    holder.kill()
    await holder.wait()


def _await_end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            time.sleep(0.01)


def _await_text(path: pathlib.Path) -> str:
    while not path.exists() or not path.read_text().endswith("\n"):
        time.sleep(0.01)
    return path.read_text()


@pytest.mark.parametrize("by_map", [False, True], ids=["run", "map"])
@pytest.mark.loops("kinds")
async def test_a_group_behind_its_leader(tmp_path: pathlib.Path, *, by_map: bool) -> None:
    """What has taken the child's place kills what is left of its group, behind the child's end."""
    command = ["sh", "-c", '(trap "" TERM; echo ready >"$1"; exec sleep 1000) & echo $! >"$0"; wait']
    command += [str(tmp_path / "pid"), str(tmp_path / "ready")]

    async def mapped() -> None:
        async for _ in aiospawn.map([command], grace=0.05):
            pass

    task = asyncio.ensure_future(mapped() if by_map else aiospawn.run(command, grace=0.05))
    await asyncio.to_thread(_await_text, tmp_path / "ready")
    pid = int(await asyncio.to_thread(_await_text, tmp_path / "pid"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(_await_end, pid)


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.loops("kinds")
async def test_kept(monkeypatch: pytest.MonkeyPatch, *, keeps: bool) -> None:
    """A child that is kept is there behind its end until it is released; another is unknown."""
    begun: list[PlainChild] = []
    original = Reactor.launch_plain

    def launch_plain(self: Reactor, joined: Any, arguments: Any, child: PlainChild) -> None:
        original(self, joined, arguments, child)
        if keeps:
            self.native.keep(child.token)
        begun.append(child)

    holder = await aiospawn.create_subprocess_exec("sleep", "1000")  # the reactor stays open
    monkeypatch.setattr(Reactor, "launch_plain", launch_plain)
    await aiospawn.run(["true"])
    (child,) = begun
    native = child._reactor.native
    if keeps:
        assert native.peek(child.token) == 0
        native.release(child.token)
    with pytest.raises(ProcessLookupError):
        native.peek(child.token)
    holder.kill()
    await holder.wait()


_STATUS_LOST = """
import asyncio, logging, signal
import aiospawn, fresh

async def main():
    holder = await aiospawn.create_subprocess_exec("sleep", "1000")
    before = len(fresh.descriptors())
    for _ in range(3):
        try:
            await aiospawn.run(["/nonexistent"], capture_output=True)
        except FileNotFoundError:
            print("not found")
    async for result in aiospawn.map([["/nonexistent"]] * 3, capture_output=True):
        print(type(result.error).__name__)
    print(len(fresh.descriptors()) - before)
    holder.kill()
    await holder.wait()

logging.disable()  # that the holder's status is lost
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.loops("kinds")
def test_a_failure_whose_status_is_lost(variant: str) -> None:
    """The kernel reaps the children of a process that ignores SIGCHLD; before Linux 6.15 nothing has the status then."""
    found = fresh.run(_STATUS_LOST, variant, AIOSPAWN_WITHOUT="pidfd_info")
    assert found == "not found\n" * 3 + "FileNotFoundError\n" * 3 + "0\n"
