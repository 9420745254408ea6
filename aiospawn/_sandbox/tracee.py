"""What the arguments of another process's call refer to: texts, addresses, paths, sockets."""

from __future__ import annotations

import os
import re
import socket
from typing import Final

from aiospawn._binding import restrictions as kernel

__all__ = ["Tracee"]

_HERE: Final = -100  # AT_FDCWD
_PAGE: Final = 4096
_MOST_LINKS: Final = 40  # as the kernel
_MAGIC: Final = re.compile(r"/proc/\d+/(?:task/\d+/)?(?:fd/\d+|exe|cwd|root)")


class Tracee:
    """A thread that waits in a call. Every method raises OSError where it cannot be looked into."""

    __slots__ = ("_process", "_thread")

    def __init__(self, thread: int) -> None:
        self._thread = thread
        with open(f"/proc/{thread}/status") as status:
            self._process = next(int(line.split()[1]) for line in status if line.startswith("Tgid:"))

    def memory(self, address: int, length: int) -> bytes:
        """As much of it as is mapped."""
        with open(f"/proc/{self._thread}/mem", "rb", buffering=0) as memory:
            return os.pread(memory.fileno(), length, address)

    def text(self, address: int) -> str:
        """A path: up to its NUL."""
        return os.fsdecode(self.memory(address, _PAGE).partition(b"\0")[0])

    def of_descriptor(self, fd: int) -> str | None:
        """The path of what is open there; None for what has none."""
        target = os.readlink(f"/proc/{self._process}/fd/{fd}")
        return target if target.startswith("/") else None

    def socket(self, fd: int) -> socket.socket:
        """The same socket."""
        return socket.socket(fileno=kernel.descriptor_of(self._process, fd))

    def path(self, directory: int, name: str, *, follow: bool = True) -> str | None:
        """Where a name leads, without symbolic links. None for nothing that has a path.

        Args:
            directory: The descriptor that it is relative to, as openat(2) takes it.
            name: Relative or absolute.
            follow: Whether its last part is followed where it is a link.
        """
        start = "/"
        if not name.startswith("/"):
            descriptor = directory & 0xFFFFFFFF
            fd = descriptor - (1 << 32) if descriptor >> 31 else descriptor
            start = os.readlink(f"/proc/{self._thread}/cwd") if fd == _HERE else self.of_descriptor(fd) or ""
            if not start:
                return None
        return self._followed(start, name.split("/"), follow=follow)

    def _followed(self, at: str, parts: list[str], *, follow: bool) -> str | None:
        """With links of /proc as the other process sees them."""
        links, parts = 0, [part for part in parts if part not in ("", ".")]
        while parts:
            part = parts.pop(0)
            if part == "..":
                at = os.path.dirname(at)
                continue
            if at == "/proc" and part in ("self", "thread-self"):
                part = str(self._process) if part == "self" else f"{self._process}/task/{self._thread}"
            below = os.path.join(at, part)
            if not parts and not follow:
                return below
            try:
                target = os.readlink(below)
            except OSError:
                at = below
                continue
            links += 1
            if links > _MOST_LINKS:
                return below
            if _MAGIC.fullmatch(below):
                if not target.startswith("/"):
                    return None
                at = target
                continue
            at = "/" if target.startswith("/") else at
            parts = [each for each in target.split("/") if each not in ("", ".")] + parts
        return at
