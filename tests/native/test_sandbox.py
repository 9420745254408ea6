"""In a program with a seccomp filter: the system calls that it has to allow, by docs/security.md, and what refusing does."""

from __future__ import annotations

import re
import shutil
import subprocess

import fresh
import pytest
from paths import ROOT

pytestmark = pytest.mark.once

_DOCUMENT = (ROOT / "docs" / "security.md").read_text()
_ROWS: list[tuple[str, str]] = re.findall(r"^\| `(\w+)` \| .* \| (launches|hands over|an error)", _DOCUMENT, re.MULTILINE)


def _numbers() -> dict[str, int]:
    """System calls by name, as this processor's headers have them."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler")
    command = [compiler, "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)\n", shown)}


_LAUNCHES = """
import asyncio, os
import seccomp

LISTED, OTHERWISE, IF_LISTED = {listed!r}, 0x7FFF0000, 0x00050001  # allow, EPERM
if {allow}:
    OTHERWISE, IF_LISTED = IF_LISTED, OTHERWISE

def enter():
    jumps = [(0x15, len(LISTED) - place, 0, number) for place, number in enumerate(LISTED)]
    seccomp._install(0, (0x20, 0, 0, 0), *jumps, (0x06, 0, 0, OTHERWISE), (0x06, 0, 0, IF_LISTED))

import aiospawn, fresh

async def launch(**options):
    process = await aiospawn.create_subprocess_exec("/bin/cat", stdin=-1, stdout=-1, **options)
    output, _ = await process.communicate(b"text")
    assert (output, process.returncode) == (b"text", 0)
    process = await aiospawn.create_subprocess_exec("/bin/cat", stdin=-1, **options)
    process.kill()
    assert await process.wait() == -9
    try:
        await aiospawn.create_subprocess_exec("/nowhere", stdin=-1, **options)
    except FileNotFoundError:
        return
    raise AssertionError("launched what is not there")

async def main():
    try:
        if not aiospawn.supported():
            try:
                await launch()
            except PermissionError:
                assert {asyncio_may_fail}
            return "hands over"
        await launch()
        await launch(via="launcher", umask=0o22)
        if {forks}:
            await launch(preexec_fn=os.getpid)
        for _ in range(700):
            os.dup(0)
        await launch()
    except PermissionError:
        return "an error"
    return "launches"

enter()
loop = fresh.new_event_loop()
print(loop.run_until_complete(main()))
loop.close()
"""


@pytest.mark.parametrize(("name", "outcome"), _ROWS)
def test_refused(name: str, outcome: str) -> None:
    """A call that the filter refuses has the consequence that the document names."""
    forks, asyncio_may_fail = name == "pidfd_open", name == "rt_sigprocmask"
    program = _LAUNCHES.format(listed=[_numbers()[name]], allow=False, forks=forks, asyncio_may_fail=asyncio_may_fail)
    assert fresh.run(program) == f"{outcome}\n"


# What CPython, asyncio and cat call, of what this processor has.
_OTHERS = re.findall(
    r"\w+",
    """
    access arch_prctl brk clock_gettime clock_nanosleep close copy_file_range dup dup2 epoll_create1 epoll_ctl epoll_pwait
    epoll_wait exit exit_group fadvise64 fcntl fstat fstatfs ftruncate futex getcwd getdents64 getegid geteuid getgid
    getpeername getpid getppid getrandom getsockname getsockopt gettid getuid ioctl lseek lstat madvise mmap mprotect mremap
    munmap newfstatat openat poll pread64 prlimit64 read readlink readlinkat recvfrom rseq rt_sigaction rt_sigreturn
    sched_getaffinity sched_yield sendfile sendto set_robust_list set_tid_address setsockopt shutdown sigaltstack socket
    socketpair splice stat statx sysinfo tgkill umask uname write writev
    """,
)
_LAUNCHERS_WAY = ["capget", "getresgid", "getresuid", "prctl", "setfsgid", "setfsuid"]


@pytest.mark.parametrize("forks", [False, True])
def test_allowed(*, forks: bool) -> None:
    """The calls of the document, beside those that every such program makes, are enough, for each way to launch."""
    numbers = _numbers()
    names = {*_OTHERS, *_LAUNCHERS_WAY, *(name for name, _ in _ROWS)} - (set() if forks else {"clone", "pidfd_open"})
    listed = sorted(numbers[name] for name in names if name in numbers)
    assert fresh.run(_LAUNCHES.format(listed=listed, allow=True, forks=forks, asyncio_may_fail=False)) == "launches\n"
