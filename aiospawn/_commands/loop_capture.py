"""The same, where nothing is launched natively: a protocol on the event loop's own `subprocess_exec`."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

from aiospawn._options.child_functions import makes_group
from aiospawn._termination.terminate import unhurt
from aiospawn._termination.tree import LoopTree

from .capture import Capture
from .command import understood

if TYPE_CHECKING:
    from .command import CheckedCommand

__all__ = ["LoopCapture"]


class LoopCapture(Capture, asyncio.SubprocessProtocol):
    """A child of the loop's own implementation."""

    __slots__ = ("_is_full", "_keeper", "_leads_group", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, keeper: list[Capture], **keywords: Any) -> None:
        """`keeper` has it from the launch of the child on."""
        super().__init__(loop, **keywords)
        self._keeper = keeper
        self._transport: Any = None
        self._leads_group = False
        self._is_full = False  # what the loop keeps of the input

    async def launch(self, command: CheckedCommand, streams: tuple[Any, Any, Any]) -> None:
        """Raises what the loop's own raises. Cancelled meanwhile it kills and reaps the child, and only then raises."""
        for number, stream in enumerate(streams):
            if stream == asyncio.subprocess.PIPE:
                self._pipes |= 1 << number
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
        """The child runs. Its exit may be reported before `launch` continues."""
        self._transport = transport
        self._keeper.append(self)
        self.pid = transport.get_pid()
        if self._observer is not None:
            self._observer.spawned(self.pid)
            self._observer.executed()
        if transport.get_pipe_transport(0) is not None and (self._input is None or not self._input.has_more):
            self._feed()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._received(self._collected + 1, fd, bytes(data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        if fd == 0:
            self._drop_input()
        self._pipe_ended(fd)

    def process_exited(self) -> None:
        self._exited(self._transport.get_returncode(), None)

    def _feed(self) -> None:
        pipe = self._transport.get_pipe_transport(0)
        if pipe is None:
            return
        source = self._input
        if source is not None and source.unwritten:
            pipe.write(source.unwritten)  # the whole: the loop keeps what the pipe does not take
        if source is None or not source.has_more:
            pipe.write_eof()
        elif not self._is_full:
            self._taken()

    def _taken(self) -> None:
        if self._input is not None:
            self._input.unwritten = memoryview(b"")
            self._input.report_written()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._input is not None and self._input.has_more:
            self._taken()

    def pause_output(self) -> None:
        for pipe in self._outputs():
            pipe.pause_reading()

    def resume_output(self) -> None:
        for pipe in self._outputs():
            pipe.resume_reading()

    def _outputs(self) -> list[Any]:
        pipes = [self._transport.get_pipe_transport(stream) for stream in (1, 2)]
        return [pipe for pipe in pipes if pipe is not None and not pipe.is_closing()]

    def _forget(self) -> None:
        self._input = None
        if self._transport is not None:
            self._transport.close()

    @property
    def _tree(self) -> LoopTree:
        return LoopTree(self._transport, leads_group=self._leads_group)
