"""The user of this process's terminal in front of another one: what is typed goes there, its output comes here."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any

with contextlib.suppress(ImportError):  # not on Windows
    import termios
    import tty

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from aiospawn._asyncio.process import Process

__all__ = ["interact"]

_BLOCK = 64 * 1024


async def interact(process: Process, unread: bytes, escape: str | None, input_filter: Any, output_filter: Any) -> None:
    """Until the output ends, or the escape character is typed. `unread` is shown first."""
    with _RawTerminal(process):
        _write(1, unread)
        typing = asyncio.ensure_future(_typed(process, None if escape is None else os.fsencode(escape), input_filter))
        showing = asyncio.ensure_future(_shown(process, output_filter))
        try:
            await asyncio.wait([typing, showing], return_when=asyncio.FIRST_COMPLETED)
            if typing.done() and not typing.result():
                await asyncio.wait([showing])
            if showing.done():
                showing.result()
        finally:
            for task in (typing, showing):
                task.cancel()
            await asyncio.gather(typing, showing, return_exceptions=True)


async def _typed(process: Process, escape: bytes | None, change: Callable[[bytes], bytes] | None) -> bool:
    """True when the escape character was typed, False at the end of the input."""
    stdin = process.stdin
    assert stdin is not None
    while data := await _input():
        if change is not None:
            data = change(data)
        before, found, _ = data.partition(escape) if escape else (data, b"", b"")
        stdin.write(before)
        with contextlib.suppress(ConnectionError):
            await stdin.drain()
        if found:
            return True
    stdin.close()
    return False


async def _shown(process: Process, change: Callable[[bytes], bytes] | None) -> None:
    stdout = process.stdout
    assert stdout is not None
    while data := await stdout.read(_BLOCK):
        _write(1, data if change is None else change(data))


def _write(descriptor: int, data: bytes) -> None:
    """All of it, also where somebody has made the terminal's file non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except OSError as error:
            if error.errno != errno.EIO:  # the terminal was hung up: nobody sees it
                raise
            return


async def _input() -> bytes:
    """What comes next on standard input; empty at its end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(0, ready.set)
    except PermissionError:  # epoll has no regular files: they are always ready
        await asyncio.sleep(0)
        return os.read(0, _BLOCK)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(0)
    try:
        return os.read(0, _BLOCK)
    except OSError as error:
        if error.errno != errno.EIO:  # the terminal was hung up
            raise
        return b""


class _RawTerminal:
    """Standard input, where it is a terminal: every key is the program's, and so is the size. A context manager."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._before: list[Any] | None = None
        self._handled: list[int] = []

    def __enter__(self) -> Self:
        if os.isatty(0):
            self._before = termios.tcgetattr(0)
            self._make_raw()
        if os.isatty(0) or os.isatty(1):
            self._follow_size()
            if threading.current_thread() is threading.main_thread():
                for number, handler in ((signal.SIGWINCH, self._follow_size), (signal.SIGCONT, self._continued)):
                    self._loop.add_signal_handler(number, handler)
                    self._handled.append(number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in self._handled:
            self._loop.remove_signal_handler(number)
        if self._before is not None:
            with contextlib.suppress(termios.error):  # the terminal was hung up
                termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def _make_raw(self) -> None:
        while True:
            try:
                tty.setraw(0, termios.TCSANOW)
            except termios.error as error:
                if error.args[0] != errno.EINTR:  # this process was stopped in the background, and is continued
                    raise
            else:
                return

    def _continued(self) -> None:
        """A shell, which stopped this process, has set the terminal's mode for itself, and the size may be another."""
        if self._before is not None:
            with contextlib.suppress(termios.error):
                self._make_raw()
        self._follow_size()

    def _follow_size(self) -> None:
        for descriptor in (0, 1):
            with contextlib.suppress(OSError, ValueError):
                columns, rows = os.get_terminal_size(descriptor)
                self._process.resize(rows, columns)
                return
