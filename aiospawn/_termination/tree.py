"""A child's tree, as far as signals reach: the process group that the child leads, else the child alone; and its cgroup.

- Who leaves the group (`setsid`) has left the tree, but not the cgroup.
- A signal to a group succeeds where it reaches any process (kill(2)), though its leader may be another user's.
- Before the child has made its group there is none: it is signalled alone, and cannot have descendants.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

from .handles import GroupHandle

if TYPE_CHECKING:
    from aiospawn._binding.native import Native

    from .handles import CgroupHandle

__all__ = ["InitTree", "LoopTree", "NativeTree", "Tree", "native_tree"]

_AT_A_TIME = 50  # processes that are looked at in one turn of the loop


class Tree:
    """The tree of one child, launched natively or by the loop."""

    __slots__ = ("leads_group", "pid")
    has_init = False

    def __init__(self, pid: int, *, leads_group: bool) -> None:
        self.pid = pid
        self.leads_group = leads_group

    def signal(self, signum: int) -> None:
        """To everybody in it; SIGKILL reaches the cgroup as well. Nothing happens where nobody is left.

        Raises PermissionError where nobody may be signalled; with SIGKILL also where only the child may not, which would be
        waited for in vain.
        """
        if signum == signal.SIGKILL:
            self._kill_cgroup()
        with contextlib.suppress(ProcessLookupError):
            if not self._signalled_group(signum):
                self._signal_child(signum)
            elif signum == signal.SIGKILL:
                self._signal_child(0)

    def kill(self) -> None:
        """Kills at once what may be signalled, and raises nothing: for callers that cannot wait for the end."""
        with contextlib.suppress(PermissionError):
            self.signal(signal.SIGKILL)

    def refuses(self) -> bool:
        """Was it killed, and is part of it still running, without permission to signal it? Only an init can report that."""
        return False

    def group_lives(self) -> bool:
        """Is somebody left of the group? The dead count until they are reaped."""
        try:
            return self._signalled_group(0)
        except PermissionError:
            return True

    async def only_dead_are_left(self) -> bool:
        """Are all of the group's members that /proc shows zombies? False where it shows none, as another PID namespace's."""
        dead = 0
        try:
            names = os.listdir("/proc")
        except OSError:
            return False
        for number, name in enumerate(filter(str.isdigit, names)):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            alive = _lives_in(self.pid, name)
            if alive:
                return False
            dead += alive is False
        return dead > 0

    def _signalled_group(self, signum: int) -> bool:
        if not self.leads_group:
            return False
        try:
            self.signal_group(signum)
        except ProcessLookupError:
            return False
        return True

    def signal_group(self, signum: int) -> None:
        """Raises ProcessLookupError when it is empty, PermissionError if nobody in it may be signalled."""
        raise NotImplementedError

    def _signal_child(self, signum: int) -> None:
        raise NotImplementedError

    def _kill_cgroup(self) -> None:
        """There is none, unless the launch was native."""


def _lives_in(group: int, pid: str) -> bool | None:
    """None for a process that is not of the group. One whose first thread alone has ended looks dead, but has others."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            state, _, its_group, *others = stat.read().rpartition(b")")[2].split()
    except OSError:  # it is gone
        return None
    if int(its_group) != group:
        return None
    threads = int(others[14])  # field 20 of proc_pid_stat(5)
    return state not in (b"Z", b"X") or threads > 1


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class NativeTree(Tree):
    """Of a child on a reactor, until it is released there; of its group and its cgroup as long as they may have members."""

    __slots__ = ("_cgroup", "_group", "_handle", "_native", "_token")

    def __init__(self, native: Native, token: int, pid: int, *, leads_group: bool, cgroup: CgroupHandle | None) -> None:
        super().__init__(pid, leads_group=leads_group)
        self._native = native
        self._token = token
        self._cgroup = cgroup
        self._handle: GroupHandle | None = None
        self._group: GroupHandle | None = None  # the same, once the child, its leader, is gone and left somebody

    def outlive_child(self) -> None:
        """Before the child is released: keeps the pidfd of a reaped leader, and the cgroup, if somebody is left there."""
        if self._cgroup is not None and not self._cgroup.is_populated():
            self._cgroup = None
        if not self.leads_group or self._group is not None:
            return
        # Resumable: the traceback of an interruption may keep what it struck, so there is one handle, which owns the pidfd.
        if self._handle is None:
            self._handle = GroupHandle(self._native)
        if self._handle.take(self._token):
            with contextlib.suppress(OSError):  # the group is empty; or before Linux 6.9
                self._handle.signal(0)
                self._group = self._handle
        self._handle = None

    def signal_group(self, signum: int) -> None:
        if self._group is not None:
            self._group.signal(signum)
        elif self._native.dead:
            raise ProcessLookupError
        else:
            self._native.signal(self._token, signum, group=True)

    def _signal_child(self, signum: int) -> None:
        if not self._native.dead:
            self._native.signal(self._token, signum)

    def _kill_cgroup(self) -> None:
        if self._cgroup is not None and not self._native.forked:
            self._cgroup.kill()


class InitTree(NativeTree):
    """Of a child that is init: everybody below it, wherever they went. It is reaped when nobody is left."""

    __slots__ = ()
    has_init = True

    def signal(self, signum: int) -> None:
        if signum == signal.SIGKILL:
            self._kill_cgroup()
        if not self._native.dead:
            with contextlib.suppress(ProcessLookupError):
                self._native.signal_tree(self._token, signum)

    def refuses(self) -> bool:
        return self._native.tree_refuses(self._token)

    def group_lives(self) -> bool:
        return False

    def outlive_child(self) -> None:
        """Nobody is left, or only who was to be let go."""
        self._cgroup = None


def native_tree(
    native: Native, token: int, pid: int, *, leads_group: bool, has_init: bool, cgroup: CgroupHandle | None
) -> NativeTree:
    """Of a child on a reactor."""
    return (InitTree if has_init else NativeTree)(native, token, pid, leads_group=leads_group, cgroup=cgroup)


class LoopTree(Tree):
    """Of a child of the loop's own implementation.

    A number is not given to another process while it is that of a group that has members. So where the child is reaped and
    the number names a process again, the group is gone and the number a stranger's.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: Any, *, leads_group: bool | None = None) -> None:
        """`leads_group=None`: the kernel is asked, and knows until the child is reaped."""
        pid = transport.get_pid()
        self._transport = transport
        super().__init__(pid, leads_group=self._is_leader(pid) if leads_group is None else leads_group)

    def _is_leader(self, pid: int) -> bool:
        try:
            return self._transport.get_returncode() is None and os.getpgid(pid) == pid
        except ProcessLookupError:
            return False

    def signal_group(self, signum: int) -> None:
        if self._transport.get_returncode() is not None and _exists(self.pid):
            raise ProcessLookupError
        os.killpg(self.pid, signum)

    def _signal_child(self, signum: int) -> None:
        if self._transport.get_returncode() is not None:
            return
        if signum:
            self._transport.send_signal(signum)
        else:
            os.kill(self.pid, 0)  # by asyncio's own way the child would be reaped, up to 3.12
