"""What one launch takes, counted instead of timed: neither a slow nor a busy machine changes that.

Calls are counted where the moments at which a child starts and ends are fixed: the loop looks for events when the child is
where the scenario has it, so every launch brings the same events in the same wake-ups. System calls and instructions are
counted by strace and valgrind, as the difference between a short and a long run.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING, Any

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import FrameType

    from ._spec import Spec

__all__ = ["calls", "repeated"]

_OWN = __file__
_ANY_CHILD = 0x40000000  # __WALL
_AT_A_TIME = 8  # of a map
_REPEATED = 40  # what strace and valgrind count: this many, and three times as many


def _aiospawn(name: str) -> Any:
    return vars(aiospawn)[name]


class _Held(selectors.EpollSelector):
    """A selector that waits, before it looks, until the children are where they are to be."""

    held: Callable[[], None] = staticmethod(lambda: None)

    def select(self, timeout: float | None = None) -> Any:
        self.held()
        return super().select(timeout)


def _until_ended() -> None:
    """Waits until every child has ended; none is reaped."""
    # Nothing that would call a Python function, which would be counted.
    children = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY)
    for pid in os.read(children, 1 << 16).split():
        try:  # noqa: SIM105 - contextlib's is one
            os.waitid(os.P_PID, int(pid), os.WEXITED | os.WNOWAIT | _ANY_CHILD)
        except ChildProcessError:  # a thread of asyncio's has reaped it
            pass
    os.close(children)


# ---- what is counted --------------------------------------------------------------------------------------------------


class _Scenario:
    """`total` launches of one kind. `let_end` is called where the child has started and may end."""

    def __init__(self, selector: _Held | None, fifo: str) -> None:
        self._selector = selector
        self._fifo = fifo
        self._program = ["true"] if selector is None else ["cat", fifo]

    def _let_end(self) -> None:
        def end() -> None:
            os.close(os.open(self._fifo, os.O_WRONLY))  # comes back when the child reads it
            _until_ended()
            assert self._selector is not None
            self._selector.held = _nothing

        if self._selector is not None:
            self._selector.held = end

    def _hold(self) -> None:
        if self._selector is not None:
            self._selector.held = _until_ended

    async def create(self, total: int) -> None:
        for _ in range(total):
            process = await asyncio.create_subprocess_exec(*self._program)
            self._let_end()
            await process.wait()

    async def read(self, total: int) -> None:
        for _ in range(total):
            process = await asyncio.create_subprocess_exec(*self._program, stdout=PIPE)
            assert process.stdout is not None
            self._let_end()
            await process.stdout.read()
            await process.wait()

    async def communicate(self, total: int) -> None:
        ours = hasattr(asyncio.get_running_loop(), "_aiospawn_reactor")
        create = _aiospawn("create_subprocess_exec") if ours else asyncio.create_subprocess_exec
        for _ in range(total):
            process = await create(*self._program, stdout=PIPE)
            self._let_end()
            await process.communicate()

    async def run(self, total: int) -> None:
        self._hold()
        for _ in range(total):
            await _aiospawn("run")(["true"], stdout=PIPE)

    async def map(self, total: int) -> None:
        self._hold()
        async with _aiospawn("map")([["true"]] * total, concurrency=_AT_A_TIME, stdout=PIPE) as results:
            async for _ in results:
                pass


def _nothing() -> None:
    pass


def calls(spec: Spec) -> dict[str, Any]:
    """Python calls, calls of C functions and callbacks of the loop for each of `total` launches, and what tools count."""
    counter = _Counter()
    selector = _Held()
    loop_class = _aiospawn("EventLoop") if spec.loop == "aiospawn" else asyncio.SelectorEventLoop
    with tempfile.TemporaryDirectory() as directory:
        os.mkfifo(fifo := os.path.join(directory, "fifo"))
        launched = getattr(_Scenario(selector, fifo), spec.way)

        async def counted(launched: Callable[[int], Coroutine[Any, Any, None]]) -> None:
            await launched(2 * _AT_A_TIME)  # what is done once
            with counter:
                await launched(spec.total)

        with asyncio.Runner(loop_factory=lambda: loop_class(selector)) as runner:
            runner.run(counted(launched))
            selector.held = _nothing
    found = {name: count / spec.total for name, count in counter.found().items()}
    tools = _TOOLS if spec.tools else {}
    return found | {name: count for name, tool in tools.items() if (count := tool(spec)) is not None}


class _Counter:
    """Counts what is called in this thread, but for what this module does itself."""

    def __init__(self) -> None:
        self._python = self._c = self._callbacks = 0
        self._callback = vars(asyncio.Handle)["_run"].__code__

    def __enter__(self) -> None:
        sys.setprofile(self._called)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if code.co_filename == _OWN:
            return
        if event == "c_call":
            self._c += 1
        elif event == "call":
            self._python += 1
            self._callbacks += code is self._callback

    def found(self) -> dict[str, int]:
        return {"python_calls": self._python, "c_calls": self._c, "callbacks": self._callbacks}


# ---- counted by tools -------------------------------------------------------------------------------------------------


async def repeated(spec: Spec) -> dict[str, Any]:
    """`total` launches, for a tool that counts from outside."""
    await getattr(_Scenario(None, ""), spec.way)(spec.total)
    return {}


def _system_calls(spec: Spec) -> float | None:
    """Of the loop's thread."""
    with tempfile.NamedTemporaryFile("r") as summary:
        command = ["strace", "-c", "-U", "calls,name", "-o", summary.name]

        def made(total: int) -> int | None:
            if not _run(command, spec, total):
                return None
            summary.seek(0)
            return _number(r"(\d+) total", summary.read())

        return _difference(made)


def _instructions(spec: Spec) -> float | None:
    """Of the process, in which launches wait for their `execve`."""

    def made(total: int) -> int | None:
        report = _run(["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"], spec, total)
        return _number(r"I +refs: +([\d,]+)", report)

    return _difference(made)


_TOOLS = {"system_calls": _system_calls, "instructions": _instructions}


def _number(pattern: str, text: str) -> int | None:
    found = re.findall(pattern, text)  # the last is the process's own, others are children's
    return int(found[-1].replace(",", "")) if found else None


def _difference(made: Callable[[int], int | None]) -> float | None:
    few, many = made(_REPEATED), made(3 * _REPEATED)
    return None if few is None or many is None else (many - few) / (2 * _REPEATED)


def _run(tool: list[str], spec: Spec, total: int) -> str:
    """What it printed; empty where the tool is not there or may not do it."""
    if shutil.which(tool[0]) is None:
        return ""
    fields = spec._asdict() | {"kind": "repeated", "total": total}
    command = [*tool, sys.executable, "-P", "-m", __package__, json.dumps(fields)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode else f"{done.stderr} "
