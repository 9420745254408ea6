"""The one door to the extensions: nobody else imports them. Their numbers and structures, and what is done at import.

The modules that call it take `ffi` and `lib` from here: `_binding.support`, `_binding.restrictions`, `_binding.native`.
No cdata leaves these.
"""

from __future__ import annotations

import enum
import importlib
import os
import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import resource

_plain: Any = None
try:  # not by `from . import`: it blames a circular import where a module is missing
    _ffi: Any = importlib.import_module("aiospawn._binding._ffi")
    _plain = importlib.import_module("aiospawn._binding._plain")
except ImportError as error:  # not Linux: installed without its native part; or a checkout where it is not built
    ffi: Any = None
    lib: Any = None
    IMPORT_ERROR: ImportError | None = error
else:
    ffi, lib = _ffi.ffi, _ffi.lib
    _plain.use(*(int(ffi.cast("uintptr_t", ffi.addressof(lib, name))) for name in ("aiospawn_launch", "aiospawn_release")))
    IMPORT_ERROR = None

__all__ = [
    "IDENTITY_SIZE",
    "IMPORT_ERROR",
    "TREE_LIMITS",
    "USAGE",
    "Event",
    "PlainChild",
    "Step",
    "ViewOperation",
    "Watch",
    "address",
    "completed",
    "deliver",
    "dropped_at_end",
    "ffi",
    "joined",
    "know_children",
    "launch_all",
    "launch_one",
    "launch_request",
    "lib",
    "new_child",
    "pack_counts",
    "pack_step",
    "read_environment",
    "request_head",
    "rusage",
    "settle",
]

# ---- functions of the other extension: its docstrings say what each takes ---------------------------------------------

PlainChild: Any = getattr(_plain, "Child", object)
read_environment: Any = getattr(_plain, "environment", None)
joined: Any = getattr(_plain, "joined", None)
new_child: Any = getattr(_plain, "new_child", None)
launch_one: Any = getattr(_plain, "launch_one", None)
launch_request: Any = getattr(_plain, "launch_request", None)
launch_all: Any = getattr(_plain, "launch_all", None)
know_children: Any = getattr(_plain, "know_children", None)
deliver: Any = getattr(_plain, "deliver", None)
completed: Any = getattr(_plain, "completed", None)
settle: Any = getattr(_plain, "settle", None)

# ---- numbers ----------------------------------------------------------------------------------------------------------


class _Absent:
    """Numbers of a native part that is not there: nothing is ever launched with them."""

    def __getattr__(self, name: str) -> int:
        return -1


def _numbered(name: str, prefix: str) -> Any:
    """The header's enumerators of that prefix."""
    if lib is None:
        return _Absent()
    numbers = {member.removeprefix(prefix): getattr(lib, member) for member in dir(lib) if member.startswith(prefix)}
    return enum.IntEnum(name, numbers)


Step: Any = _numbered("Step", "AIOSPAWN_STEP_")
Watch: Any = _numbered("Watch", "AIOSPAWN_WATCH_")
ViewOperation: Any = _numbered("ViewOperation", "AIOSPAWN_VIEW_")
IDENTITY_SIZE: Final = 16  # of a file, before the paths of ViewOperation.BIND


class Event:
    """The kinds of event that a poll brings; aiospawn.h says what each carries."""

    STARTED: Final[int] = getattr(lib, "AIOSPAWN_STARTED", -1)
    FAILED: Final[int] = getattr(lib, "AIOSPAWN_FAILED", -1)
    DIED: Final[int] = getattr(lib, "AIOSPAWN_DIED", -1)
    DATA: Final[int] = getattr(lib, "AIOSPAWN_DATA", -1)
    EOF: Final[int] = getattr(lib, "AIOSPAWN_EOF", -1)
    WRITABLE: Final[int] = getattr(lib, "AIOSPAWN_WRITABLE", -1)
    READER_GONE: Final[int] = getattr(lib, "AIOSPAWN_READER_GONE", -1)
    EXITED: Final[int] = getattr(lib, "AIOSPAWN_EXITED", -1)


TREE_LIMITS: Final = (None, "memory", "processes", "cpu_seconds", "wall")  # enum aiospawn_limit
MEMORY_LIMIT: Final = TREE_LIMITS.index("memory")
NO_PIPE, CHILD_READS, CHILD_WRITES, PTY = 0, 1, 2, 3
NO_FD: Final[int] = getattr(lib, "AIOSPAWN_NO_FD", -1)
REGISTER: Final[int] = getattr(lib, "AIOSPAWN_REGISTER", -1)
MAX_SAVED: Final[int] = getattr(lib, "AIOSPAWN_MAX_SAVED", 0)
END_STATUS: Final[int] = getattr(lib, "AIOSPAWN_END_STATUS", 0)
END_REQUEST: Final[int] = getattr(lib, "AIOSPAWN_END_REQUEST", 0)

# ---- structures and addresses -----------------------------------------------------------------------------------------

_HEAD: Final = struct.Struct("=5I3iQ2H4B")
_COUNTS: Final = struct.Struct("=4I")
_STEP: Final = struct.Struct("=Iiq2I")
USAGE: Final = struct.Struct("=18q")  # struct rusage of a 64-bit kernel: two timevals, fourteen counters


def request_head(
    *,
    forked: bool,
    private_memory: bool,
    via_launcher: bool,
    keep_pidfd: bool,
    steps: int,
    prelude: int,
    data_size: int,
    top: int,
    pipe_size: int,
    program: int,
    sigmask: int | None,
    rows: int,
    columns: int,
    no_echo: bool,
    pipes: tuple[int, int, int],
    may_share_table: bool,
    collected: bool,
    inherits: int,
    init: str | None,
    init_namespace: str | None,
    init_cgroup: bool,
) -> bytes:
    """struct aiospawn_request, but for the counts at its end."""
    flags = private_memory * lib.AIOSPAWN_PRIVATE_MEMORY | via_launcher * lib.AIOSPAWN_VIA_LAUNCHER
    flags |= keep_pidfd * lib.AIOSPAWN_KEEP_PIDFD | (sigmask is not None) * lib.AIOSPAWN_SET_SIGMASK
    flags |= may_share_table * lib.AIOSPAWN_MAY_SHARE_TABLE | forked * lib.AIOSPAWN_FORKED
    flags |= collected * lib.AIOSPAWN_COLLECTED | (init is not None) * lib.AIOSPAWN_INIT
    flags |= (init == "wait") * lib.AIOSPAWN_INIT_WAIT | (init == "leave") * lib.AIOSPAWN_INIT_LEAVE
    flags |= (init_namespace is not None) * lib.AIOSPAWN_INIT_NAMESPACE | init_cgroup * lib.AIOSPAWN_INIT_CGROUP
    flags |= no_echo * lib.AIOSPAWN_NO_ECHO
    numbers = (steps, prelude, data_size, top, pipe_size, program, sigmask or 0, rows, columns)
    return _HEAD.pack(lib.AIOSPAWN_REQUEST_VERSION, flags, *numbers, *pipes, inherits)


def dropped_at_end(head: bytes) -> bytes:
    """The same, for children whose target has no use for them behind their end."""
    version, flags, *rest = _HEAD.unpack(head)
    return _HEAD.pack(version, flags | lib.AIOSPAWN_DROP_AT_END, *rest)


pack_counts = _COUNTS.pack  # candidates, arguments, variables, lease in ms
pack_step = _STEP.pack  # kind, descriptor, value, offset of the data, its size


def address(pointer: Any) -> int:
    """Of a function or object of cffi's, or an address already."""
    return pointer if isinstance(pointer, int) else int(ffi.cast("uintptr_t", pointer))


def rusage(usage: bytes) -> resource.struct_rusage:
    """The raw struct rusage as the `resource` module has it: seconds, KiB, counts (getrusage(2))."""
    import resource

    user, user_us, system, system_us, *counters = USAGE.unpack(usage)
    return resource.struct_rusage((user + user_us / 1e6, system + system_us / 1e6, *counters))


# ---- at import --------------------------------------------------------------------------------------------------------


def _open_launcher() -> None:
    """The program that belongs to this library, also when the package is upgraded under a running process."""
    path = os.path.join(os.path.dirname(_ffi.__file__), "_launcher")
    lib.aiospawn_launcher_open(os.fsencode(path))  # where it can't be: launcher_usable() is false


if lib is not None:
    _open_launcher()
    lib.aiospawn_fd_block_reserve()  # later the low numbers may be taken
