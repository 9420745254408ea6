"""Trees that do not want to end: `hostile("setsid", fd)` is the command line of one of them.

Each writes one byte to the descriptor for every process that stands. All of them keep it open, and the pipe ends with them.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import warnings

__all__ = ["SHAPES", "hostile"]


def hostile(shape: str, marker: int) -> list[str]:
    assert shape in SHAPES, shape
    return [sys.executable, "-I", "-S", __file__, shape, str(marker)]


def _stand(marker: int) -> None:
    os.write(marker, b".")


def _stay(marker: int) -> None:
    _stand(marker)
    while True:
        signal.pause()


def _forked() -> bool:
    return os.fork() == 0


def _is_read(marker: int) -> bool:
    """What forks without end cannot be found and killed by a test: it ends when nobody reads the marker any more."""
    poller = select.poll()
    poller.register(marker, 0)
    return not poller.poll(0)


def plain(marker: int) -> None:
    """One process."""
    _stay(marker)


def setsid(marker: int) -> None:
    """A child with a session of its own."""
    if _forked():
        os.setsid()
    _stay(marker)


def double_fork(marker: int) -> None:
    """A grandchild with a session of its own, whose parent is gone."""
    if _forked():
        os.setsid()
        if _forked():
            _stay(marker)
        os._exit(0)
    _stay(marker)


def daemon(marker: int) -> None:
    """A child does what the library call of that name does."""
    if _forked():
        os.setsid()
        if _forked():
            os.chdir("/")
            null = os.open("/dev/null", os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            _stay(marker)
        os._exit(0)
    os.wait()
    _stay(marker)


def nohup(marker: int) -> None:
    """A shell's background job, without SIGHUP and without a shell."""
    if marker != 9:  # a shell's redirection takes one digit
        os.dup2(marker, 9)
        os.close(marker)
    os.set_inheritable(9, True)
    script = "nohup sh -c 'echo -n . >&9; exec sleep 1000' >/dev/null 2>&1 & disown; exec sleep 1000"
    _stand(9)
    os.execvp("bash", ["bash", "-c", script])


def deaf(marker: int) -> None:
    """Everybody ignores what asks them to end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    if _forked():
        os.setsid()
    _stay(marker)


def stopped(marker: int) -> None:
    """A child that was stopped."""
    if _forked():
        os.setsid()
        _stand(marker)
        os.kill(os.getpid(), signal.SIGSTOP)
    _stay(marker)


def threads(marker: int) -> None:
    """Children of several threads, and a child whose first thread has ended."""

    def beget() -> None:
        if _forked():
            os.setsid()
            _stay(marker)
        threading.Event().wait()

    if _forked():
        threading.Thread(target=_stay, args=(marker,)).start()
        import ctypes

        ctypes.CDLL(None).pthread_exit(None)
    for _ in range(2):
        threading.Thread(target=beget, daemon=True).start()
    _stay(marker)


def deep(marker: int) -> None:
    """Generations, each in a session of its own."""
    for _ in range(20):
        if not _forked():
            break
        os.setsid()
    _stay(marker)


def wide(marker: int) -> None:
    """Many children."""
    for _ in range(50):
        if _forked():
            os.setsid()
            _stay(marker)
    _stay(marker)


def chain(marker: int) -> None:
    """A fork that runs away: each process forks one and ends."""
    if _forked():
        while _is_read(marker):
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)
    time.sleep(0.05)
    _stay(marker)


def breeding(marker: int) -> None:
    """Processes that fork without end, in sessions of their own; those that they make live for a moment."""
    for _ in range(3):
        if _forked():
            while _is_read(marker):
                if _forked():
                    os.setsid()
                    if _forked():
                        time.sleep(0.01)
                    os._exit(0)
                os.waitpid(-1, os.WNOHANG)
            os._exit(0)
    time.sleep(0.05)
    _stay(marker)


SHAPES = {  # and how many bytes it writes when it stands
    "plain": (plain, 1),
    "setsid": (setsid, 2),
    "double_fork": (double_fork, 2),
    "daemon": (daemon, 2),
    "nohup": (nohup, 2),
    "deaf": (deaf, 2),
    "stopped": (stopped, 2),
    "threads": (threads, 4),
    "deep": (deep, 21),
    "wide": (wide, 51),
    "chain": (chain, 1),
    "breeding": (breeding, 1),
}


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which is the point
    SHAPES[sys.argv[1]][0](int(sys.argv[2]))
