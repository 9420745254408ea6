"""The fixture `hook`: functions in C for `hook=`, compiled once."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from aiospawn import NativeHook

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["hook", "library"]

_SOURCE = r"""
#if defined(__x86_64__)
enum { RT_SIGPROCMASK = 14, GETUID = 102, FCNTL = 72 };
static long call(long number, long a, long b, long c, long d) {
  long result = number;
  register long fourth __asm__("r10") = d;
  __asm__ volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
enum { RT_SIGPROCMASK = 135, GETUID = 174, FCNTL = 25 };
static long call(long number, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
       x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}
#endif

int give(void *number) { return (int)(long)number; }

int crash(void *address) { return *(volatile int *)address; }

int trap(void *unused) { (void)unused; __builtin_trap(); }

int user_is(void *user) { return call(GETUID, 0, 0, 0, 0) == (long)user ? 0 : 1; }

int has_descriptor(void *fd) {
  long result = call(FCNTL, (long)fd, 1, 0, 0);
  return result < 0 ? (int)-result : 0;
}

int signals_are_blocked(void *unused) {
  (void)unused;
  unsigned long mask = 0;
  call(RT_SIGPROCMASK, 0, 0, (long)&mask, sizeof mask);
  return mask == ~(1ul << 8 | 1ul << 18) ? 0 : 2; /* SIGKILL and SIGSTOP cannot be */
}

int write_one(void *memory) { *(volatile char *)memory = 1; return 0; }

/* So many bytes of stack, each page touched. */
int use_stack(void *size) {
  long left = (long)size;
  volatile char room[4096];
  room[0] = room[4095] = 1;
  if (left <= 4096) return room[0] - 1;
  return use_stack((void *)(left - 4096)) + room[4095] - 1;
}
"""

_FLAGS = ["-O1", "-shared", "-fPIC", "-nostdlib", "-ffreestanding", "-fno-stack-protector"]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("there is no C compiler")
    directory = tmp_path_factory.mktemp("hook")
    (directory / "hook.c").write_text(_SOURCE)
    subprocess.run([compiler, *_FLAGS, "-o", directory / "hook.so", directory / "hook.c"], check=True)
    return str(directory / "hook.so")


@pytest.fixture
def hook(library: str) -> Callable[..., NativeHook]:
    """A hook by the function's name. The library stays loaded."""
    loaded = ctypes.CDLL(library)

    def make(name: str, argument: Any = 0) -> NativeHook:
        address = ctypes.cast(loaded[name], ctypes.c_void_p).value
        assert address
        return NativeHook(address, argument)

    return make
