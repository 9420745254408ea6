"""The same, where nothing is launched natively: a protocol on the event loop's own `subprocess_exec`."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

from aiospawn._options.options import makes_group
from aiospawn._termination.terminate import unhurt
from aiospawn._termination.tree import LoopTree

from .capture import Capture
from .command import understood

if TYPE_CHECKING:
    from .command import Command

__all__ = ["LoopCapture"]


class LoopCapture(Capture, asyncio.SubprocessProtocol):
    """A child of the loop's own implementation."""

    __slots__ = ("_leads_group", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, **keywords: Any) -> None:
        super().__init__(loop, **keywords)
        self._transport: Any = None
        self._leads_group = False

    async def launch(self, command: Command, streams: tuple[Any, Any, Any]) -> None:
        """Raises what the loop's own raises. Cancelled meanwhile it kills and reaps the child, and only then raises."""
        self._pipes = streams.count(asyncio.subprocess.PIPE)
        keywords = understood(command.keywords, self.loop)
        leads = command.keywords.get("start_new_session") or command.keywords.get("process_group") == 0
        self._leads_group = bool(leads) or makes_group(command.keywords.get("preexec_fn"))
        stdin, stdout, stderr = streams
        launch = self.loop.subprocess_exec(
            lambda: self, *command.argv, stdin=stdin, stdout=stdout, stderr=stderr, **keywords
        )
        try:
            await unhurt(launch, lambda _: self)
        except (OSError, subprocess.SubprocessError) as exc:
            if self._observer is not None:
                self._observer.failed(exc)
            raise

    def connection_made(self, transport: Any) -> None:
        """The child runs. Its exit may be told before `launch` goes on."""
        self._transport = transport
        self.pid = transport.get_pid()
        if self._observer is not None:
            self._observer.spawned(self.pid)
            self._observer.executed()
        pipe = transport.get_pipe_transport(0)
        if pipe is not None:
            if self._input:
                pipe.write(self._input)
            pipe.write_eof()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._received(fd, bytes(data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        self._pipe_ended()

    def process_exited(self) -> None:
        self._exited(self._transport.get_returncode(), None)

    def pause_writing(self) -> None:
        """The whole input is with the loop already."""

    resume_writing = pause_writing

    def _forget(self) -> None:
        self._input = None
        if self._transport is not None:
            self._transport.close()

    @property
    def _tree(self) -> LoopTree:
        return LoopTree(self._transport, leads_group=self._leads_group)
