"""Seccomp filters: a child is held at a system call, or one fails, because the test says so and when it says so.

A filter is for good, and for the threads and processes made later by the one that sets it: for programs run by `fresh`.
"""

import ctypes
import fcntl
import os
import platform
import struct

__all__ = [
    "CHDIR",
    "CLOSE_RANGE",
    "IOCTL",
    "PPOLL",
    "PRCTL",
    "RECVFROM",
    "RECVMSG",
    "SIGNALFD",
    "SOCKETPAIR",
    "Gate",
    "duplicate_from",
    "listener",
    "refuse",
    "refuse_all",
]

_SECCOMP, _EXECVE, IOCTL, PRCTL = {"x86_64": (317, 59, 16, 157), "aarch64": (277, 221, 29, 167)}[platform.machine()]
PPOLL, RECVFROM, RECVMSG, SIGNALFD, SOCKETPAIR = {
    "x86_64": (271, 45, 47, 289, 53),
    "aarch64": (73, 207, 212, 74, 199),
}[platform.machine()]
CLOSE_RANGE, _PIDFD_GETFD = 436, 438
CHDIR = {"x86_64": 80, "aarch64": 49}[platform.machine()]
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ALLOW, _ERRNO, _USER_NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # classic BPF, 32 bits wide
_NUMBER = 0  # offsets into struct seccomp_data
_NOTIFICATION, _ANSWER = struct.Struct("=QII16xQ40x"), struct.Struct("=QqiI")
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1

_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _install(flags: int, *instructions: tuple[int, int, int, int]) -> int:
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    program = struct.pack("@HP", len(instructions), ctypes.addressof(buffer))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return _call(_SECCOMP, _SET_MODE_FILTER, flags, program)


def refuse(number: int, error: int, argument: int, place: int = 1) -> None:
    """Lets a system call with that argument fail: the second, where no other place is named."""
    _install(
        0,
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 0, 3, number),
        (_LOAD, 0, 0, 16 + 8 * place),
        (_JUMP_IF_EQUAL, 0, 1, argument),
        (_RETURN, 0, 0, _ERRNO | error),
        (_RETURN, 0, 0, _ALLOW),
    )


def refuse_all(number: int, error: int) -> None:
    """Lets a system call fail."""
    _install(
        0,
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 0, 1, number),
        (_RETURN, 0, 0, _ERRNO | error),
        (_RETURN, 0, 0, _ALLOW),
    )


def listener(*numbers: int) -> int:
    """Every such call waits from now on until the descriptor, read as a `Gate` reads it, has an answer."""
    jumps = [(_JUMP_IF_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    return _install(_NEW_LISTENER, (_LOAD, 0, 0, _NUMBER), *jumps, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _USER_NOTIFY))


class Gate:
    """Every such call, an execve if nothing else is said, waits from now on until it is let through."""

    def __init__(self, call: int = _EXECVE) -> None:
        self._listener = _install(
            _NEW_LISTENER,
            (_LOAD, 0, 0, _NUMBER),
            (_JUMP_IF_EQUAL, 0, 1, call),
            (_RETURN, 0, 0, _USER_NOTIFY),
            (_RETURN, 0, 0, _ALLOW),
        )

    def arrival(self) -> tuple[int, int]:
        """Waits for the next of them: what to let through, and the pid of who is held."""
        identity, pid, _ = self.asked()
        return identity, pid

    def asked(self) -> tuple[int, int, int]:
        """The same, and the call's first argument."""
        notification = bytearray(_NOTIFICATION.size)
        fcntl.ioctl(self._listener, _RECEIVE, notification)
        identity, pid, _, argument = _NOTIFICATION.unpack(notification)
        return identity, pid, argument

    def let_through(self, identity: int) -> None:
        fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(identity, 0, 0, _CONTINUE))

    def answer(self, identity: int, error: int) -> None:
        """Lets it fail."""
        fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(identity, 0, -error, 0))


def duplicate_from(pid: int, descriptor: int) -> int:
    """Another process's descriptor, duplicated into this one."""
    pidfd = os.pidfd_open(pid)
    try:
        return _call(_PIDFD_GETFD, pidfd, descriptor, 0)
    finally:
        os.close(pidfd)
