"""The native half of a reactor, typed. One door raises the errors of its calls."""

from __future__ import annotations

import errno
import functools
import os
import struct
from typing import Any, Final, NoReturn, TypeAlias

from .indivisible import in_one, mark
from .library import address, ffi, lib
from .support import supported

__all__ = ["Launched", "Native"]

_LAUNCHED: Final = struct.Struct("=Q2i")

# Changes in the child of any fork: what was made under another number is dead here.
_generation: Any = ffi.addressof(lib, "aiospawn_generation") if lib else None


Launched: TypeAlias = tuple[int, int, int]
"""A child that was cloned: its token, its pid and the reactor's pidfd."""


def _check(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


CLOSED: Final = -1  # a generation that never is


class Native:
    """The native half of one reactor; every method is one call. For the loop's thread, but where it says otherwise."""

    __slots__ = (
        "_launched",
        "_launched_bytes",
        "_reactor",
        "address",
        "batch",
        "epoll",
        "generation",
    )

    def __init__(self) -> None:
        suspend = os.environ.get("AIOSPAWN_SPAWN") == "vfork" or supported().variant == "vfork"
        error = ffi.new("int *")
        opened: list[Any] = []
        try:
            opened.extend(map(lib.aiospawn_reactor_open, (suspend,), (error,)))  # in one, as in `take_pidfd`
            _check(error[0])
            self._reactor = ffi.gc(opened[0], lib.aiospawn_reactor_free)
            self.address = address(opened[0])
            """Of the reactor, for `library.launch_one` and `launch_all`."""
            self._look_at(opened[0])
        except BaseException:
            if opened and opened[0] != ffi.NULL:
                lib.aiospawn_reactor_close(opened[0])
            raise

    def _look_at(self, reactor: Any) -> None:
        self.batch = address(lib.aiospawn_reactor_batch(reactor))
        """Of what the last poll brought, for `library.deliver`."""
        self._launched = ffi.new("struct aiospawn_launched *")
        self._launched_bytes = ffi.buffer(self._launched)
        self.epoll: int = lib.aiospawn_reactor_epoll(reactor)
        self.generation = _generation[0]

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
        in_one(functools.partial(lib.aiospawn_reactor_close, self._reactor), mark(self, "generation", CLOSED))

    @property
    def newest(self) -> int:
        """The token of the child that was made last; 0 before the first."""
        return self._launched.token  # type: ignore[no-any-return]

    def launch(self, request: bytes) -> Launched:
        """Clones a child. Raises OSError; then nothing was created. Everything later is reported by events."""
        result = lib.aiospawn_launch(self._reactor, request, len(request), self._launched)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        launched: Any = _LAUNCHED.unpack(self._launched_bytes)
        return launched  # type: ignore[no-any-return]

    # A launch whose child the caller forks: aiospawn.h has the order of these, and who owns what.

    def prepare(self, request: bytes) -> int:
        """Makes everything but the child; the descriptor that this has to close. Raises OSError; then nothing was made."""
        return _check(lib.aiospawn_fork_prepare(self._reactor, request, len(request)))

    def adopt(self, pid: int) -> Launched:
        """The prepared child is this one, which the caller has forked. Raises OSError; then it is not."""
        launched = self._launched
        _check(lib.aiospawn_fork_adopt(self._reactor, pid, launched))
        return launched.token, launched.pid, launched.pidfd

    def withdraw(self) -> None:
        """Closes what was prepared. Nothing happens if nothing is, as after the adoption."""
        lib.aiospawn_fork_withdraw(self._reactor)

    def run_steps(self) -> None:
        """In the forked child: runs the steps before preexec_fn. Exits unless they succeed."""
        lib.aiospawn_fork_run_steps(self._reactor)

    def execute(self, *, own_environment: bool) -> NoReturn:
        """In the forked child: runs the other steps, executes the program; `own_environment`: with this process's."""
        lib.aiospawn_fork_execute(self._reactor, own_environment)
        raise AssertionError("it does not return")

    def refuse(self) -> NoReturn:
        """In the forked child: reports that preexec_fn raised, and exits."""
        lib.aiospawn_fork_refuse(self._reactor)
        raise AssertionError("it does not return")

    def poll(self) -> None:
        """Reads and reaps what is ready into the batch; the last one must have been taken. Nothing, if it is `dead`."""
        result = lib.aiospawn_poll(self._reactor)
        if result < 0 and result != -errno.EOWNERDEAD:
            _check(result)

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

    def has_unread_input(self, token: int, stream: int) -> bool:
        """Does a terminal hold input that a read would return, an end-of-file too? Opens its other side for a moment."""
        return bool(_check(lib.aiospawn_terminal_unread(self._reactor, token, stream)))

    def drop_ended(self) -> None:
        """Forgets the children whose end was in the batch, but those that are kept. The next poll does it, too."""
        lib.aiospawn_drop_ended(self._reactor)

    def keep(self, token: int) -> None:
        """A child that would be dropped at its end is there until `release`. Nothing happens if it is gone already."""
        lib.aiospawn_keep(self._reactor, token)

    def release(self, token: int) -> None:
        """Forgets a child: what it still holds is closed. Nothing happens if it is forgotten, or the reactor dead."""
        if self.generation == _generation[0]:
            lib.aiospawn_release(self._reactor, token)

    def signal(self, token: int, signum: int, *, group: bool = False) -> None:
        """From any thread. Raises ProcessLookupError once the child is reaped, or its group is empty."""
        try:
            result = lib.aiospawn_signal(self._reactor, token, signum, group)
        except TypeError:
            raise TypeError(f"signal must be an integer, not {type(signum).__name__}: {signum!r}") from None
        _check(result)

    def signal_tree(self, token: int, signum: int) -> None:
        """To everybody below a child's init, from any thread. Raises ProcessLookupError once that is gone."""
        _check(lib.aiospawn_signal_tree(self._reactor, token, signum))

    def renew_lease(self) -> None:
        """This process goes on, for all trees that have a lease."""
        _check(lib.aiospawn_renew_lease(self._reactor))

    def tree_refuses(self, token: int) -> bool:
        """Is what is left of a killed tree only what may not be signalled?"""
        return bool(lib.aiospawn_tree_refuses(self._reactor, token) == 1)

    def take_pidfd(self, token: int, numbers: list[int]) -> None:
        """Appends the pidfd of a reaped group leader, if there is one: from now on the caller's to close."""
        # In one: no signal's handler raises between the call and the list.
        numbers.extend(filter((-1).__lt__, map(lib.aiospawn_take_pidfd, (self._reactor,), (token,))))

    def peek(self, token: int) -> int | None:
        """From any thread: the exit status (negated signal) of a child that has exited, which is not reaped by this."""
        status = ffi.new("int *")
        return status[0] if _check(lib.aiospawn_peek(self._reactor, token, status)) else None

    def dup_pidfd(self, token: int) -> int:
        """From any thread: a pidfd of the child, the caller's to close."""
        return _check(lib.aiospawn_dup_pidfd(self._reactor, token))
