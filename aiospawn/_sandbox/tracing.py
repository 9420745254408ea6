"""A command is watched from outside, call by call: what it needs, and what a sandbox refuses it.

It runs behind a filter that asks this process about every call that opens, makes, removes or executes a file, connects,
binds or makes a socket, and about every call that the sandbox's policy does not allow. The former go on, and Landlock judges
them where there is a sandbox; the latter are refused here, as the sandbox's own filter would. So nothing goes past what is
watched: ways round these calls, as io_uring or another architecture's numbers, are among those that the policy refuses.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import platform
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiospawn._binding import restrictions as kernel
from aiospawn._options.confinement import Confinement
from aiospawn._options.options import DEFAULTS, Options

from . import bpf
from .calls import SystemCalls
from .coverage import Coverage
from .learning import learned
from .needs import CALLS, WHERE_GIVEN, Need, needs
from .notifications import Listener
from .policy import compiled_filter, has_numbers
from .programs import executed
from .ruleset import handled_by
from .system_calls import ARCHITECTURES, NUMBERS
from .tracee import Tracee

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .notifications import Call
    from .sandbox import Sandbox

__all__ = ["Denied", "Tracer", "Watched"]


_OF_FAMILIES: Final[dict[int, str]] = {socket.AF_UNIX: "unix_sockets", socket.AF_INET: "network", socket.AF_INET6: "network"}


class Denied(NamedTuple):
    """Something that the sandbox of a trace refused.

    Attributes:
        kind: What would allow it: "read", "write", "execute", "unix_sockets" or "network", arguments of `Sandbox`;
            "connect", "bind" or "udp" of `Network`; "syscalls": the policy of system calls.
        what: A path, a port with its address, the kind of a socket, or the name of a system call.
        times: How often.
    """

    kind: str
    what: str
    times: int


class Watched(Confinement):
    """What a watched command is launched with: the sandbox without its filter, or what every sandbox has."""

    __slots__ = ("_programs", "_sandbox", "_scopes", "program")

    def __init__(self, sandbox: Sandbox | None) -> None:
        """Raises ValueError for what cannot be watched, and what a launch with the sandbox raises."""
        self._sandbox = sandbox
        self._programs: dict[Any, Any] = {}
        self._scopes: int | None = None
        if not kernel.listeners() or not has_numbers():
            need = "seccomp's user notifications and pidfd_getfd (Linux 5.6), on x86_64 or aarch64"
            raise NotImplementedError(f"trace_sandbox needs {need}, in no sandbox and no other trace")
        if sandbox is None:
            self.program = compiled_filter(True, SystemCalls(), unix_sockets=True, metadata=True)
            scopes = handled_by(abi, True)[2] if (abi := kernel.landlock_abi()) else 0
            if scopes:
                self._scopes = kernel.ruleset(0, 0, scopes)
            return
        for name, given in (
            ("hide=True", sandbox.hide),
            ('network="loopback"', sandbox.network == "loopback"),
            (f"limits={sandbox.limits!r}", sandbox.limits is not None),
            ("tmp=True", sandbox.tmp),
        ):
            if given:
                raise ValueError(f"trace_sandbox: a sandbox with {name} cannot be traced; it can be without")
        self.program = sandbox.applied(DEFAULTS).seccomp or b""

    def close(self) -> None:
        if self._scopes is not None:
            os.close(self._scopes)

    def applied(self, options: Options) -> Options:
        if self._sandbox is not None:
            return self._sandbox.applied(options)._replace(seccomp=None)
        bounding = -1 if kernel.may_drop_bounding() else 0
        return options._replace(
            no_new_privs=True, capabilities={"drop": -1, "bounding": bounding}, landlock=self._scopes, seccomp=None
        )

    def tree_limits(self) -> Mapping[int, int]:
        return {}

    def process_limits(self) -> Mapping[int, int]:
        return {}

    def view(self, user: int | None, group: int | None) -> tuple[tuple[int, int, int, bytes], ...]:  # noqa: ARG002 - it has none
        return ()

    def rules(self) -> bytes:
        return b""

    def makes_directory(self) -> bool:
        return False

    def limit_of(self, number: int, returncode: int) -> str | None:  # noqa: ARG002 - it has none
        return None

    def programs(self) -> dict[Any, Any]:
        return self._programs


class Tracer:
    """The watching process's side. The watched one calls `begin`, behind its fork."""

    __slots__ = (
        "_audit_number",
        "_candidates",
        "_child",
        "_coverage",
        "_denied",
        "_ends",
        "_listener",
        "_names",
        "_needs",
        "_program",
        "unseen",
    )

    def __init__(self, sandbox: Sandbox | None, program: bytes, candidates: Sequence[str]) -> None:
        """`program`: the filter of the sandbox's policy; `candidates`: the paths that the launch tries."""
        self._candidates = [*candidates]
        self._child: int | None = None
        column, self._audit_number = ARCHITECTURES[platform.machine()]
        self._names = {numbers[column]: name for name, numbers in NUMBERS.items()}
        self._program = program
        self._coverage = None if sandbox is None else Coverage(sandbox)
        self._needs: set[Need] = set()
        self._denied: collections.Counter[tuple[str, str]] = collections.Counter()
        self._listener: Listener | None = None
        self._ends = socket.socketpair()
        self._ends[0].setblocking(False)
        self.unseen = 0
        """Calls whose process could not be looked into."""

    def close(self) -> None:
        """Calls that wait fail with ENOSYS."""
        for end in self._ends:
            end.close()
        if self._listener is not None:
            self._listener.close()

    def begin(self) -> None:
        """In the child: from here on it is watched. Raises OSError."""
        numbers = {name: number for number, name in self._names.items() if number is not None}
        calls = [numbers[name] for name in CALLS - WHERE_GIVEN.keys() if name in numbers]
        where_given = {numbers[name]: place for name, place in WHERE_GIVEN.items()}
        try:
            listener = kernel.listener(bpf.noticed(self._program, self._audit_number, calls, where_given))
        except OSError as error:
            self._ends[1].send(str(error.errno).encode())
            raise
        socket.send_fds(self._ends[1], [b"0"], [listener])

    @property
    def start(self) -> int:
        """The descriptor that becomes readable when it begins."""
        return self._ends[0].fileno()

    def begun(self) -> Listener | None:
        """What listens; None if it has not begun, or this was asked before. Raises OSError: there can be no filter."""
        if self._listener is not None:
            return None
        try:
            said, descriptors, _, _ = socket.recv_fds(self._ends[0], 16, 1)
        except BlockingIOError:
            return None
        if not descriptors:
            number = int(said)
            raise OSError(number, f"{os.strerror(number)} (trace_sandbox: seccomp's listener)")
        self._listener = Listener(descriptors[0])
        return self._listener

    def serve(self) -> bool:
        """Answers one call, for which the listener has become readable. Returns whether there can be more."""
        listener = self._listener
        if listener is None or listener.has_ended():
            return False
        call = listener.received()
        if call is not None:
            self._child = self._child or call.thread
            error = bpf.answer(self._program, call.data)
            if error:
                self._denied.update(self._refused(call))
            else:
                self._note(listener, call)
            listener.answer(call, errno.EPERM if error < 0 else error)
        return True

    def _refused(self, call: Call) -> list[tuple[str, str]]:
        """What would allow a call that the policy refuses."""
        name = self._names.get(call.number, f"number {call.number}")
        if name == "clone3":
            return []  # of no program's business: C libraries go on with clone
        if name == "socket" and (kind := _OF_FAMILIES.get(call.arguments[0] & 0xFFFFFFFF)):
            return [(kind, "a socket")]
        found: list[Need] = []
        if name in CALLS:
            with contextlib.suppress(OSError, struct.error):
                found = needs(name, Tracee(call.thread), call.arguments)
        return [(need.kind, need.what) for need in found] or [("syscalls", name)]

    def _note(self, listener: Listener, call: Call) -> None:
        name = self._names[call.number]
        if name not in ("execve", "execveat"):
            self._candidates.clear()  # one of them runs
        found: list[Need] | None
        try:
            found = needs(name, Tracee(call.thread), call.arguments)
        except (OSError, struct.error):
            found = self._of_launch(call)
        if not listener.is_valid(call):
            return
        if found is None:
            self.unseen += 1
            return
        self._needs.update(found)
        if self._coverage is not None:
            self._denied.update((need.kind, need.what) for need in found if not self._coverage.meets(need))

    def _of_launch(self, call: Call) -> list[Need] | None:
        """Before its program runs the child may be looked into by root alone (`core_forbid`): what it tries is known."""
        if call.thread != self._child or not self._candidates:
            return None
        return [Need("execute", path) for path in executed(self._candidates.pop(0))]

    def learned(self) -> Sandbox:
        return learned(self._needs)

    def denied(self) -> tuple[Denied, ...]:
        return tuple(Denied(kind, what, times) for (kind, what), times in sorted(self._denied.items()))
