"""A process that has got the number of another that is gone; for tests, and for programs of `fresh`."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

__all__ = ["stranger"]


def _forked_as(pid: int) -> None:
    """Forks a process of that number, which leads a group: clone3 with `set_tid`. Raises FileExistsError if it is taken."""
    numbers = (ctypes.c_int * 1)(pid)
    # struct clone_args: of its eleven words the exit signal, and where the numbers are and how many.
    arguments = (ctypes.c_uint64 * 11)(*4 * [0], signal.SIGCHLD, *3 * [0], ctypes.addressof(numbers), 1, 0)
    libc = ctypes.PyDLL(None, use_errno=True)  # which keeps the lock of the interpreter: the child needs it
    number = libc.syscall(435, arguments, ctypes.sizeof(arguments))  # __NR_clone3
    if number == 0:
        os.setpgid(0, 0)
        os.execv("/bin/sleep", ["sleep", "1000"])
    if number == -1:
        raise OSError(code := ctypes.get_errno(), os.strerror(code))


@contextlib.contextmanager
def stranger(pid: int) -> Iterator[None]:
    """A process of that number, which leads a group."""
    _forked_as(pid)
    try:
        with contextlib.suppress(PermissionError):  # it has done so, and executed
            os.setpgid(pid, pid)
        os.killpg(pid, 0)
        yield
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)  # nobody has hit it
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
