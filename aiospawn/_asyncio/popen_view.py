"""What `transport.get_extra_info("subprocess")` gives: the child as a subprocess.Popen, which did not start it."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from aiospawn._binding.native import Native

__all__ = ["ProcessView"]


class _Viewed(Protocol):
    native: Native
    token: int

    def get_pid(self) -> int | None: ...
    def get_returncode(self) -> int | None: ...
    def get_pipe_transport(self, fd: int) -> Any: ...
    def send_signal(self, signal: int) -> None: ...


class ProcessView(subprocess.Popen[bytes]):
    """A Popen that never ran `Popen.__init__`: programs ask `isinstance`.

    It has a return code of its own and looks at the child without reaping it, so its `wait()` works while the loop has
    not seen the exit yet, and takes nothing away from it. The pipes are the transport's, non-blocking.
    """

    def __init__(self, transport: _Viewed, args: Any) -> None:
        # Popen.__init__ would start a process.
        self._transport = transport
        self._child_created = False  # for Popen.__del__
        self._communication_started = False
        self._input = None
        self._waitpid_lock = threading.Lock()
        self._sigint_wait_secs = 0.25
        self._closed_child_pipe_fds = True
        self._devnull = None
        self.encoding = self.errors = self.text_mode = None
        self.pipesize = -1
        self.args = args
        self.pid = transport.get_pid() or 0
        self._returncode: int | None = None

    @property
    def returncode(self) -> int | None:
        if self._returncode is None:
            self._returncode = self._transport.get_returncode()
        return self._returncode

    @returncode.setter
    def returncode(self, value: int | None) -> None:
        self._returncode = value

    def _pipe(self, stream: int) -> Any:
        transport = self._transport.get_pipe_transport(stream)
        return None if transport is None else transport.get_extra_info("pipe")

    @property
    def stdin(self) -> Any:  # type: ignore[override]
        return self._pipe(0)

    @property
    def stdout(self) -> Any:  # type: ignore[override]
        return self._pipe(1)

    @property
    def stderr(self) -> Any:  # type: ignore[override]
        return self._pipe(2)

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                self._returncode = self._transport.native.peek(self._transport.token)
            except OSError:  # reaped between the two looks; or the parent's child, in a fork
                self._returncode = self._transport.get_returncode()
        return self._returncode

    def wait(self, timeout: float | None = None) -> int:
        """Blocks until the child has exited. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (returncode := self.poll()) is None:
            try:
                pidfd = self._transport.native.dup_pidfd(self._transport.token)
            except ProcessLookupError:  # being reaped in this moment; the return code follows
                time.sleep(0)
                continue
            try:
                _wait_readable(pidfd, deadline)
            finally:
                os.close(pidfd)
            if self.poll() is None and deadline is not None and time.monotonic() >= deadline:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
        return returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            self._transport.send_signal(sig)


def _wait_readable(pidfd: int, deadline: float | None) -> None:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    poller.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000)
