"""The exceptions that a launch raises: the stdlib's, with the step that failed."""

from __future__ import annotations

import errno as _errno
import os
import signal
import subprocess

__all__ = ["STATUS_LOST", "bad_descriptor", "child_died", "no_init", "preexec_fn_raised", "step_failed", "unsupported"]

STATUS_LOST = "exit status of child %s is lost: somebody else waited for it; returncode 255"  # logged

# Steps whose error the stdlib raises without remark: the file name says what the operand was.
_PLAIN = frozenset({"execve", "chdir"})


def step_failed(errno: int, step: str, operand: str, filename: str | bytes | None) -> OSError:
    """The exception for a child that could not be set up: the subclass that `errno` asks for, with `.step`.

    `step` is the system call's name, "execve" where the program itself could not be run; `operand` what it was given.
    """
    text = os.strerror(errno)
    if step not in _PLAIN:
        text = f"{text} ({step} {operand})" if operand else f"{text} ({step})"
    error = OSError(errno, text) if filename is None else OSError(errno, text, filename)
    error.step = step  # type: ignore[attr-defined]
    return error


_NO_INIT = {
    _errno.EOPNOTSUPP: "it is the launcher, which cannot be executed here",
    _errno.EPERM: "the launcher would have other privileges than this process",
}


_NO_NAMESPACE = {
    _errno.EPERM: "a PID namespace needs CAP_SYS_ADMIN, or user namespaces that this process may make",
    _errno.ENOSPC: "user or PID namespaces: a limit of /proc/sys/user is reached",
    _errno.EUSERS: "user namespaces: they are nested too deep",
    _errno.EINVAL: "this process's children go to another PID namespace than its own",
}


def no_init(error: OSError, *, namespace: bool) -> OSError:
    """The exception for an init that could not be made, as the native part reports it."""
    reason = (_NO_INIT | _NO_NAMESPACE if namespace else _NO_INIT).get(error.errno or 0, "")
    return step_failed(error.errno or 0, "init", reason, None)


def child_died(signum: int) -> OSError:
    """The exception for a child that was killed before it could run its program."""
    try:
        name = signal.Signals(signum).name
    except ValueError:
        name = f"signal {signum}"
    error = ChildProcessError(_errno.ECHILD, f"the child was killed by {name} before it could run the program")
    error.step = "execve"  # type: ignore[attr-defined]
    return error


def preexec_fn_raised() -> subprocess.SubprocessError:
    """The exception for a child whose `preexec_fn` raised: the stdlib's, in the stdlib's words."""
    error = subprocess.SubprocessError("Exception occurred in preexec_fn.")
    error.step = "preexec_fn"  # type: ignore[attr-defined]
    return error


def bad_descriptor(option: str, value: object) -> OSError:
    """The exception for an option whose descriptor is not open: EBADF, as the stdlib raises it."""
    return OSError(_errno.EBADF, f"{os.strerror(_errno.EBADF)} ({option}={value!r})")


def unsupported(what: str, reasons: tuple[str, ...]) -> NotImplementedError:
    """The exception for something that only the native spawner can do, where it does not run."""
    return NotImplementedError(f"{what} needs the native spawner, which does not run here: {'; '.join(reasons)}")
