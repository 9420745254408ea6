"""Which files the kernel executes for one program: its interpreters as well."""

from __future__ import annotations

import os
import struct
from typing import Final

__all__ = ["executed"]

_INTERPRETER: Final = 3  # PT_INTERP
_MOST_SCRIPTS: Final = 5  # as the kernel: one script may name another


def executed(path: str) -> list[str]:
    """The program, the interpreter that its first line or its header names, and so on. None of a file that is no program."""
    found: list[str] = []
    for _ in range(_MOST_SCRIPTS):
        try:
            with open(path, "rb") as program:
                if not os.access(path, os.X_OK):
                    break
                found.append(path)
                head = program.read(256)
                if head.startswith(b"#!"):
                    words = head[2:].partition(b"\n")[0].split()
                    interpreter = words[0] if words else b""
                else:
                    interpreter = _linker(head, program.fileno())
        except PermissionError:  # it may be executed all the same
            found.append(path)
            break
        except OSError:
            break
        if not interpreter:
            break
        path = os.path.realpath(os.fsdecode(interpreter))
    return found


def _linker(head: bytes, descriptor: int) -> bytes:
    """Of an ELF file of 64 bits: elf(5)."""
    if not head.startswith(b"\x7fELF\x02") or len(head) < 64:
        return b""
    (offset,) = struct.unpack_from("=Q", head, 32)
    size, count = struct.unpack_from("=HH", head, 54)
    for number in range(count):
        entry = os.pread(descriptor, 56, offset + number * size)
        if len(entry) < 56:
            break
        kind, place, length = struct.unpack_from("=I4xQ16xQ", entry)
        if kind == _INTERPRETER:
            return os.pread(descriptor, length, place).partition(b"\0")[0]
    return b""
