"""The process's own environment, for children that inherit it."""

from __future__ import annotations

import os

from ._clib import ffi, lib

__all__ = ["inherited"]


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


def inherited() -> tuple[int, bytes]:
    """How many variables it has, and the NUL-terminated strings."""
    assert _environment is not None
    return _environment.read()
