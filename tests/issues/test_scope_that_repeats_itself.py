"""anyio delivers a cancellation again and again until the scope is left: that took the grace from every child at once."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import anyio
import fresh
import pytest
from timeouts import delayed_until

import aiospawn

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

GRACE = 1000.0
# Says in a file where it is, cleans up for a while when it is asked to end, and says so.
_CLEANS = 'trap "echo told >>{0}; sleep 0.2; echo clean >>{0}; exit 3" TERM; echo ready >>{0}; while :; do sleep 0.05; done'
_DEAF = 'trap "echo told >>{0}" TERM; echo ready >>{0}; while :; do sleep 0.05; done'


class Child:
    """A script, and what it has said."""

    def __init__(self, path: pathlib.Path, script: str) -> None:
        self._path = path
        self.script = script.format(path)
        self.argv = ["sh", "-c", self.script]
        self._executed = 0

    def on_event(self, event: object) -> None:
        self._executed += isinstance(event, aiospawn.Executed)

    async def is_ready(self, launches: int = 1) -> None:
        """A launch that is cancelled kills the child, which nobody holds yet, though it may run already."""
        await self.has_said("ready")
        while self._executed < launches:  # noqa: ASYNC110 - an event has no addressee
            await asyncio.sleep(0.01)

    def said(self) -> list[str]:
        return self._path.read_text().split() if self._path.exists() else []

    async def has_said(self, word: str) -> None:
        """The test's own time limit ends it."""
        while word not in self.said():  # noqa: ASYNC110 - nothing reports it
            await asyncio.sleep(0.01)


@pytest.fixture
def child(tmp_path: pathlib.Path) -> Child:
    return Child(tmp_path / "said", _CLEANS)


@pytest.fixture
def deaf(tmp_path: pathlib.Path) -> Child:
    return Child(tmp_path / "said", _DEAF)


# ---- what is cancelled ------------------------------------------------------------------------------------------------


async def _run(child: Child) -> None:
    await aiospawn.run(child.argv, grace=GRACE, on_event=child.on_event)


async def _to_files(child: Child) -> None:
    await aiospawn.run(child.argv, grace=GRACE, on_event=child.on_event, capture_output="file")


async def _system(child: Child) -> None:
    await aiospawn.system(child.script, grace=GRACE, on_event=child.on_event)


async def _pipeline(child: Child) -> None:
    await aiospawn.pipeline(["sleep", "1000"], child.argv, ["cat"], grace=GRACE, on_event=child.on_event)


async def _map(child: Child) -> None:
    async for _ in aiospawn.map([child.argv], grace=GRACE, on_event=child.on_event):
        pass


async def _map_block(child: Child) -> None:
    async with aiospawn.map([child.argv], grace=GRACE, on_event=child.on_event) as results:
        await anext(results)


async def _lines(child: Child) -> None:
    async for _ in aiospawn.lines(child.argv, grace=GRACE, on_event=child.on_event):
        pass


async def _lines_at_the_yield(child: Child) -> None:
    async with contextlib.aclosing(
        aiospawn.lines([*child.argv[:2], f"echo; {child.script}"], grace=GRACE, on_event=child.on_event)
    ) as lines:
        async for _ in lines:
            await asyncio.Event().wait()


async def _group(child: Child) -> None:
    async with aiospawn.ProcessGroup(grace=GRACE, on_event=child.on_event) as group:
        await group.spawn("sleep", "1000")
        await group.spawn(*child.argv)


async def _group_block(child: Child) -> None:
    async with aiospawn.ProcessGroup(grace=GRACE, on_event=child.on_event) as group:
        await group.spawn(*child.argv)
        await asyncio.Event().wait()


async def _block(child: Child) -> None:
    async with await aiospawn.create_subprocess_exec(*child.argv, process_group=0) as process:
        child.on_event(aiospawn.Executed(0, process.pid, 0.0))
        await process.wait()


async def _stop(child: Child) -> None:
    process = await aiospawn.create_subprocess_exec(*child.argv, process_group=0)
    child.on_event(aiospawn.Executed(0, process.pid, 0.0))
    try:
        await process.wait()
    finally:
        await process.stop(GRACE)


async def _popen(child: Child) -> None:
    async with await aiospawn.popen(child.script, on_event=child.on_event) as pipe:
        await pipe.read()


ALL = (
    *(_run, _to_files, _system, _pipeline, _map, _map_block, _lines, _lines_at_the_yield),
    *(_group, _group_block, _block, _stop, _popen),
)

_LAUNCHES = {_pipeline: 3, _group: 2}


# ---- what cancels it --------------------------------------------------------------------------------------------------


async def _scope(work: Any, ready: Any) -> None:
    async with anyio.create_task_group() as others:
        with anyio.CancelScope() as scope:
            others.start_soon(_once, ready, scope.cancel)
            await work()
        assert scope.cancelled_caught


async def _move_on_after(work: Any, ready: Any) -> None:
    async with anyio.create_task_group() as others:
        with anyio.move_on_after(GRACE) as scope:
            others.start_soon(_once, ready, lambda: setattr(scope, "deadline", anyio.current_time()))
            await work()
        assert scope.cancelled_caught


async def _fail_after(work: Any, ready: Any) -> None:
    async with anyio.create_task_group() as others:
        with pytest.raises(TimeoutError):  # noqa: PT012
            with anyio.fail_after(GRACE) as scope:
                others.start_soon(_once, ready, lambda: setattr(scope, "deadline", -math.inf))
                await work()


async def _outer_scope(work: Any, ready: Any) -> None:
    async with anyio.create_task_group() as others:
        with anyio.CancelScope() as outer, anyio.CancelScope():
            others.start_soon(_once, ready, outer.cancel)
            await work()
        assert outer.cancelled_caught


async def _both_scopes(work: Any, ready: Any) -> None:
    async with anyio.create_task_group() as others:
        with anyio.CancelScope() as outer, anyio.CancelScope() as inner:
            others.start_soon(_once, ready, lambda: (inner.cancel(), outer.cancel()))
            await work()


async def _shielded_scope(work: Any, ready: Any) -> None:
    async with anyio.create_task_group() as others:
        with anyio.CancelScope(shield=True) as scope:
            others.start_soon(_once, ready, scope.cancel)
            await work()
        assert scope.cancelled_caught


async def _task_group(work: Any, ready: Any) -> None:
    """Both are tasks of the group; a group in between passes the cancellation on as one of its own."""

    async def nested() -> None:
        async with anyio.create_task_group() as inner:
            inner.start_soon(work)

    async with anyio.create_task_group() as group:
        group.start_soon(nested)
        await ready()
        group.cancel_scope.cancel()


async def _failing_task(work: Any, ready: Any) -> None:
    async def fail() -> None:
        await ready()
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await work()
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]


async def _within_a_timeout(work: Any, ready: Any) -> None:
    async with anyio.create_task_group() as others:
        with anyio.CancelScope() as scope:
            async with asyncio.timeout(GRACE):
                others.start_soon(_once, ready, scope.cancel)
                await work()


async def _around_a_timeout(work: Any, ready: Any) -> None:
    async with anyio.create_task_group() as others:
        with contextlib.suppress(TimeoutError), anyio.move_on_after(GRACE):
            async with asyncio.timeout(None) as timeout:
                others.start_soon(_once, ready, lambda: timeout.reschedule(0))
                await work()


async def _timeout(work: Any, ready: Any) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as timeout, asyncio.TaskGroup() as others:
            others.create_task(_once(ready, lambda: timeout.reschedule(0)))
            await work()


async def _asyncio_task_group(work: Any, ready: Any) -> None:
    async def fail() -> None:
        await ready()
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):  # noqa: PT012
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(work())


async def _once(ready: Any, act: Callable[[], object]) -> None:
    await ready()
    act()


LEVEL = (
    *(_scope, _move_on_after, _fail_after, _outer_scope, _both_scopes, _shielded_scope, _task_group, _failing_task),
    _within_a_timeout,
)
EDGE = (_around_a_timeout, _timeout, _asyncio_task_group)


@pytest.mark.parametrize("work", ALL)
async def test_grace(work: Any, child: Child) -> None:
    """Whatever launched it, the child has its time to end, and the loop rests meanwhile: anyio does not go on."""
    cancellations = []

    async def counted() -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await work(child)
        finally:
            cancellations.append(task.cancelling())

    await _task_group(counted, lambda: child.is_ready(_LAUNCHES.get(work, 1)))
    assert child.said() == ["ready", "told", "clean"]
    assert cancellations[0] < 10


@pytest.mark.parametrize("cancelling", [*LEVEL, *EDGE])
@pytest.mark.parametrize("work", [_run, _group])
async def test_whatever_cancels(cancelling: Any, work: Any, child: Child) -> None:
    """The same scope again, the scopes around it, and the groups within it, are one cancellation."""
    await cancelling(lambda: work(child), lambda: child.is_ready(_LAUNCHES.get(work, 1)))
    assert child.said() == ["ready", "told", "clean"]


# ---- a second cancellation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", ALL)
async def test_second_cancellation(work: Any, deaf: Child) -> None:
    """A `Task.cancel()` within a cancelled scope is one more, and kills at once."""

    async def scoped() -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await work(deaf)

    scopes: list[anyio.CancelScope] = []
    task = asyncio.create_task(scoped())
    await deaf.is_ready(_LAUNCHES.get(work, 1))
    scopes[0].cancel()
    await deaf.has_said("told")
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def test_scope_during_a_stop(deaf: Child) -> None:
    """A stop that no cancellation began is cut short by a scope: a shielded one around it bounds a cleanup."""
    process = await aiospawn.create_subprocess_exec(*deaf.argv, process_group=0)
    await deaf.has_said("ready")
    with anyio.CancelScope() as outer:
        outer.cancel()
        try:
            await process.wait()
        finally:
            async with anyio.create_task_group() as others:
                with anyio.CancelScope(shield=True) as scope:
                    others.cancel_scope.shield = True
                    others.start_soon(_once, lambda: deaf.has_said("told"), scope.cancel)
                    await process.stop(GRACE)
    assert process.returncode == -signal.SIGKILL


async def test_scope_during_a_timeout(deaf: Child) -> None:
    """The same for a time-out of `run`'s."""
    async with anyio.create_task_group() as others:
        with anyio.CancelScope() as scope:
            others.start_soon(_once, lambda: deaf.has_said("told"), scope.cancel)
            with delayed_until(lambda _: "ready" in deaf.said()):
                await aiospawn.run(deaf.argv, timeout=0.01, grace=GRACE)
    assert scope.cancelled_caught


_INTERRUPTED = """
import sys, anyio, asyncio, aiospawn, fresh
async def main():
    async with anyio.create_task_group() as group:
        group.start_soon(work)
async def work():
    await aiospawn.run(sys.argv[1:], grace=1000)
    print("not reached")
try:
    anyio.run(main, backend_options={"loop_factory": fresh.new_event_loop})
except KeyboardInterrupt:
    print("interrupted")
"""


@contextlib.contextmanager
def _interrupted(variant: str, child: Child) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        fresh.command(_INTERRUPTED, *child.argv),
        env=fresh.environment(variant),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            yield program
        finally:
            program.kill()


def _wait_for(child: Child, word: str) -> None:
    while word not in child.said():
        time.sleep(0.01)


def test_one_interrupt(variant: str, child: Child) -> None:
    """Ctrl-C cancels the main task, which cancels its group, whose child has its time."""
    with _interrupted(variant, child) as program:
        _wait_for(child, "ready")
        program.send_signal(signal.SIGINT)
        assert program.communicate()[0] == "interrupted\n"
    assert child.said() == ["ready", "told", "clean"]


def test_two_interrupts(variant: str, deaf: Child) -> None:
    """The second one does not wait."""
    with _interrupted(variant, deaf) as program:
        _wait_for(deaf, "ready")
        program.send_signal(signal.SIGINT)
        _wait_for(deaf, "told")
        program.send_signal(signal.SIGINT)
        assert program.communicate()[0] == "interrupted\n"
