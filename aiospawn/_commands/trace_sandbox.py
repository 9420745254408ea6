"""`trace_sandbox`: what a command needs of a sandbox, found by running it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from aiospawn._asyncio.creation import create_subprocess_exec
from aiospawn._options.keywords import Args, LaunchOptions, Stream
from aiospawn._request.request import candidates
from aiospawn._sandbox.sandbox import Sandbox
from aiospawn._sandbox.tracing import Denied, Tracer, Watched

from .command import arguments, refuse_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiospawn._asyncio.process import Process

__all__ = ["SandboxTrace", "trace_sandbox"]


class SandboxTrace(NamedTuple):
    """What a trace has found.

    Attributes:
        returncode: The command's.
        sandbox: The smallest sandbox that allows what the command did, paths as they are without symbolic links.
        denied: What was refused, by the sandbox of the trace or, without one, by the policy that every sandbox has.
        unseen: How many calls could not be looked into: of processes that may not be read (ptrace(2), access modes).
    """

    returncode: int
    sandbox: Sandbox
    denied: tuple[Denied, ...]
    unseen: int


async def trace_sandbox(
    args: Args,
    *,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    **options: Unpack[LaunchOptions],
) -> SandboxTrace:
    """Runs a command and finds out what it needs of a sandbox, or what a sandbox refuses it.

    Without one there is no fence round its files and its network: a trace is for a command that is trusted. What no sandbox
    allows by default is refused: the calls of the policy "default", new privileges, capabilities, signals to outside.

    Args:
        args: The program and its arguments, as `run` takes them.
        stdin: As `run` has it, but no pipe.
        stdout: Likewise.
        stderr: Likewise.
        **options: Those of a launch (docs/options.md) but `preexec_fn`, and what cannot be with it. `sandbox`: the command
            runs in it, and what it refuses is in `denied`; one with `hide`, `limits` or a network of its own cannot be.

    Returns:
        What was found. The trace ends with the command; in what it has left running watched calls fail with ENOSYS then.

    Raises:
        NotImplementedError: There are no user notifications of seccomp or no pidfd_getfd (Linux 5.6), as in a sandbox or
            a trace; or this kernel cannot enforce the sandbox.
        TypeError: A bad argument.
        ValueError: Likewise; a sandbox that cannot be traced.
        OSError: As a launch; and where the kernel refuses the filter (EBUSY: this process is watched by another one).
    """
    sandbox = options.pop("sandbox", None)
    if sandbox is not None and not isinstance(sandbox, Sandbox):
        raise TypeError(f"trace_sandbox: sandbox must be a Sandbox or None, not {sandbox!r}")
    for name, stream in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
        if stream == asyncio.subprocess.PIPE:
            raise ValueError(f"trace_sandbox: {name} cannot be a pipe, which nobody would read")
    if "preexec_fn" in options:
        raise ValueError("trace_sandbox: preexec_fn is what the command is traced by, and cannot be given")
    refuse_terminal(options)
    words = arguments(args, shell=False, executable=None)
    with ExitStack() as stack:
        watched = Watched(sandbox)
        stack.callback(watched.close)
        tracer = Tracer(sandbox, watched.program, _programs(words, options))
        stack.callback(tracer.close)
        service = _Service(tracer)
        stack.callback(service.close)
        launched: dict[str, Any] = {**options, "preexec_fn": tracer.begin, "sandbox": watched}
        try:
            process = await create_subprocess_exec(*words, stdin=stdin, stdout=stdout, stderr=stderr, **launched)
        except (subprocess.SubprocessError, OSError):
            service.raise_fault()  # what the child could not begin with, or could not go on with
            raise
        async with process:
            returncode = await service.until(process)
        return SandboxTrace(returncode, tracer.learned(), tracer.denied(), tracer.unseen)


def _programs(words: list[Any], options: Mapping[str, Any]) -> list[str]:
    """The paths that the launch tries, one after the other."""
    executable, env = options.get("executable"), options.get("env")
    program = words[0] if executable is None else executable
    if isinstance(program, int):
        return []
    if options.get("env_add"):
        env = {**(os.environ if env is None else env), **options["env_add"]}
    directory = options.get("cwd")
    here = os.fsdecode(directory) if directory is not None and not isinstance(directory, int) else os.getcwd()
    return [os.path.realpath(os.path.join(here, os.fsdecode(path))) for path in candidates(os.fsencode(program), env)]


class _Service:
    """Answers calls on the loop."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._loop = asyncio.get_running_loop()
        self._fault: asyncio.Future[None] = self._loop.create_future()
        self._watched: int | None = None
        self._watch(tracer.start, self._begin)

    def close(self) -> None:
        self._watch(None)
        self._fault.cancel()

    async def until(self, process: Process) -> int:
        """The returncode. Raises what has gone wrong in answering."""
        ended = asyncio.ensure_future(process.wait())
        either: list[asyncio.Future[Any]] = [ended, self._fault]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        self.raise_fault()
        return ended.result()

    def raise_fault(self) -> None:
        """Where the child could not be put behind the filter, or could not be answered."""
        if not self._fault.done():
            self._begin()
        if self._fault.done():
            self._fault.result()

    def _watch(self, descriptor: int | None, callback: Callable[[], None] | None = None) -> None:
        """This one instead of the one before."""
        if self._watched is not None:
            self._loop.remove_reader(self._watched)
        self._watched = descriptor
        if descriptor is not None and callback is not None:
            self._loop.add_reader(descriptor, callback)

    def _begin(self) -> None:
        try:
            listener = self._tracer.begun()
        except OSError as error:
            self._fail(error)
            return
        if listener is not None:
            self._watch(listener.descriptor, self._answer)

    def _answer(self) -> None:
        try:
            if not self._tracer.serve():
                self._watch(None)
        except Exception as error:  # noqa: BLE001 - lest the command waits for ever
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._watch(None)
        self._tracer.close()
        self._fault.set_exception(error)
