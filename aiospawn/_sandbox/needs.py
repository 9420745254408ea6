"""What a call would need of a sandbox, were it made in one: the files, ports and sockets that it is about.

A call that fails anyhow, for what it names is not there, or is there already, needs nothing.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from .programs import executed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .tracee import Tracee

__all__ = ["CALLS", "WHERE_GIVEN", "Kind", "Need", "needs"]

Kind: TypeAlias = Literal["read", "write", "execute", "connect", "bind", "udp", "unix_sockets", "network"]


class Need(NamedTuple):
    """Something that a sandbox may allow."""

    kind: Kind
    """The argument of `Sandbox` or `Network` that would."""
    what: str = ""
    """A path without symbolic links, a port with its address, the kind of a socket."""


_HERE: Final = -100  # AT_FDCWD
_READ_ONLY, _MODES, _PATH_ONLY = os.O_RDONLY, os.O_ACCMODE, os.O_PATH
_TEMPORARY: Final = 0o20000000  # __O_TMPFILE
_EMPTY_PATH: Final = 0x1000  # AT_EMPTY_PATH
_KIND: Final = 0xF  # of a socket's type

_Call: TypeAlias = "tuple[int, ...]"


# ---- files ------------------------------------------------------------------------------------------------------------


def _opened(tracee: Tracee, directory: int, address: int, flags: int) -> Iterator[Need]:
    path = tracee.path(directory, tracee.text(address), follow=not flags & os.O_NOFOLLOW)
    if path is None or flags & _PATH_ONLY == _PATH_ONLY:
        return
    mode = _mode(path)
    if flags & _TEMPORARY:
        yield Need("write", path)
    elif mode is None:
        if flags & os.O_CREAT and _mode(os.path.dirname(path)) is not None:
            yield Need("write", os.path.dirname(path))
    elif flags & os.O_CREAT and flags & os.O_EXCL:
        return
    elif flags & _MODES != _READ_ONLY or flags & os.O_TRUNC:
        if not stat.S_ISDIR(mode):
            yield Need("write", path)
    else:
        yield Need("read", path)


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except OSError:
        return None


def _open(tracee: Tracee, call: _Call) -> Iterator[Need]:
    return _opened(tracee, _HERE, call[0], call[1])


def _openat(tracee: Tracee, call: _Call) -> Iterator[Need]:
    return _opened(tracee, call[0], call[1], call[2])


def _openat2(tracee: Tracee, call: _Call) -> Iterator[Need]:
    (flags,) = struct.unpack("=Q", tracee.memory(call[2], 8))
    return _opened(tracee, call[0], call[1], flags)


def _creat(tracee: Tracee, call: _Call) -> Iterator[Need]:
    return _opened(tracee, _HERE, call[0], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)


def _programs(path: str | None) -> Iterator[Need]:
    for each in executed(path) if path is not None else ():
        yield Need("execute", each)


def _execve(tracee: Tracee, call: _Call) -> Iterator[Need]:
    return _programs(tracee.path(_HERE, tracee.text(call[0])))


def _execveat(tracee: Tracee, call: _Call) -> Iterator[Need]:
    name = tracee.text(call[1])
    empty = not name and call[4] & _EMPTY_PATH
    return _programs(tracee.of_descriptor(call[0]) if empty else tracee.path(call[0], name))


def _entry(tracee: Tracee, directory: int, address: int, *, there: bool) -> Iterator[Need]:
    """A directory is changed: an entry is taken out that is `there`, or one is put in that is not."""
    path = tracee.path(directory, tracee.text(address), follow=False)
    if path is not None and os.path.lexists(path) == there and os.path.isdir(os.path.dirname(path)):
        yield Need("write", os.path.dirname(path))


def _entries(*places: tuple[int | None, int], there: bool) -> Callable[[Tracee, _Call], Iterator[Need]]:
    """By the places of the arguments: a directory's descriptor, None where there is none, and a path."""

    def needed(tracee: Tracee, call: _Call) -> Iterator[Need]:
        for directory, path in places:
            yield from _entry(tracee, _HERE if directory is None else call[directory], call[path], there=there)

    return needed


def _moved(*places: tuple[int | None, int]) -> Callable[[Tracee, _Call], Iterator[Need]]:
    """Both directories: the second entry may be there or not."""

    def needed(tracee: Tracee, call: _Call) -> Iterator[Need]:
        (old_directory, old), (new_directory, new) = places
        first = [*_entry(tracee, _HERE if old_directory is None else call[old_directory], call[old], there=True)]
        target = tracee.path(_HERE if new_directory is None else call[new_directory], tracee.text(call[new]), follow=False)
        if first and target is not None and os.path.isdir(os.path.dirname(target)):
            yield from (*first, Need("write", os.path.dirname(target)))

    return needed


def _changed(directory: int | None, path: int) -> Callable[[Tracee, _Call], Iterator[Need]]:
    """A file's length, mode, owner, times or attributes."""

    def needed(tracee: Tracee, call: _Call) -> Iterator[Need]:
        fd = _HERE if directory is None else call[directory]
        found = tracee.path(fd, tracee.text(call[path])) if call[path] else tracee.of_descriptor(fd)
        if found is not None and os.path.exists(found):
            yield Need("write", found)

    return needed


def _changed_open(tracee: Tracee, call: _Call) -> Iterator[Need]:
    found = tracee.of_descriptor(call[0])
    if found is not None and os.path.exists(found):
        yield Need("write", found)


# ---- sockets ----------------------------------------------------------------------------------------------------------


def _address(tracee: Tracee, fd: int, address: int, length: int, kind: Kind) -> Iterator[Need]:
    """What an address of a socket names: a port, or a path."""
    data = tracee.memory(address, min(length, 128))
    if len(data) < 2:
        return
    (family,) = struct.unpack_from("=H", data)
    if family == socket.AF_UNIX:
        yield from _named_socket(tracee, data[2:], kind)
    elif family in (socket.AF_INET, socket.AF_INET6) and len(data) >= (8 if family == socket.AF_INET else 24):
        with tracee.socket(fd) as own:
            if own.type == socket.SOCK_DGRAM:
                yield Need("udp")
                return
        raw = data[4:8] if family == socket.AF_INET else data[8:24]
        (port,) = struct.unpack_from("!H", data, 2)
        yield Need(kind, f"{port} {socket.inet_ntop(family, raw)}")


def _named_socket(tracee: Tracee, name: bytes, kind: Kind) -> Iterator[Need]:
    if not name:
        return
    if name.startswith(b"\0"):
        yield Need("unix_sockets", f"@{os.fsdecode(name[1:])}")
        return
    path = tracee.path(_HERE, os.fsdecode(name.partition(b"\0")[0]))
    if path is None:
        return
    mode = _mode(path)
    if kind == "connect" and mode is not None and stat.S_ISSOCK(mode):
        yield Need("unix_sockets", path)
    elif kind == "bind" and mode is None and os.path.isdir(os.path.dirname(path)):
        yield from (Need("unix_sockets", path), Need("write", os.path.dirname(path)))


def _connect(tracee: Tracee, call: _Call) -> Iterator[Need]:
    return _address(tracee, call[0], call[1], call[2], "connect")


def _bind(tracee: Tracee, call: _Call) -> Iterator[Need]:
    return _address(tracee, call[0], call[1], call[2], "bind")


def _sendto(tracee: Tracee, call: _Call) -> Iterator[Need]:
    return _address(tracee, call[0], call[4], call[5], "connect")


def _listen(tracee: Tracee, call: _Call) -> Iterator[Need]:
    """Without a bind before it the kernel chooses a port."""
    with tracee.socket(call[0]) as own:
        if own.family in (socket.AF_INET, socket.AF_INET6) and own.getsockname()[1] == 0:
            yield Need("bind", f"0 {own.getsockname()[0]}")


def _socket(_tracee: Tracee, call: _Call) -> Iterator[Need]:
    family, kind, protocol = (argument & 0xFFFFFFFF for argument in call[:3])
    if family in (socket.AF_INET, socket.AF_INET6):
        if kind & _KIND == socket.SOCK_RAW:
            yield Need("network", "raw sockets")
        elif kind & _KIND == socket.SOCK_DGRAM and protocol not in (0, socket.IPPROTO_UDP):
            yield Need("network", f"datagrams of protocol {protocol}")


def _socketpair(_tracee: Tracee, call: _Call) -> Iterator[Need]:
    if call[1] & _KIND == socket.SOCK_DGRAM:
        yield Need("unix_sockets", "a pair of datagram sockets")


# ---- calls by name ----------------------------------------------------------------------------------------------------

WHERE_GIVEN: Final = {"sendto": 4}
"""Of these only calls where the argument of that place is given."""

_CALLS: Final[dict[str, Callable[[Tracee, _Call], Iterator[Need]]]] = {
    "open": _open,
    "openat": _openat,
    "openat2": _openat2,
    "creat": _creat,
    "execve": _execve,
    "execveat": _execveat,
    "unlink": _entries((None, 0), there=True),
    "rmdir": _entries((None, 0), there=True),
    "unlinkat": _entries((0, 1), there=True),
    "mkdir": _entries((None, 0), there=False),
    "mkdirat": _entries((0, 1), there=False),
    "mknod": _entries((None, 0), there=False),
    "mknodat": _entries((0, 1), there=False),
    "symlink": _entries((None, 1), there=False),
    "symlinkat": _entries((1, 2), there=False),
    "rename": _moved((None, 0), (None, 1)),
    "renameat": _moved((0, 1), (2, 3)),
    "renameat2": _moved((0, 1), (2, 3)),
    "link": _moved((None, 0), (None, 1)),
    "linkat": _moved((0, 1), (2, 3)),
    **dict.fromkeys(
        ("truncate", *re.findall(r"\w+", "chmod chown lchown utime utimes setxattr lsetxattr removexattr lremovexattr")),
        _changed(None, 0),
    ),
    **dict.fromkeys(
        re.findall(r"\w+", "fchmodat fchmodat2 fchownat utimensat futimesat setxattrat removexattrat file_setattr"),
        _changed(0, 1),
    ),
    **dict.fromkeys(("fchmod", "fchown", "fsetxattr", "fremovexattr"), _changed_open),
    "connect": _connect,
    "bind": _bind,
    "sendto": _sendto,
    "listen": _listen,
    "socket": _socket,
    "socketpair": _socketpair,
}

CALLS: Final = frozenset(_CALLS)


def needs(name: str, tracee: Tracee, arguments: tuple[int, ...]) -> list[Need]:
    """Of a call by name. Raises OSError where its process cannot be looked into."""
    return [*_CALLS[name](tracee, arguments)]
