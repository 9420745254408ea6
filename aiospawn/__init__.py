"""Launch processes from asyncio on Linux: a drop-in for `asyncio.create_subprocess_exec` that never blocks the loop.

One line switches a program over: `asyncio.Runner(loop_factory=aiospawn.new_event_loop)`, or `aiospawn.install()`.
"""

from asyncio.subprocess import DEVNULL, PIPE, STDOUT

from ._group import ProcessGroup
from ._halt import Halt
from ._keywords import Capabilities, CommandOptions, LaunchOptions
from ._lines import lines
from ._loops import EventLoop, install, new_event_loop, new_uvloop_event_loop, uninstall
from ._map import Map, MapProgress, MapResult, map  # noqa: A004 - only ever aiospawn.map
from ._observe import Executed, Exited, LaunchFailed, ProcessEvent, Restarting, Spawned, Unhealthy
from ._options import NativeHook
from ._pipeline import CompletedPipeline, pipeline
from ._process import Process, create_subprocess_exec, create_subprocess_shell
from ._result import CompletedProcess, LineTooLong, OutputLimitExceeded
from ._run import run
from ._supervise import StartLimitHit, Supervised, supervise
from ._support import Support, supported
from ._system import AsyncPipe, popen, system

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "AsyncPipe",
    "Capabilities",
    "CommandOptions",
    "CompletedPipeline",
    "CompletedProcess",
    "EventLoop",
    "Executed",
    "Exited",
    "Halt",
    "LaunchFailed",
    "LaunchOptions",
    "LineTooLong",
    "Map",
    "MapProgress",
    "MapResult",
    "NativeHook",
    "OutputLimitExceeded",
    "Process",
    "ProcessEvent",
    "ProcessGroup",
    "Restarting",
    "Spawned",
    "StartLimitHit",
    "Supervised",
    "Support",
    "Unhealthy",
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
    "supervise",
    "supported",
    "system",
    "uninstall",
]

__version__ = "0.1.0"
