"""The paths of a sandbox: absolute from the beginning, opened once when the sandbox is compiled."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, final

from aiospawn._options.values import own_path

__all__ = [
    "DEVICES",
    "NETWORK_FILES",
    "SYSTEM",
    "SYSTEM_FILES",
    "IfExists",
    "Opened",
    "checked_paths",
    "opened",
    "system_rules",
]

# What it takes to run programs of the system. A symbolic link is followed when it is opened.
SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
SYSTEM_FILES: Final = ("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/alternatives")
NETWORK_FILES: Final = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
    *("/etc/protocols", "/etc/ssl", "/etc/pki", "/etc/ca-certificates"),
)
_LINKERS: Final = ("/lib*/ld-linux*.so.*", "/lib/*/ld-linux*.so.*", "/lib/ld-musl-*.so.*")
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def _linkers() -> list[str]:
    """The kernel executes them as the interpreters of programs."""
    return [path for pattern in _LINKERS for path in glob.glob(pattern)]


@final
class IfExists:
    """A path of a `Sandbox` that need not be there: `Sandbox(read=[IfExists("/etc/ssl")])`.

    Without it a path that is not there is an error when the sandbox is used.

    Args:
        path: str, bytes or a path object.
    """

    __slots__ = ("path",)

    path: str | bytes

    def __init__(self, path: Any) -> None:
        object.__setattr__(self, "path", os.fspath(own_path("IfExists")("" if path is None else path)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an IfExists is immutable: {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, IfExists) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"IfExists({self.path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return IfExists, (self.path,)


def system_rules(*, network: bool, executes: bool) -> Iterator[tuple[str, list[IfExists]]]:
    """What a sandbox allows of the system: "execute" and "read" with all below, or "device": to read and to write.

    `executes`: programs may be executed; otherwise only the dynamic linkers, which other programs need.
    """
    yield ("execute" if executes else "read"), [IfExists(path) for path in SYSTEM]
    if not executes:
        yield "execute", [IfExists(path) for path in _linkers()]
    yield "read", [IfExists(path) for path in SYSTEM_FILES]
    yield "device", [IfExists(path) for path in DEVICES]
    if network:
        yield "read", [IfExists(path) for path in NETWORK_FILES]


def checked_paths(name: str, value: Any) -> tuple[str | IfExists, ...]:
    """Absolute paths, by the directory of this process now. `..` and symbolic links are left to the kernel.

    Raises TypeError for one path instead of a collection and for what is no path, ValueError for an empty one.
    """
    if isinstance(value, (str, bytes, os.PathLike, IfExists)) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be a collection of paths, not {value!r}")
    return tuple(
        IfExists(_absolute(name, path.path)) if isinstance(path, IfExists) else _absolute(name, path) for path in value
    )


def _absolute(name: str, value: Any) -> str:
    if value is None:
        raise TypeError(f"{name} must hold paths, not {value!r}")
    path = os.fsdecode(own_path(f"a path in {name}")(value))
    if not path:
        raise ValueError(f"a path in {name} is empty: {value!r}")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ValueError(f"a path in {name} is none, for it cannot be encoded: {value!r}") from None
    return os.path.join(os.getcwd(), path) if not path.startswith("/") else path


class Opened(NamedTuple):
    """A path, opened with O_PATH, the caller's to close."""

    path: str
    descriptor: int
    is_directory: bool
    is_device: bool


def opened(name: str, paths: Iterable[str | IfExists]) -> Iterator[Opened]:
    """Opens one path after the other. Raises the OSError of the first that is not there, with the option's name."""
    for path in paths:
        text = os.fsdecode(path.path) if isinstance(path, IfExists) else path
        try:
            descriptor = os.open(text, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if isinstance(path, IfExists) and isinstance(error, (FileNotFoundError, NotADirectoryError)):
                continue
            named = OSError(error.errno, f"{os.strerror(error.errno or 0)} (sandbox {name})", text)
            named.step = "sandbox"  # type: ignore[attr-defined]
            raise named from None
        mode = os.fstat(descriptor).st_mode
        yield Opened(text, descriptor, stat.S_ISDIR(mode), stat.S_ISCHR(mode) or stat.S_ISBLK(mode))
