"""asyncio.SubprocessTransport: what protocols and programs have of a child."""

from __future__ import annotations

import contextlib
import signal
import warnings
from typing import TYPE_CHECKING, Any

from aiospawn._binding import library
from aiospawn._binding.indivisible import made_again
from aiospawn._termination.tree import NativeTree

from .child import Child
from .lifecycle import State
from .popen_view import ProcessView
from .standing import logger
from .unread_output import make_streams

if TYPE_CHECKING:
    import asyncio
    import resource

    from aiospawn._request.tree_cgroup import CgroupPeak

__all__ = ["SubprocessTransport"]


class SubprocessTransport(Child):
    """asyncio's, and `Popen`'s where programs expect it."""

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._closed:
            info.append("closed")
        if self._pid is not None:
            info.append(f"pid={self._pid}")
        if self._returncode is not None:
            info.append(f"returncode={self._returncode}")
        elif self._pid is not None:
            info.append("running")
        else:
            info.append("not started")
        pipes = {fd: "unread" for fd in (1, 2) if self.unread[fd] is not None} if self.unread is not None else self._pipes
        info += [f"{name}={pipes[fd]}" for fd, name in enumerate(("stdin", "stdout", "stderr")) if fd in pipes]
        return f"<{' '.join(info)}>"

    # ---- the process --------------------------------------------------------------------------------------------------

    @property
    def pidfd(self) -> int | None:
        """The pidfd, the transport's; None once the child is reaped."""
        return None if self.native.dead else self._pidfd

    @property
    def rusage(self) -> resource.struct_rusage | None:
        """The child's resource use; None before its exit was seen, or if somebody else reaped it."""
        return None if self._usage is None else library.rusage(self._usage)

    @property
    def cgroup_peak(self) -> CgroupPeak | None:
        """Of a tree with a cgroup of its own; None before its exit was seen."""
        return None if self._belongings is None else self._belongings.peak

    @property
    def view(self) -> ProcessView:
        if self._view is None:
            self._view = ProcessView(self, self._arguments)
        return self._view

    @property
    def _proc(self) -> ProcessView | None:
        return None if self._state in (State.FINISHED, State.FAILED) else self.view

    @_proc.setter
    def _proc(self, view: Any) -> None:
        self._view = view

    async def _wait(self) -> int:
        """The return code, when the process has exited; a grandchild that holds a pipe is not waited for."""
        if self._returncode is not None:
            return self._returncode
        return await self.exit_waiter()

    def get_pid(self) -> int | None:  # type: ignore[override]
        return self._pid

    def get_returncode(self) -> int | None:
        return self._returncode

    def get_pipe_transport(self, fd: int) -> Any:
        return self._pipes.get(fd)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`"subprocess"`: a view of the process with the methods of `subprocess.Popen`."""
        return self.view if name == "subprocess" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        make_streams(self)
        self.immediate = False
        self.resumed = None
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol  # type: ignore[no-any-return]

    def is_closing(self) -> bool:
        return self._closed

    def send_signal(self, signal: int) -> None:
        """Through the pidfd, so never to another process.

        Raises ProcessLookupError after `connection_lost` and in a forked process, RuntimeError once the loop is closed,
        PermissionError for a set-user-id program. A child that exited a moment ago is not an error. From any thread.
        """
        if self._state in (State.FINISHED, State.FAILED) or self.native.forked:
            raise ProcessLookupError
        if self.native.dead:
            raise RuntimeError("Event loop is closed")
        with contextlib.suppress(ProcessLookupError):
            self.native.signal(self.token, signal)

    def signal_group(self, signal: int) -> None:
        """To the process group that the child leads, also when the child is gone (Linux 6.9; before: until it is reaped).

        Raises ValueError if it leads none, ProcessLookupError when the group is empty. From any thread.
        """
        if self._tree is None or not self._tree.leads_group:
            raise ValueError(
                "group=True needs a child that leads a process group: start_new_session, process_group=0 or pty"
            )
        self._tree.signal_group(signal)

    @property
    def tree(self) -> NativeTree:
        """Of a child that was launched: to be ended by (`_termination.terminate`)."""
        if self._tree is not None:
            return self._tree
        assert self._pid is not None
        return NativeTree(self.native, self.token, self._pid, leads_group=False, cgroup=None)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    @made_again
    def close(self) -> None:
        """Closes the pipes and kills the child if it still runs; its exit is reported all the same."""
        if self._closed:
            return
        try:
            if self._returncode is None:
                self._kill_if_running()
        finally:
            # After the signal: a child that ends when its input does would else be seen to end by itself.
            for pipe in self._pipes.values() if self._open_pipes else ():
                pipe.close()
        self._closed = True

    def _kill_if_running(self) -> None:
        if self.native.dead:
            return
        if self._view is not None and self._view.poll() is not None:
            return
        if self.loop.get_debug():
            logger.warning("Close running child process: kill %r", self)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # a set-user-id program is not ours to kill
            (self if self._view is None else self._view).kill()

    def __del__(self, _warn: Any = warnings.warn) -> None:
        # Only after the loop is closed or gone, or with outputs that nobody reads: the reactor holds what it reports to.
        if not self._closed and not self.native.forked:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
