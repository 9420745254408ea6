"""The native part, typed: the only module that imports the extension. No cdata leaves it, and one door raises its errors."""

from __future__ import annotations

import enum
import functools
import os
import struct
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import resource
    from collections.abc import Iterator, Mapping

try:
    from . import _ffi  # type: ignore[attr-defined]
except ImportError as error:  # not Linux: installed without its native part
    ffi: Any = None
    lib: Any = None
    _IMPORT_ERROR: str | None = str(error)
else:
    ffi, lib = _ffi.ffi, _ffi.lib
    _IMPORT_ERROR = None

__all__ = [
    "Event",
    "Launched",
    "Native",
    "Step",
    "Support",
    "Watch",
    "generation",
    "inherited_environment",
    "request_head",
    "supported",
]


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


class Event:
    """The kinds of event that a drain brings; aiospawn.h says what each carries."""

    STARTED: Final[int] = getattr(lib, "AIOSPAWN_STARTED", -1)
    FAILED: Final[int] = getattr(lib, "AIOSPAWN_FAILED", -1)
    DIED: Final[int] = getattr(lib, "AIOSPAWN_DIED", -1)
    DATA: Final[int] = getattr(lib, "AIOSPAWN_DATA", -1)
    EOF: Final[int] = getattr(lib, "AIOSPAWN_EOF", -1)
    WRITABLE: Final[int] = getattr(lib, "AIOSPAWN_WRITABLE", -1)
    READER_GONE: Final[int] = getattr(lib, "AIOSPAWN_READER_GONE", -1)
    EXITED: Final[int] = getattr(lib, "AIOSPAWN_EXITED", -1)


class Launched(NamedTuple):
    """A child that was cloned: its token, its pid and the reactor's pidfd."""

    token: int
    pid: int
    pidfd: int


# ---- requests ---------------------------------------------------------------------------------------------------------

_HEAD: Final = struct.Struct("=5I3iQ2H4B")
_COUNTS: Final = struct.Struct("=3I4x")
_STEP: Final = struct.Struct("=Iiq2I")
NO_PIPE, CHILD_READS, CHILD_WRITES, PTY = 0, 1, 2, 3
NO_FD: Final[int] = getattr(lib, "AIOSPAWN_NO_FD", -1)
REGISTER: Final[int] = getattr(lib, "AIOSPAWN_REGISTER", -1)
MAX_SAVED: Final[int] = getattr(lib, "AIOSPAWN_MAX_SAVED", 0)
END_STATUS: Final[int] = getattr(lib, "AIOSPAWN_END_STATUS", 0)
END_REQUEST: Final[int] = getattr(lib, "AIOSPAWN_END_REQUEST", 0)


def request_head(
    *,
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
    pipes: tuple[int, int, int],
    may_share_table: bool,
    inherits: int,
) -> bytes:
    """struct aiospawn_request, but for the counts at its end."""
    flags = private_memory * lib.AIOSPAWN_PRIVATE_MEMORY | via_launcher * lib.AIOSPAWN_VIA_LAUNCHER
    flags |= keep_pidfd * lib.AIOSPAWN_KEEP_PIDFD | (sigmask is not None) * lib.AIOSPAWN_SET_SIGMASK
    flags |= may_share_table * lib.AIOSPAWN_MAY_SHARE_TABLE
    numbers = (steps, prelude, data_size, top, pipe_size, program, sigmask or 0, rows, columns)
    return _HEAD.pack(lib.AIOSPAWN_REQUEST_VERSION, flags, *numbers, *pipes, inherits)


pack_counts = _COUNTS.pack  # candidates, arguments, variables
pack_step = _STEP.pack  # kind, descriptor, value, offset of the data, its size


def address(pointer: Any) -> int:
    """Of a function or object of cffi's, or an address already."""
    return pointer if isinstance(pointer, int) else int(ffi.cast("uintptr_t", pointer))


@functools.cache
def hooks_may_share_memory() -> bool:
    """A child that crashed dumped core for every sharer of its memory before Linux 5.16."""
    release = os.uname().release.split(".")
    return (int(release[0]), int("".join(filter(str.isdigit, release[1].split("-")[0])))) >= (5, 16)


# ---- the environment --------------------------------------------------------------------------------------------------


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (OSError, ValueError):
        return False


class _Environment:
    """The process's own environment as the C library has it, encoded once and again when it has changed.

    `os.putenv` and libraries change it behind `os.environ`, so that would not do. Everything here runs with the GIL held
    (cffi releases it for function calls only), and Python's own changes are made with it held. glibc never changes or
    frees a string it once put there, so equal pointers mean equal contents; other C libraries may reuse the memory.
    """

    def __init__(self) -> None:
        self._environ = ffi.addressof(lib, "environ")
        self._pointers = b""
        self._encoded = (0, b"")
        self._strings_stay = _is_glibc()

    def read(self) -> tuple[int, bytes]:
        start = self._environ[0]
        if not start:
            return 0, b""
        size = len(self._pointers)
        if size and self._strings_stay and ffi.buffer(start, size)[:] == self._pointers:
            return self._encoded
        count, strings = 0, []
        while start[count]:
            strings.append(ffi.string(start[count]))
            count += 1
        self._pointers = ffi.buffer(start, (count + 1) * ffi.sizeof("char *"))[:]
        self._encoded = count, b"".join([entry + b"\0" for entry in strings])
        return self._encoded


_environment = _Environment() if lib else None


def inherited_environment() -> tuple[int, bytes]:
    """How many variables the process's own environment has, and the NUL-terminated strings."""
    assert _environment is not None
    return _environment.read()


# ---- what the kernel offers -------------------------------------------------------------------------------------------


class Support(NamedTuple):
    """Whether this process can launch natively, and how. True where it can.

    `reasons` says why not; `features` tells kernel and processor features by name; `missing` what the absence of one costs;
    `variant` is "concurrent" where the loop's thread runs on while a child gets to its `execve`, "vfork" where it waits.
    """

    reasons: tuple[str, ...]
    features: Mapping[str, bool]
    missing: Mapping[str, str]
    variant: str

    def __bool__(self) -> bool:
        return not self.reasons


# Feature bit, name, what its absence costs; the first three are needed.
_FEATURES: Final = (
    ("HAS_PIDFD", "pidfd", "native launching: pidfds to poll, wait for and signal (Linux 5.4)"),
    ("HAS_SHARED_MEMORY", "shared_memory", "native launching: CLONE_VM must share memory, emulators copy it"),
    ("HAS_STUB", "concurrent_clone", "the loop's thread waits for each execve (CLONE_VFORK)"),
    ("HAS_CLONE3", "clone3", "each child resets its signal handlers one by one (CLONE_CLEAR_SIGHAND, Linux 5.5)"),
    ("HAS_CLOSE_RANGE", "close_range", "descriptors are closed one by one (Linux 5.9)"),
    ("HAS_PIDFD_INFO", "pidfd_info", "a child that somebody else reaped: its exit code is lost, 255 (PIDFD_GET_INFO, 6.15)"),
)  # fmt: skip
_NEEDED: Final = ("pidfd", "shared_memory")


def _bits(names: str) -> int:
    """The feature bits that AIOSPAWN_WITHOUT switches off, for tests of what is done without them."""
    by_name = {name: getattr(lib, f"AIOSPAWN_{bit}") for bit, name, _ in _FEATURES}
    bits = 0
    for name in filter(None, names.split(",")):
        if name not in by_name:
            raise ValueError(f"AIOSPAWN_WITHOUT: unknown feature {name!r}, known are {', '.join(by_name)}")
        bits |= by_name[name]
    return bits


_known: Support | None = None


def supported() -> Support:
    """Whether aiospawn's own launching works here, with the reasons if not. The kernel is tried once, at first use.

    Where it does not, the drop-in functions hand over to the event loop's own implementation. Where it could not be tried
    for want of descriptors, processes or memory, the reasons say so, and it is tried again at the next use.
    """
    global _known  # noqa: PLW0603 - functools.cache would remember a shortage
    if _known is not None:
        return _known
    support, settled = _examine()
    if settled:
        _known = support
    return support


def _examine() -> tuple[Support, bool]:
    """With whether it is worth remembering."""
    if lib is None:
        reason = f"the native part is not there ({_IMPORT_ERROR}); it is built on Linux only, this is {sys.platform}"
        return Support((reason,), MappingProxyType({}), MappingProxyType({}), "none"), True
    bits = lib.aiospawn_probe(_bits(os.environ.get("AIOSPAWN_WITHOUT", "")))
    features = {name: bool(bits & getattr(lib, f"AIOSPAWN_{bit}")) for bit, name, _ in _FEATURES}
    missing = {name: cost for _, name, cost in _FEATURES if not features[name]}
    features["launcher"] = bool(features["pidfd"] and lib.aiospawn_launcher_usable())
    if not features["launcher"]:
        missing["launcher"] = "options that change privileges copy the page tables: the launcher can't be executed"
    if bits & lib.AIOSPAWN_SHORTAGE:
        reason = "no child could be made to try the kernel, for want of descriptors, processes or memory"
        return Support((reason,), MappingProxyType(features), MappingProxyType(missing), "none"), False
    valgrind = bool(bits & lib.AIOSPAWN_UNDER_VALGRIND)
    needed = [name for name in _NEEDED if not (valgrind and name == "shared_memory")]
    reasons = tuple(f"no {name}: {missing[name]}" for name in needed if name in missing)
    # valgrind ends the whole process at a clone whose parent runs on, and turns the suspended one into a fork.
    concurrent = features["concurrent_clone"] and not valgrind
    variant = "none" if reasons else "concurrent" if concurrent else "vfork"
    return Support(reasons, MappingProxyType(features), MappingProxyType(missing), variant), True


def generation() -> int:
    """Changes in the child of a fork, by whomever: what was made under another number is dead here."""
    return _generation[0]  # type: ignore[no-any-return]


def _open_launcher() -> None:
    """At import: the program that belongs to this library, also when the package is upgraded under a running process."""
    path = os.path.join(os.path.dirname(_ffi.__file__), "_launcher")
    lib.aiospawn_launcher_open(os.fsencode(path))  # where it can't be: launcher_usable() is false


if lib is not None:
    _open_launcher()
    lib.aiospawn_landing_reserve()  # at import: later the low numbers may be taken

_generation: Any = ffi.addressof(lib, "aiospawn_generation") if lib else None


# ---- the reactor's native half ----------------------------------------------------------------------------------------


def _check(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


CLOSED: Final = -1  # a generation that never is


class Native:
    """The native half of one reactor; every method is one call. For the loop's thread, but where it says otherwise."""

    __slots__ = ("_batch", "_data", "_events", "_launched", "_reactor", "_usage", "epoll", "generation")

    def __init__(self) -> None:
        suspend = os.environ.get("AIOSPAWN_SPAWN") == "vfork" or supported().variant == "vfork"
        error = ffi.new("int *")
        reactor = lib.aiospawn_reactor_open(suspend, error)
        _check(error[0])
        self._reactor = ffi.gc(reactor, lib.aiospawn_reactor_free)
        self._batch = batch = lib.aiospawn_reactor_batch(reactor)
        self._events = ffi.buffer(batch.events, lib.AIOSPAWN_BATCH_EVENTS * _EVENT.size)
        self._data = memoryview(ffi.buffer(batch.data, lib.AIOSPAWN_BATCH_DATA))
        self._usage = ffi.buffer(batch.usage, lib.AIOSPAWN_BATCH_EVENTS * _USAGE.size)
        self._launched = ffi.new("struct aiospawn_launched *")
        self.epoll: int = lib.aiospawn_reactor_epoll(reactor)
        self.generation = generation()

    @property
    def dead(self) -> bool:
        """Is it closed, or is this process the child of a fork, in which the reactor is the parent's?"""
        return self.generation != _generation[0]  # type: ignore[no-any-return]

    @property
    def forked(self) -> bool:
        """Is this process the child of a fork? Then the children are the parent's."""
        return self.generation not in (CLOSED, _generation[0])

    def close(self) -> None:
        """Closes every descriptor; children live on. The memory goes with the object: another thread may be in a call."""
        lib.aiospawn_reactor_close(self._reactor)
        self.generation = CLOSED

    def launch(self, request: bytes) -> Launched:
        """Clones a child. Raises OSError; then nothing was made. Events tell the rest."""
        launched = self._launched
        result = lib.aiospawn_launch(self._reactor, request, len(request), launched)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return Launched(launched.token, launched.pid, launched.pidfd)

    def drain(self) -> None:
        """Reads and reaps what is ready into the batch; the last one must have been taken."""
        result = lib.aiospawn_drain(self._reactor)
        if result < 0:
            _check(result)

    @property
    def pending(self) -> bool:
        """Are there events of the batch that were not taken?"""
        return self._batch.head != self._batch.count  # type: ignore[no-any-return]

    @property
    def head(self) -> int:
        """The next event's place in the batch; moved by whoever has delivered it."""
        return self._batch.head  # type: ignore[no-any-return]

    @head.setter
    def head(self, place: int) -> None:
        self._batch.head = place

    def events(self) -> Iterator[tuple[int, int, int, int, int, int, int]]:
        """The events that were not taken: token, kind, stream, value, extra, offset, length."""
        batch = self._batch
        return _EVENT.iter_unpack(self._events[batch.head * _EVENT.size : batch.count * _EVENT.size])

    def data(self, offset: int, length: int) -> bytes:
        return bytes(self._data[offset : offset + length])

    def usage(self, place: int) -> bytes:
        """The resource use of the child of the event at this place, for `rusage`."""
        at = place * _USAGE.size
        return self._usage[at : at + _USAGE.size]  # type: ignore[no-any-return]

    def watch(self, token: int, stream: int, how: int) -> None:
        _check(lib.aiospawn_watch(self._reactor, token, stream, how))

    def stream(self, token: int, stream: int) -> int:
        """The descriptor of a pipe end, the reactor's."""
        return _check(lib.aiospawn_stream(self._reactor, token, stream))

    def disown(self, token: int, stream: int) -> int:
        """The descriptor of a pipe end, from now on the caller's to close, after `shut`."""
        return _check(lib.aiospawn_disown(self._reactor, token, stream))

    def shut(self, token: int, stream: int) -> None:
        """A pipe end leaves the set and is closed unless disowned. Nothing happens if it has left."""
        lib.aiospawn_shut(self._reactor, token, stream)

    def release(self, token: int) -> None:
        """Forgets a child: what it still holds is closed. Nothing happens if it is forgotten."""
        lib.aiospawn_release(self._reactor, token)

    def signal(self, token: int, signum: int, *, group: bool = False) -> None:
        """From any thread. Raises ProcessLookupError once the child is reaped, or its group is empty."""
        _check(lib.aiospawn_signal(self._reactor, token, signum, group))

    def take_pidfd(self, token: int) -> int | None:
        """The pidfd of a reaped group leader, from now on the caller's to close."""
        fd = lib.aiospawn_take_pidfd(self._reactor, token)
        return fd if fd >= 0 else None

    def peek(self, token: int) -> int | None:
        """From any thread: the exit status (negated signal) of a child that has exited, which is not reaped by this."""
        status = ffi.new("int *")
        return status[0] if _check(lib.aiospawn_peek(self._reactor, token, status)) else None

    def dup_pidfd(self, token: int) -> int:
        """From any thread: a pidfd of the child, the caller's to close."""
        return _check(lib.aiospawn_dup_pidfd(self._reactor, token))


# ---- resource use -----------------------------------------------------------------------------------------------------

_EVENT: Final = struct.Struct("=Q2I2i2I")
_USAGE: Final = struct.Struct("=18q")  # struct rusage of a 64-bit kernel: two timevals, fourteen counters


def rusage(usage: bytes) -> resource.struct_rusage:
    """The raw struct rusage as the `resource` module has it: seconds, KiB, counts (getrusage(2))."""
    import resource

    user, user_us, system, system_us, *counters = _USAGE.unpack(usage)
    return resource.struct_rusage((user + user_us / 1e6, system + system_us / 1e6, *counters))
