"""The system calls of a sandbox: what is refused, as a filter.

Everything that Docker's documentation lists as blocked by its default profile
(https://docs.docker.com/engine/security/seccomp/) and what has been added to Linux since that a fenced command has no
business with; what reaches other processes past Landlock; and sockets by family. A call that is newer than the table of
numbers is refused as if the kernel had none.
"""

from __future__ import annotations

import errno
import functools
import platform
import re
from typing import TYPE_CHECKING, Final

from . import bpf
from .network import Network
from .system_calls import ARCHITECTURES, LAST, NUMBERS

if TYPE_CHECKING:
    from .calls import SystemCalls

__all__ = ["compiled_filter", "has_numbers"]

_DENIED: Final = re.findall(
    r"\w+",
    """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp perf_event_open userfaultfd
    lookup_dcookie
    bpf init_module finit_module delete_module create_module query_module get_kernel_syms kexec_load kexec_file_load reboot
    syslog acct swapon swapoff quotactl quotactl_fd nfsservctl sysfs uselib vhangup ioperm iopl modify_ldt vserver tuxcall
    security getpmsg putpmsg settimeofday clock_settime clock_adjtime
    io_uring_setup io_uring_enter io_uring_register
    add_key request_key keyctl
    mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount open_tree open_tree_attr mount_setattr setns
    sethostname setdomainname open_by_handle_at fanotify_init fanotify_mark
    mbind set_mempolicy set_mempolicy_home_node get_mempolicy move_pages migrate_pages
    shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink
""",
)

# Landlock does not know them: where nothing is writable, nobody's mode, owner, times or attributes are.
_METADATA: Final = re.findall(
    r"\w+",
    """
    chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat utime utimes utimensat futimesat setxattr lsetxattr
    fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat file_setattr
""",
)

_NOT_COMPUTING: Final = ("fork", "vfork", "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4")

_NAMESPACES: Final = 0x7E020000  # every CLONE_NEW* but CLONE_NEWTIME, whose bit is part of clone's signal
_NEW_TIME: Final = 0x80
_THREAD: Final = 0x10000  # CLONE_THREAD
_CONTROLS: Final = (28, 31, 32, 33, 35)  # PR_SET_SECUREBITS, PR_TASK_PERF_EVENTS_DISABLE and _ENABLE, PR_MCE_KILL, PR_SET_MM
_INPUT_FAKED: Final = (0x5412, 0x541C, 0x541D, 0x5423)  # TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD
_ATTRIBUTES: Final = (0x40086602, 0x401C5820)  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
_PERSONALITIES: Final = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # as Docker; the last one asks
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _DATAGRAM, _SEQUENCED = 1, 2, 5
_TCP, _UDP = 6, 17
_KIND: Final = 0xF  # of a socket's type, without SOCK_NONBLOCK and SOCK_CLOEXEC
_FAST_OPEN: Final = 0x20000000  # MSG_FASTOPEN: a connection without connect(2), which Landlock does not see

_FAMILY = bpf.refuse(errno.EAFNOSUPPORT)
_ACCESS = bpf.refuse(errno.EACCES)
_NO_CALL = bpf.refuse(errno.ENOSYS)


def has_numbers() -> bool:
    """Are the numbers of this processor's system calls known?"""
    return platform.machine() in ARCHITECTURES


@functools.lru_cache(maxsize=32)
def compiled_filter(network: bool | Network, calls: SystemCalls, *, unix_sockets: bool, metadata: bool) -> bytes:
    """The filter, as `seccomp=` takes it. `metadata`: modes, owners, times and attributes of files may be changed."""
    column, audit_number = ARCHITECTURES[platform.machine()]
    answer = bpf.KILL if calls.answer == "kill" else bpf.refuse(int(calls.answer))
    denied = {*_DENIED, *(() if metadata else _METADATA), *(_NOT_COMPUTING if calls.policy == "compute" else ())}
    denied = (denied - calls.allow) | calls.deny
    checked = _arguments(answer, metadata=metadata, processes=calls.policy != "compute")
    checked = {name: body for name, body in checked.items() if name not in calls.allow}
    checked |= _sockets(network, unix_sockets=unix_sockets)
    checked = {name: body for name, body in checked.items() if name not in denied}
    blocks = {NUMBERS[name][column]: body for name, body in {**dict.fromkeys(denied, answer), **checked}.items()}
    by_number = {number: body for number, body in blocks.items() if number is not None}
    return bpf.assembled([*bpf.architecture(audit_number, LAST, _NO_CALL), *bpf.by_number(by_number, bpf.ALLOW)])


def _arguments(answer: bpf.Block, *, metadata: bool, processes: bool) -> dict[str, bpf.Block]:
    """Calls that depend on their arguments."""
    requests = _INPUT_FAKED if metadata else (*_INPUT_FAKED, *_ATTRIBUTES)
    whole_limit = [*bpf.argument(2, high=True), *bpf.when(0, bpf.ALLOW), *answer]
    threads = [*bpf.without(_THREAD, bpf.ALLOW), *answer]
    of_itself = bpf.when(0, bpf.ALLOW)  # with another's number it may set that one's limits: a signal by RLIMIT_CPU
    return {
        "ioctl": [*bpf.argument(1), *bpf.denied(requests, answer), *bpf.ALLOW],
        "clone": [*bpf.argument(0), *bpf.without(_NAMESPACES, answer), *(bpf.ALLOW if processes else threads)],
        "clone3": _NO_CALL,  # its flags are in memory; C libraries go on with clone
        "unshare": [*bpf.argument(0), *bpf.without(_NAMESPACES | _NEW_TIME, answer), *bpf.ALLOW],
        "personality": [*bpf.argument(0), *bpf.denied(_PERSONALITIES, bpf.ALLOW), *answer],
        "prlimit64": [*bpf.argument(0), *of_itself, *bpf.argument(2), *bpf.when(0, whole_limit), *answer],
        "prctl": [*bpf.argument(0), *bpf.denied(_CONTROLS, answer), *bpf.ALLOW],
    }


# ---- sockets ----------------------------------------------------------------------------------------------------------


def _sockets(network: bool | Network, *, unix_sockets: bool) -> dict[str, bpf.Block]:
    calls = {"socket": _families(network, unix_sockets=unix_sockets)}
    if not unix_sockets:
        # A pair has no name and reaches nobody; one of datagrams could still be pointed at a name with every message.
        pairs = bpf.denied((_STREAM, _SEQUENCED), bpf.ALLOW)
        calls["socketpair"] = [*bpf.argument(1), *bpf.masked(_KIND), *pairs, *_FAMILY]
        if network is False:  # also of sockets that it was started with
            calls |= dict.fromkeys(("connect", "bind", "listen"), _ACCESS)
        elif isinstance(network, Network) and not network.bind:
            calls["listen"] = _ACCESS  # without a bind the kernel chooses a port, and asks nobody
    if network is not True:
        for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
            calls[name] = [*bpf.argument(flags), *bpf.without(_FAST_OPEN, bpf.refuse(errno.EOPNOTSUPP)), *bpf.ALLOW]
    return calls


def _families(network: bool | Network, *, unix_sockets: bool) -> bpf.Block:
    block = bpf.argument(0)
    if unix_sockets:
        block = [*block, *bpf.when(_UNIX, bpf.ALLOW)]
    if network is False:
        return [*block, *_FAMILY]
    internet = bpf.ALLOW if network is True else _transports(network)
    routes = [*bpf.argument(2), *bpf.when(0, bpf.ALLOW), *_FAMILY]  # NETLINK_ROUTE: addresses of interfaces
    return [*block, *bpf.when(_INET, internet), *bpf.when(_INET6, internet), *bpf.when(_NETLINK, routes), *_FAMILY]


def _transports(network: bool | Network) -> bpf.Block:
    """TCP, for which Landlock has rules (not MPTCP, SCTP or SMC), and UDP where it is asked for."""
    tcp = [*bpf.argument(2), *bpf.denied((0, _TCP), bpf.ALLOW), *_FAMILY]
    udp = [*bpf.argument(2), *bpf.denied((0, _UDP), bpf.ALLOW), *_FAMILY]
    block = [*bpf.argument(1), *bpf.masked(_KIND), *bpf.when(_STREAM, tcp)]
    if isinstance(network, Network) and network.udp:
        block += bpf.when(_DATAGRAM, udp)
    return [*block, *_FAMILY]
