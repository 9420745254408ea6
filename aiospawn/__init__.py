"""Launch processes from asyncio on Linux: a drop-in for `asyncio.create_subprocess_exec` that never blocks the loop.

One line switches a program over: `asyncio.Runner(loop_factory=aiospawn.new_event_loop)`, or `aiospawn.install()`.
"""

import contextlib as _contextlib
import typing as _typing

from ._asyncio.creation import create_subprocess_exec, create_subprocess_shell
from ._asyncio.event_loops import EventLoop, install, new_event_loop, new_uvloop_event_loop, uninstall
from ._asyncio.process import Process
from ._binding.support import Support, supported
from ._cluster.cluster import Cluster, ClusterError, WorkerLost
from ._commands.command_value import Command
from ._commands.completed_pipeline import CompletedPipeline
from ._commands.events import Executed, Exited, LaunchFailed, ProcessEvent, Restarting, Spawned, Unhealthy
from ._commands.failures import CalledProcessError, TimeoutExpired
from ._commands.lines import lines
from ._commands.pipeline import Pipeline, pipeline
from ._commands.pipeline_block import RunningPipeline
from ._commands.process_group import ProcessGroup
from ._commands.results import CompletedProcess, LineTooLong, OutputLimitExceeded
from ._commands.run import run
from ._commands.supervise import StartLimitHit, Supervised, supervise
from ._commands.system import AsyncPipe, popen, system
from ._commands.trace_sandbox import SandboxTrace, trace_sandbox
from ._map.halt import Halt
from ._map.map import Map, MapLine, MapProgress, MapResult, map  # noqa: A004 - only ever aiospawn.map
from ._options.child_functions import NativeHook
from ._options.keywords import Capabilities, CommandOptions, LaunchOptions
from ._request.tree_cgroup import CgroupPeak
from ._sandbox.calls import SystemCalls
from ._sandbox.limits import Limits
from ._sandbox.network import Network
from ._sandbox.paths import IfExists
from ._sandbox.restrictions import Restriction
from ._sandbox.sandbox import Sandbox
from ._sandbox.tracing import Denied
from ._terminals.ansi import strip_ansi
from ._terminals.expect import EndOfOutput, ExpectTimeout
from ._terminals.session import TerminalSession

if _typing.TYPE_CHECKING:  # by their values, which say whether there is output
    PIPE: _typing.Final = -1
    STDOUT: _typing.Final = -2
    DEVNULL: _typing.Final = -3
else:
    from asyncio.subprocess import DEVNULL, PIPE, STDOUT

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "AsyncPipe",
    "CalledProcessError",
    "Capabilities",
    "CgroupPeak",
    "Cluster",
    "ClusterError",
    "Command",
    "CommandOptions",
    "CompletedPipeline",
    "CompletedProcess",
    "Denied",
    "EndOfOutput",
    "EventLoop",
    "Executed",
    "Exited",
    "ExpectTimeout",
    "Halt",
    "IfExists",
    "LaunchFailed",
    "LaunchOptions",
    "Limits",
    "LineTooLong",
    "Map",
    "MapLine",
    "MapProgress",
    "MapResult",
    "NativeHook",
    "Network",
    "OutputLimitExceeded",
    "Pipeline",
    "Process",
    "ProcessEvent",
    "ProcessGroup",
    "Restarting",
    "Restriction",
    "RunningPipeline",
    "Sandbox",
    "SandboxTrace",
    "Spawned",
    "StartLimitHit",
    "Supervised",
    "Support",
    "SystemCalls",
    "TerminalSession",
    "TimeoutExpired",
    "Unhealthy",
    "WorkerLost",
    "__version__",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "install",
    "lines",
    "map",
    "new_event_loop",
    "new_uvloop_event_loop",
    "pipeline",
    "popen",
    "run",
    "strip_ansi",
    "supervise",
    "supported",
    "system",
    "trace_sandbox",
    "uninstall",
]

__version__ = "0.1.0"


def _say_where_they_are_public() -> None:
    """Classes shown in tracebacks, documentation and pickles are those that a user can import.

    Their annotations are evaluated before, where they were written: `typing.get_type_hints` looks in the module that a class
    names.
    """
    for name in __all__:
        public = globals()[name]
        if not isinstance(public, type) or not public.__module__.startswith(__name__):
            continue
        hints = getattr(public, "__annotations__", {})
        if any(isinstance(hint, (str, _typing.ForwardRef)) for hint in hints.values()):
            with _contextlib.suppress(NameError):  # no module `resource` on Windows
                public.__annotations__ = _typing.get_type_hints(public)
        public.__module__ = __name__


_say_where_they_are_public()
