"""Launch processes from asyncio on Linux: a drop-in for `asyncio.create_subprocess_exec` that never blocks the loop.

One line switches a program over: `asyncio.Runner(loop_factory=aiospawn.new_event_loop)`, or `aiospawn.install()`.
"""

from asyncio.subprocess import DEVNULL, PIPE, STDOUT

from ._clib import Support, supported
from ._loops import EventLoop, install, new_event_loop, new_uvloop_event_loop, uninstall
from ._options import NativeHook
from ._process import Process, create_subprocess_exec, create_subprocess_shell
from ._result import CompletedProcess, OutputLimitExceeded
from ._run import run

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "CompletedProcess",
    "EventLoop",
    "NativeHook",
    "OutputLimitExceeded",
    "Process",
    "Support",
    "__version__",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "install",
    "new_event_loop",
    "new_uvloop_event_loop",
    "run",
    "supported",
    "uninstall",
]

__version__ = "0.1.0"
