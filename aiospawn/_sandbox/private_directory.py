"""A directory for the temporary files of one command: made before its launch, removed when its tree has ended.

What a command leaves there may be made to resist: directories without permissions, or so many within each other that no path
leads to the last. So each is opened by its name in one directory and gets back its permissions, and what is in it goes up to
there: nothing is deeper than that, and no symbolic link is followed.

A process that is killed leaves its directories behind. They are locked for as long as it lives (flock(2)): so the next
one of its user's that makes such a directory knows them, and removes them.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import itertools
import os
import secrets
import tempfile
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PrivateDirectory"]

_PREFIX: Final = "aiospawn-tmp-"
_AT_ONCE: Final = 500  # files and directories that the event loop removes itself
_RESTS: Final = (0.0, 0.01, 0.1, 1.0)  # seconds: of who is still being killed
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_swept: set[tuple[int, str]] = set()  # by this process, where
_made_here: dict[str, tuple[int, int]] = {}  # until they are removed: the descriptor, and who made it


class PrivateDirectory:
    """The directory, until it is removed. Its descriptor keeps the lock."""

    __slots__ = ("__weakref__", "_removal", "descriptor", "path")

    def __init__(self, user: int | None, group: int | None) -> None:
        """Makes it, for this user and group unless they are given. Raises OSError; then nothing is left."""
        _sweep(tempfile.gettempdir())
        self.path, self.descriptor = _made()
        _made_here[self.path] = self.descriptor, os.getpid()
        self._removal = weakref.finalize(self, _remove, self.path, self.descriptor, os.getpid(), soon=False)
        self._removal.atexit = False  # a thread that is started then is not waited for
        try:
            if user is not None or group is not None:
                os.chown(self.descriptor, -1 if user is None else user, -1 if group is None else group)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """With all that is in it; what is large, by a thread. Once only."""
        if self._removal.detach() is not None:
            _remove(self.path, self.descriptor, os.getpid(), soon=True)


def _made() -> tuple[str, int]:
    while True:
        try:
            path = tempfile.mkdtemp(prefix=_PREFIX)
        except OSError as error:
            error.step = "sandbox"  # type: ignore[attr-defined]
            raise
        with contextlib.suppress(FileNotFoundError):  # another process took it for one that was left behind
            descriptor = os.open(path, _OPEN)
            if _is_locked(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return path, descriptor
            os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Is it this process's now? On a file system without locks it is as well, and is never swept."""
    import fcntl  # not on Windows, where this module is imported all the same

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EINTR)
    return True


# ---- removal --------------------------------------------------------------------------------------------------------------


def _remove(path: str, descriptor: int, maker: int, *, soon: bool) -> None:
    """`soon`: nobody writes there any more, so that a small one is removed by the caller."""
    if os.getpid() != maker:  # a copy of it in a fork
        return
    _made_here.pop(path, None)
    if soon and _is_gone(path, descriptor, _AT_ONCE):
        os.close(descriptor)
        return
    try:
        threading.Thread(target=_finish, args=(path, descriptor), name="aiospawn-removal").start()
    except RuntimeError:  # the interpreter is ending, or there can be no more threads
        _finish(path, descriptor)


@atexit.register
def _remove_all() -> None:
    for path, (descriptor, maker) in [*_made_here.items()]:
        if maker == os.getpid():
            _finish(path, descriptor)


def _finish(path: str, descriptor: int) -> None:
    for rest in _RESTS:
        time.sleep(rest)
        if _is_gone(path, descriptor):
            break
    os.close(descriptor)


def _is_gone(path: str, descriptor: int, most: int | None = None) -> bool:
    """Removes it, or `most` files and directories of it. Is nothing left?"""
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o700)
    _empty(descriptor, itertools.count() if most is None else iter(range(most)))
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _empty(top: int, numbers: Iterator[int]) -> None:
    """What cannot be removed stays. One of the numbers is taken for each file and directory, as long as there are any."""
    unique = secrets.token_hex(8)
    waiting = ["."]
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(OSError):
            here = _opened(top, name)
            try:
                with os.scandir(here) as entries:
                    for entry in entries:
                        number = next(numbers, None)
                        if number is None:
                            return
                        _take_out(top, here, entry, waiting, f"{unique}-{number}")
            finally:
                os.close(here)
            if name != ".":
                os.rmdir(name, dir_fd=top)


def _opened(top: int, name: str) -> int:
    """A directory, which may have been made unreadable. The descriptor means it even if it is replaced meanwhile."""
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
    try:
        if os.fstat(place).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{place}", 0o700)
        return os.open(".", _OPEN, dir_fd=place)
    finally:
        os.close(place)


def _take_out(top: int, here: int, entry: os.DirEntry[str], waiting: list[str], name: str) -> None:
    with contextlib.suppress(OSError):
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=here)
        elif os.path.samestat(os.fstat(here), os.fstat(top)):
            waiting.append(entry.name)
        else:
            os.close(_opened(here, entry.name))  # its own permissions count, too: another directory is above it then
            os.rename(entry.name, name, src_dir_fd=here, dst_dir_fd=top)
            waiting.append(name)


# ---- what was left behind -----------------------------------------------------------------------------------------------


def _sweep(directory: str) -> None:
    """Removes those of this user's processes that are gone, once for each directory."""
    if (os.getpid(), directory) in _swept:
        return
    _swept.add((os.getpid(), directory))
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                _sweep_one(entry.path)


def _sweep_one(path: str) -> None:
    import fcntl

    with contextlib.suppress(OSError):
        descriptor = os.open(path, _OPEN)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # of a process that lives
            os.close(descriptor)
        else:
            _remove(path, descriptor, os.getpid(), soon=True)
