"""The private view of a sandbox: namespaces, and a file system in which there is only what was named, as steps of a launch.

Mounts are made anew for each launch, by paths, for the kernel binds mounts of its own namespace alone (open_tree(2)). What a
path of the user's led to when the sandbox was compiled is remembered by device and inode: a launch fails with ESTALE where
something else is there. Where places overlap, one that is below another also has what that one allows.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from aiospawn._binding.library import Step, ViewOperation

from . import paths, ruleset
from .network import is_own
from .places import is_below, settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .network import Network
    from .paths import IfExists

__all__ = ["View", "network_alone"]

_NEW_MOUNTS, _NEW_UTS, _NEW_IPC, _NEW_NETWORK = 0x00020000, 0x04000000, 0x08000000, 0x40000000  # <linux/sched.h>
_STREAMS: Final = (b"stdin", b"stdout", b"stderr")
_READ_ONLY, _NO_PRIVILEGES, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8  # MOUNT_ATTR_*, mount_setattr(2)

_LINKS: Final = {b"fd": b"/proc/self/fd", **{name: b"/proc/self/fd/%d" % fd for fd, name in enumerate(_STREAMS)}}


class _Place(NamedTuple):
    option: str
    """Of the sandbox, that names it."""
    path: str
    """Outside of the view."""
    identity: tuple[int, int, int]
    """Minor and major number of the device, inode; three times 0: whatever is there."""
    is_writable: bool
    is_executable: bool
    is_device: bool
    is_directory: bool
    has_ioctl: bool

    def joined(self, other: _Place) -> _Place:
        """One that allows what either does."""
        kept = self if any(self.identity) else other
        return kept._replace(
            is_writable=self.is_writable or other.is_writable,
            is_executable=self.is_executable or other.is_executable,
            has_ioctl=self.has_ioctl or other.has_ioctl,
        )


class View:
    """What is to be seen, place by place."""

    __slots__ = ("_executes_anything", "_last_asked", "_links", "_named", "_places", "_tmpfs")

    def __init__(self, *, executes_anything: bool) -> None:
        """`executes_anything`: something else says what may be executed, so that mounts need not."""
        self._places: dict[str, _Place] = {}
        self._named: tuple[str, ...] = ()
        self._last_asked: tuple[str, bool] | None = None
        self._executes_anything = executes_anything
        self._links: dict[str, str] = {}
        self._tmpfs: list[tuple[str, dict[str, str]]] = []

    def show(
        self,
        name: str,
        places: Iterable[str | IfExists],
        *,
        writable: bool = False,
        executable: bool = False,
        known: bool = True,
    ) -> None:
        """These paths and what is below them. `known`: they have to lead to the same files at each launch.

        Raises the OSError of a path that is not there, with the option's name.
        """
        for place in paths.opened(name, places):
            try:
                found = os.stat(place.descriptor)
            finally:
                os.close(place.descriptor)
            identity = (os.minor(found.st_dev), os.major(found.st_dev), found.st_ino) if known else (0, 0, 0)
            is_directory = stat.S_ISDIR(found.st_mode)
            is_device = stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)
            at = _target(place.path)
            shown = _Place(name, at, identity, writable, executable, is_device, is_directory, name == "write")
            before = self._places.get(at)
            self._places[at] = shown if before is None else shown.joined(before)

    def arrange(self) -> None:
        """Finds the place of each, after all have been named. Raises ValueError for what can have none."""
        self._named = (*self._places,)
        shown = [*self._places.values()]
        self._places = {}
        links = {**self._links, **{f"/dev/{name.decode()}": to.decode() for name, to in _LINKS.items()}}
        for place, at in zip(shown, settled(self._named, links).values(), strict=True):
            if at == "/":
                raise ValueError(
                    f"sandbox {place.option}: with hide=True the whole file system cannot be named, got {place.path!r}"
                )
            if is_below(at, "/proc"):
                _check_own_proc(place, at)
                continue
            before = self._places.get(at)
            self._places[at] = place if before is None else place.joined(before)

    def show_system(self, *, network: bool, executable: bool) -> None:
        """Programs and libraries, and the devices that every program takes for granted."""
        linked = {path: os.readlink(path) for path in paths.SYSTEM if os.path.islink(path)}
        self._links = {path: to for path, to in linked.items() if to.startswith("usr/")}  # a mount each costs more
        places = (path for path in paths.SYSTEM if path not in self._links)
        self.show("system", map(paths.IfExists, places), executable=executable, known=False)
        files = (*paths.SYSTEM_FILES, *(paths.NETWORK_FILES if network else ()))
        self.show("system", map(paths.IfExists, files), known=False)
        self.show("system", map(paths.IfExists, paths.DEVICES), writable=True, known=False)

    def add_tmpfs(self, name: str, path: str, *, size: int, mode: str) -> None:
        """Raises ValueError where what is named, and mounted later, would cover it."""
        for above in self._places:
            if is_below(path, above):
                raise ValueError(f"sandbox: {name} makes {path} anew, which {above!r} cannot be named beside")
        self._tmpfs.append((path, {"mode": mode, "size": str(size)}))

    def contains(self, path: str) -> bool:
        """Can this path be there? A directory of its own is empty but for what is named in it."""
        known = self._last_asked
        if known is None or known[0] != path:  # most launches are from the same directory
            there = (*self._named, *self._places, *self._links)
            known = path, any(is_below(path, place) for place in there) or path in dict(self._tmpfs)
            self._last_asked = known
        return known[1]

    def steps(
        self, network: bool | Network | str, *, joined: int | None, user: int | None, group: int | None
    ) -> Iterator[tuple[int, int, int, bytes]]:
        """Those that make it.

        Args:
            network: That of the sandbox.
            joined: The descriptor of a network namespace for a sandbox without a network; None for a new one.
            user: The command's, unless it is this process's.
            group: Likewise.
        """
        if joined is not None:
            yield Step.SETNS, joined, _NEW_NETWORK, b""
        is_new = is_own(network) and joined is None
        namespaces = _NEW_MOUNTS | _NEW_UTS | _NEW_IPC | (_NEW_NETWORK if is_new else 0)
        yield Step.VIEW, ViewOperation.BEGIN, namespaces, b""
        if network == "loopback":
            yield Step.VIEW, ViewOperation.LOOPBACK, 0, b""
        for path, options in self._tmpfs:
            attributes = _NO_PRIVILEGES | _NO_DEVICES | self._no_programs(executable=False)
            given = options | {name: str(owner) for name, owner in (("uid", user), ("gid", group)) if owner is not None}
            texts = (path, *(text for option in given.items() for text in option), "")
            yield Step.VIEW, ViewOperation.TMPFS, attributes, b"".join(os.fsencode(text) + b"\0" for text in texts)
        # Before the mounts, so that they are made in this file system and never in a directory of outside.
        for path, to in self._links.items():
            if path not in self._places:
                yield Step.VIEW, ViewOperation.LINK, 0, b"\0".join([to.encode(), b"/", path[1:].encode(), b""])
        for name, leads_to in _LINKS.items():
            yield Step.VIEW, ViewOperation.LINK, 0, b"\0".join([leads_to, b"/dev", name, b""])
        private = _READ_ONLY | _NO_PRIVILEGES | _NO_DEVICES | _NO_PROGRAMS
        yield Step.VIEW, ViewOperation.PROC, private, b"/proc\0"
        for path in sorted(self._places, key=lambda path: path.count("/")):
            place = self._places[path]
            texts = (place.path, path)
            data = struct.pack("=IIQ", *place.identity) + b"".join(os.fsencode(text) + b"\0" for text in texts)
            yield Step.VIEW, ViewOperation.BIND, self._attributes(path), data
        yield Step.VIEW, ViewOperation.END, private, b""

    def rules(self, abi: int, network: bool | Network) -> bytes:
        """Landlock's for what is in it: a second fence, which also holds where a descriptor leads out of the view."""
        handled, *others = ruleset.handled_by(abi, network)
        rules = [("/", ruleset.READ), *((path, ruleset.WRITE) for path, _ in self._tmpfs)]
        for path, place in self._places.items():
            access = (ruleset.EXECUTE if place.is_executable else 0) | (ruleset.WRITE if place.is_writable else 0)
            access |= ruleset.READ
            if place.is_device and place.has_ioctl:
                access |= ruleset.DEVICE_IOCTL
            rules.append((path, access if place.is_directory else access & ruleset.OF_FILES))
        named = [(os.fsencode(path), access & handled) for path, access in rules]
        named += [(b":%d" % port, access) for port, access in ruleset.ports(abi, network)]
        head = struct.pack("=QQQ", handled, *others)
        return head + b"".join(struct.pack("=Q", access) + place + b"\0" for place, access in named if access)

    def _attributes(self, path: str) -> int:
        allowing = [place for above, place in self._places.items() if is_below(path, above)]
        attributes = _NO_PRIVILEGES | self._no_programs(executable=any(place.is_executable for place in allowing))
        if not any(place.is_writable for place in allowing):
            attributes |= _READ_ONLY
        return attributes if self._places[path].is_device else attributes | _NO_DEVICES

    def _no_programs(self, *, executable: bool) -> int:
        return 0 if executable or self._executes_anything else _NO_PROGRAMS


def network_alone() -> Iterator[tuple[int, int, int, bytes]]:
    """A network namespace whose loopback interface is up, and the file system as it is."""
    yield Step.VIEW, ViewOperation.BEGIN, _NEW_NETWORK, b""
    yield Step.VIEW, ViewOperation.LOOPBACK, 0, b""


def _target(path: str) -> str:
    """Where it is seen: under the name that it was given, or its real one if that leads upwards."""
    return os.path.realpath(path) if ".." in path.split("/") else "/" + posixpath.normpath(path).lstrip("/")


def _check_own_proc(place: _Place, at: str) -> None:
    """Its /proc has what is to be read there of the kernel, and its own processes."""
    if place.is_writable or place.is_executable:
        reason = "there is a /proc of its own, read-only"
    elif re.fullmatch(r"/proc/(\d+|self|thread-self)(/.*)?", at, re.DOTALL):
        reason = "no process of outside can be named"
    else:
        return
    raise ValueError(f"sandbox {place.option}: with hide=True {reason}, got {place.path!r}")
