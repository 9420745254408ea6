"""Calls of a process behind a filter that asks: seccomp_unotify(2)."""

from __future__ import annotations

import errno
import os
import select
import struct
from typing import Final, NamedTuple

__all__ = ["Call", "Listener"]

# _IOWR('!', 0, struct seccomp_notif), _IOWR('!', 1, struct seccomp_notif_resp), _IOW('!', 2, __u64)
_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
_LENGTH: Final = 80
_GO_ON: Final = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE


def _ioctl(descriptor: int, request: int, data: bytes | bytearray) -> None:
    import fcntl  # not on Windows, where this module is imported all the same

    fcntl.ioctl(descriptor, request, data)


class Call(NamedTuple):
    """A call that waits for an answer."""

    key: int
    thread: int
    """The caller's number, as this process sees it."""
    data: bytes
    """struct seccomp_data: what a filter judges by."""

    @property
    def number(self) -> int:
        (number,) = struct.unpack_from("=i", self.data)
        return int(number)

    @property
    def arguments(self) -> tuple[int, ...]:
        return struct.unpack_from("=6Q", self.data, 16)


class Listener:
    """The listening end, this one's to close."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def close(self) -> None:
        """Once or again. Calls that wait, and that are made from now on, fail with ENOSYS."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def has_ended(self) -> bool:
        """Is nobody left behind the filter (Linux 5.9)?"""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return any(events & select.POLLHUP and not events & select.POLLIN for _, events in poll.poll(0))

    def received(self) -> Call | None:
        """The next one, for which the descriptor has become readable; None where its process has died meanwhile."""
        buffer = bytearray(_LENGTH)
        try:
            _ioctl(self.descriptor, _RECEIVE, buffer)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        key, thread, _ = struct.unpack_from("=QII", buffer)
        return Call(key, thread, bytes(buffer[16:]))

    def is_valid(self, call: Call) -> bool:
        """Does it still wait? Then what was read of its process was of that process."""
        try:
            _ioctl(self.descriptor, _IS_VALID, struct.pack("=Q", call.key))
        except OSError:
            return False
        return True

    def answer(self, call: Call, error: int) -> None:
        """0: it goes on; otherwise it fails with this error number. Nothing where its process has died."""
        response = struct.pack("=QqiI", call.key, 0, -error, 0 if error else _GO_ON)
        try:
            _ioctl(self.descriptor, _SEND, bytearray(response))
        except OSError as failure:
            if failure.errno != errno.ENOENT:
                raise
