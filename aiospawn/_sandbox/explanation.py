"""What a sandbox allows and refuses, in words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aiospawn._binding import cgroups

from .network import Network
from .paths import IfExists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .restrictions import Restriction
    from .sandbox import Sandbox

__all__ = ["explanation"]

_ALWAYS = (
    "has no capability, and gains no privilege by a program's file",
    "does not signal, trace or read processes outside",
    "makes no namespace, no mount, no key, no System V or POSIX message or shared memory object, no io_uring",
)


def explanation(sandbox: Sandbox, lacking: Iterable[Restriction]) -> str:
    return "\n".join(
        [*_files(sandbox), *_network(sandbox), *_limits(sandbox), *_ALWAYS, *_calls(sandbox), *_lacking(sandbox, lacking)]
    )


def _shown(paths: Iterable[str | IfExists]) -> str:
    return ", ".join(f"{os.fsdecode(path.path)} (if it exists)" if isinstance(path, IfExists) else path for path in paths)


def _files(sandbox: Sandbox) -> Iterator[str]:
    if sandbox.system and sandbox.syscalls.policy == "compute":
        yield "reads: the system's programs and libraries (/usr, /bin, /sbin, /lib, ...)"
        yield "reads and writes: /dev/null, /dev/zero, /dev/full, /dev/random, /dev/urandom"
    elif sandbox.system:
        yield "reads and executes: the system's programs and libraries (/usr, /bin, /sbin, /lib, ...)"
        yield "reads and writes: /dev/null, /dev/zero, /dev/full, /dev/random, /dev/urandom"
    for words, paths in (
        ("reads", sandbox.read),
        ("reads and executes", sandbox.execute),
        ("reads, makes, changes and removes", sandbox.write),
    ):
        if paths:
            yield f"{words}: {_shown(paths)}"
    if sandbox.write:
        yield "may change mode, owner, times and attributes of every file that its user may"
    else:
        yield "writes no other file, and changes no file's mode, owner, times or attributes"
    if not sandbox.hide:
        if sandbox.tmp:
            yield "has a directory of its own for temporary files, which is empty at first and gone afterwards"
        yield "sees of other files whether they exist, their size, owner and times"
        return
    yield "sees no other file and no other process; its own /proc; it has a host name, IPC and process numbers of its own"
    for path, size in (("/tmp", sandbox.tmp), ("/home/user", sandbox.home)):  # noqa: S108
        if size is not False:
            yield f"writes to {path}, which is empty at first and gone afterwards"


def _network(sandbox: Sandbox) -> Iterator[str]:
    network = sandbox.network
    if isinstance(network, Network):
        yield f"connects by TCP to ports: {', '.join(map(str, network.connect)) or 'none'}"
        yield f"listens by TCP on ports: {', '.join(map(str, network.bind)) or 'none'}"
        yield f"has {'UDP, to everywhere' if network.udp else 'no UDP'}"
    elif network == "loopback":
        yield "has a network of its own, with the loopback interface alone"
    else:
        yield "has the network" if network else "has no network"
    yield f"{'connects' if sandbox.unix_sockets else 'does not connect'} to Unix sockets of the file system"


def _limits(sandbox: Sandbox) -> Iterator[str]:
    limits = sandbox.limits
    if limits is None:
        yield "may take as much memory, time, processes and space as it gets"
        return
    of_all = {"memory": "bytes of memory", "processes": "processes", "cpu_seconds": "s of processor time", "wall": "s"}
    limited = [f"{getattr(limits, name)} {unit}" for name, unit in of_all.items() if getattr(limits, name) is not None]
    if limited:
        yield f"is killed, with all that it started, at more than: {', '.join(limited)}"
    if limits.memory is not None:
        yield _keeper_of_memory()
    if limits.file_size is not None:
        yield f"writes no file of more than {limits.file_size} bytes"
    if limits.open_files is not None:
        yield f"has at most {limits.open_files} descriptors in each process"


def _keeper_of_memory() -> str:
    found = cgroups.delegated()
    if found.directory is not None:
        return f"memory is bounded by the kernel, in a cgroup below {found.directory}"
    return f"memory is counted by init, 100 times a second, unless init_cgroup names a cgroup for that: {found.lack}"


def _calls(sandbox: Sandbox) -> Iterator[str]:
    calls = sandbox.syscalls
    if calls.policy == "compute":
        yield "makes no socket and no process; executes only what was named for that"
    if calls.allow:
        yield f"but may, whatever comes of it: {', '.join(sorted(calls.allow))}"
    if calls.deny:
        yield f"is refused besides: {', '.join(sorted(calls.deny))}"
    if calls.answer == "kill":
        yield "is killed where a system call is refused"


def _lacking(sandbox: Sandbox, lacking: Iterable[Restriction]) -> Iterator[str]:
    for restriction in lacking:
        allowed = sandbox.at_least is not None and restriction.name not in sandbox.at_least
        consequence = "goes without" if allowed else "a launch is refused"
        lack = f"{restriction.name} needs {restriction.need}, this kernel has {restriction.have}"
        yield f"NOT ENFORCED HERE, {consequence}: {lack}"
