"""A child that `subprocess`'s own fork makes, for `preexec_fn`: Python code runs in it, between two steps of the launch.

The fork is CPython's, with all that CPython does round one: at-fork functions, the import lock, no garbage collection in the
child, RuntimeError in a sub-interpreter. Everything else of the launch is as in any other: the same request, the same steps,
the same reports (aiospawn.h, `aiospawn_fork_prepare`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiospawn._binding.native import Launched, Native
    from aiospawn._request.request import Request

__all__ = ["forked"]


def forked(native: Native, request: Request) -> Launched:
    """Forks a child. Raises OSError, and RuntimeError in a sub-interpreter; then nothing was created.

    It holds the loop for the fork, which copies the page tables; not for what the child does then.
    """
    preexec_fn: Any = request.options.preexec_fn
    own_environment = request.options.env is None  # also what preexec_fn changes in it

    def in_child() -> None:
        try:
            native.run_steps()
            preexec_fn()
            native.execute(own_environment=own_environment)  # here, lest a signal's handler raises between the two, outside
        except BaseException:  # noqa: BLE001 - SystemExit too, as in subprocess
            native.refuse()

    newest = native.newest
    pids: list[int] = []
    try:
        gate = native.prepare(request.data)
        pids.extend(_forking(in_child, gate))
        return native.adopt(pids[0])
    except BaseException:
        if native.newest == newest:
            native.withdraw()
            if pids:
                _reap(pids[0])
        raise


def _forking(in_child: Callable[[], None], gate: int) -> map[int]:
    """Forks when a list extends itself by this, and is the pid.

    So no bytecode runs between the fork and the list that keeps the pid: no signal's handler can raise there and lose it.
    """
    from _posixsubprocess import fork_exec

    # CPython is to set up nothing and to execute nothing: `in_child` does not return. But it closes the gate.
    arguments = (
        *([b""], (b"",), False, (), None, None),  # args, executables, close_fds, fds_to_keep, cwd, env
        *(-1, -1, -1, -1, -1, -1),  # both ends of each stream
        *(gate, -1),  # errpipe_read, closed in the child; errpipe_write
        *(False, False, -1),  # restore_signals, start_new_session, process_group
        *(None, None, None, -1),  # group, extra_groups, user, umask
        in_child,  # preexec_fn
        *(() if sys.version_info >= (3, 14) else (False,)),  # allow_vfork
    )
    return map(fork_exec, *([argument] for argument in arguments))


def _reap(pid: int) -> None:
    """It was not adopted: it waits to be, or exits by itself. Its number is its own as long as nobody else waits for it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
