"""Attempts to get out of a sandbox: a program that tries each in a child of its own, and prints what became of it as JSON.

Run by any interpreter: it imports nothing of the project. `python escapes.py SETTING` with SETTING as JSON: `place` is a
directory as `test_escapes.py` makes it, `victim` a process of the same user outside, `port`, `path` and `abstract` listeners
outside, `numbers` system calls by name. 0: it worked; otherwise the error number.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import termios
from collections.abc import Callable
from typing import Any

ATTEMPTS: dict[str, tuple[bool, Callable[[], object]]] = {}  # whether it takes root without a sandbox
_BROKEN = 254
_REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EAFNOSUPPORT)
SETTING: dict[str, Any] = json.loads(sys.argv[1]) if __name__ == "__main__" else {"numbers": {}}
PLACE: str = SETTING.get("place", "")
VICTIM: int = SETTING.get("victim", 0)
_libc = ctypes.CDLL(None, use_errno=True)
_FREE_FORM = os.path.join(PLACE, "made")


def call(name: str, *arguments: Any) -> int:
    """A system call. Raises OSError."""
    given = [argument if isinstance(argument, bytes) else ctypes.c_long(argument) for argument in arguments]
    result: int = _libc.syscall(ctypes.c_long(SETTING["numbers"][name]), *given)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def reached(name: str, *arguments: Any) -> None:
    """The kernel has looked at the arguments, which are nonsense, so that nothing comes of it."""
    try:
        call(name, *arguments)
    except OSError as error:
        if error.errno in _REFUSED:
            raise


def attempt(name: str, function: Callable[[], object], *, root: bool = False) -> None:
    assert name not in ATTEMPTS, name
    ATTEMPTS[name] = root, function


def place(*names: str) -> str:
    return os.path.join(PLACE, *names)


def opens(path: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> Callable[[], int]:
    return lambda: os.open(path, flags, mode)


# ---- files ------------------------------------------------------------------------------------------------------------


def _from_directory() -> None:
    os.chdir(place("outside"))
    os.open("secret", os.O_RDONLY)


def _reopened() -> None:
    os.open(f"/proc/self/fd/{os.open(place('outside', 'secret'), os.O_PATH)}", os.O_RDONLY)


def _beside_directory() -> None:
    os.open("../outside/secret", os.O_RDONLY, dir_fd=os.open(place("readable"), os.O_PATH))


def _executed_by_descriptor() -> None:
    os.execve(os.open(place("outside", "tool"), os.O_PATH), ["tool"], {})


_SECRET = place("outside", "secret")
attempt("read", opens(_SECRET))
attempt("read by a symbolic link", opens(place("readable", "link")))
attempt("read by ..", opens(place("readable", "..", "outside", "secret")))
attempt("read from a directory", _from_directory)
attempt("read beside a directory that is open", _beside_directory)
attempt("read by /proc/self/root", opens(f"/proc/self/root{_SECRET}"))
attempt("read by the other name of a descriptor", _reopened)
attempt("read what standard input has, anew", opens("/proc/self/fd/0"))
attempt("read by /dev/fd", opens("/dev/fd/0"))
attempt("write what standard input may only read", opens("/proc/self/fd/0", os.O_RDWR))
attempt("write", opens(_SECRET, os.O_WRONLY))
attempt("append", opens(_SECRET, os.O_WRONLY | os.O_APPEND))
attempt("write what may be read", opens(place("readable", "file"), os.O_WRONLY))
attempt("truncate while opening", opens(_SECRET, os.O_WRONLY | os.O_TRUNC))
attempt("truncate", lambda: os.truncate(_SECRET, 0))
attempt("truncate what may be read", lambda: os.truncate(place("readable", "file"), 0))
attempt("create", opens(_FREE_FORM, os.O_CREAT | os.O_WRONLY))
attempt("create in what may be read", opens(place("readable", "made"), os.O_CREAT | os.O_WRONLY))
attempt("create without a name", opens(PLACE, os.O_TMPFILE | os.O_RDWR))
attempt("list", lambda: os.listdir(place("outside")))
attempt("list the root", lambda: os.listdir("/"))
attempt("list processes", lambda: os.listdir("/proc"))
attempt("make a directory", lambda: os.mkdir(_FREE_FORM))
attempt("remove a directory", lambda: os.rmdir(place("removable")))
attempt("remove", lambda: os.unlink(place("outside", "removable")))
attempt("rename", lambda: os.rename(place("outside", "renamable"), _FREE_FORM))
attempt("link", lambda: os.link(_SECRET, _FREE_FORM))
attempt("link into what may be read", lambda: os.link(_SECRET, place("readable", "linked")))
attempt("make a symbolic link", lambda: os.symlink("/", _FREE_FORM))
attempt("make a fifo", lambda: os.mkfifo(_FREE_FORM))
attempt("make a device", lambda: os.mknod(_FREE_FORM, 0o20600, os.makedev(1, 3)), root=True)
attempt("execute", lambda: os.execv(place("outside", "tool"), ["tool"]))
attempt("execute what may be read", lambda: os.execv(place("readable", "tool"), ["tool"]))
attempt("execute by descriptor", _executed_by_descriptor)
attempt("read another user's file", opens(place("readable", "private")), root=True)
attempt("write to /dev/shm", opens(SETTING.get("shared", ""), os.O_RDWR))
attempt("write to /tmp", opens("/tmp", os.O_TMPFILE | os.O_RDWR))
attempt("read /etc/passwd", opens("/etc/passwd"))

# ---- what Landlock does not know --------------------------------------------------------------------------------------


def _attributes() -> None:
    with open(place("readable", "file")) as file:
        fcntl.ioctl(file, 0x40086602, struct.pack("=l", 0x40))  # FS_IOC_SETFLAGS: FS_NODUMP_FL


_MINE = place("readable", "file")
attempt("change a mode", lambda: os.chmod(_SECRET, 0o666))
attempt("change the mode of a descriptor", lambda: os.chmod(os.open(_MINE, os.O_RDONLY), 0o666))
attempt("change an owner", lambda: os.chown(_SECRET, os.getuid(), -1))
attempt("change an owner without following", lambda: os.lchown(_SECRET, os.getuid(), -1))
attempt("change the owner of a descriptor", lambda: os.chown(os.open(_MINE, os.O_RDONLY), os.getuid(), -1))
attempt("change times", lambda: os.utime(_SECRET))
attempt("set an attribute", lambda: os.setxattr(_SECRET, "user.a", b"1"))
attempt("set an attribute of a descriptor", lambda: os.setxattr(os.open(_MINE, os.O_RDONLY), "user.a", b"1"))
attempt("remove an attribute", lambda: os.removexattr(place("outside", "attributed"), "user.a"))
attempt("change flags", _attributes)

# ---- other processes --------------------------------------------------------------------------------------------------


def _traces_a_sibling() -> None:
    sibling = os.fork()
    if not sibling:
        signal.pause()
    try:
        call("ptrace", 0x4206, sibling, 0, 0)  # PTRACE_SEIZE
    finally:
        os.kill(sibling, signal.SIGKILL)


def _vector(operation: str) -> Callable[[], int]:
    def move() -> int:
        memory = ctypes.create_string_buffer(8)
        vector = struct.pack("=QQ", ctypes.addressof(memory), 8)
        return call(operation, os.getpid(), vector, 1, vector, 1, 0)

    return move


def _limits_the_victim() -> None:
    now = struct.pack("=QQ", *(limit % 2**64 for limit in resource.prlimit(os.getpid(), resource.RLIMIT_CORE)))
    call("prlimit64", VICTIM, resource.RLIMIT_CORE, now, 0)


def _descriptor_of(pid: int) -> Callable[[], int]:
    return lambda: call("pidfd_getfd", os.pidfd_open(pid), 0, 0)


def _queues() -> None:
    info = struct.pack("=iii116x", signal.SIGCONT, 0, -1)  # SI_QUEUE
    call("rt_sigqueueinfo", VICTIM, signal.SIGCONT, info)


attempt("signal 0", lambda: os.kill(VICTIM, 0))
attempt("signal", lambda: os.kill(VICTIM, signal.SIGCONT))
attempt("signal a group", lambda: os.killpg(os.getpgid(VICTIM), signal.SIGCONT))
attempt("signal by pidfd", lambda: signal.pidfd_send_signal(os.pidfd_open(VICTIM), signal.SIGCONT))
attempt("signal a thread", lambda: call("tgkill", VICTIM, VICTIM, signal.SIGCONT))
attempt("signal a task", lambda: call("tkill", VICTIM, signal.SIGCONT))
attempt("queue a signal", _queues)
attempt("signal its launcher", lambda: os.kill(SETTING["launcher"], 0), root=True)
attempt("limit another process", _limits_the_victim)
attempt("trace a sibling", _traces_a_sibling)
attempt("be traced", lambda: call("ptrace", 0, 0, 0, 0))
attempt("read memory of a process", _vector("process_vm_readv"))
attempt("write memory of a process", _vector("process_vm_writev"))
attempt("take a descriptor of a process", _descriptor_of(os.getpid()))
attempt("compare processes", lambda: call("kcmp", os.getpid(), os.getpid(), 1, 0, 0))
attempt("advise a process", lambda: reached("process_madvise", -1, 0, 0, 0, 0))
attempt("read another's memory in /proc", opens(f"/proc/{VICTIM}/mem"))
attempt("read another's environment in /proc", opens(f"/proc/{VICTIM}/environ"))
attempt("read another's arguments in /proc", opens(f"/proc/{VICTIM}/cmdline"))
attempt("follow another's root", lambda: os.readlink(f"/proc/{VICTIM}/root"))
attempt("share memory", lambda: call("shmget", 0, 4096, 0o1600))
attempt("share a semaphore", lambda: call("semget", 0, 1, 0o1600))
attempt("share a message queue", lambda: call("msgget", 0, 0o1600))
attempt("share a POSIX message queue", lambda: reached("mq_open", b"nothing\0", 0, 0, 0))
attempt("use a key", lambda: call("keyctl", 0, -3, 1))
attempt("add a key", lambda: call("add_key", b"user\0", b"aiospawn-test\0", b"x", 1, -2))
attempt("ask for a key", lambda: reached("request_key", b"user\0", b"aiospawn-none\0", 0, 0))
attempt("type into a terminal", lambda: _on_terminal(termios.TIOCSTI), root=True)
attempt("type with more bits", lambda: _on_terminal(termios.TIOCSTI | 1 << 32), root=True)
attempt("change a line discipline", lambda: _on_terminal(termios.TIOCSETD))
attempt("console requests", lambda: _on_terminal(0x541C))


def _on_terminal(request: int) -> None:
    terminal = SETTING["terminal"]
    os.setsid()
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    character = ctypes.create_string_buffer(8)
    if _libc.ioctl(terminal, ctypes.c_ulong(request), character) == -1 and ctypes.get_errno() in _REFUSED:
        raise OSError(ctypes.get_errno(), "ioctl")


# ---- the kernel -------------------------------------------------------------------------------------------------------

_NEW = {"mount": 0x20000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "pid": 0x20000000, "net": 0x40000000}


def _cloned(flags: int) -> Callable[[], None]:
    def clone() -> None:
        pid = call("clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)

    return clone


def _cloned_3() -> None:
    arguments = ctypes.create_string_buffer(struct.pack("=11Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0), 88)
    pid = call("clone3", ctypes.addressof(arguments), 88)
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _mounts() -> None:
    try:
        call("unshare", _NEW["mount"])
        call("mount", b"none\0", b"/\0", 0, 0x44000, 0)  # MS_REC | MS_PRIVATE
    finally:
        call("mount", b"none\0", os.fsencode(place("empty")) + b"\0", b"tmpfs\0", 0, 0)


def _in_32_bits() -> None:
    """getpid by int 0x80."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\x53\xcd\x80\x5b\xc3")
    found = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    if found < 0:
        raise OSError(-found, "getpid")


attempt("a user namespace", lambda: call("unshare", 0x10000000))
attempt("a user namespace by clone", _cloned(0x10000000))
attempt("a user namespace by clone3", _cloned_3)
attempt("a user and a network namespace", lambda: call("unshare", 0x50000000))
for kind, flag in _NEW.items():
    attempt(f"a namespace: {kind}", lambda flag=flag: call("unshare", flag), root=True)
attempt("a namespace: time", lambda: call("unshare", 0x80), root=True)
attempt("a mount namespace by clone", _cloned(0x20000), root=True)
attempt("join a namespace", lambda: call("setns", os.pidfd_open(os.getpid()), _NEW["uts"]), root=True)
attempt("mount", _mounts, root=True)
attempt("unmount", lambda: reached("umount2", b"/nowhere\0", 0), root=True)
attempt("another root", lambda: os.chroot(PLACE), root=True)
attempt("open a file system", lambda: call("fsopen", b"tmpfs\0", 0), root=True)
attempt("open a tree", lambda: call("open_tree", -100, b"/\0", 1), root=True)
attempt("open by handle", lambda: reached("open_by_handle_at", -1, bytes(64), 0), root=True)
attempt("watch a file system", lambda: call("fanotify_init", 0, 0), root=True)
attempt("the host's name", lambda: call("sethostname", os.uname().nodename.encode(), len(os.uname().nodename)), root=True)
attempt("the clock", lambda: reached("clock_adjtime", 0, bytes(256)))
attempt("the kernel's log", lambda: call("syslog", 10, 0, 0), root=True)
attempt("a module", lambda: reached("init_module", 0, 0, b"\0"), root=True)
attempt("reboot", lambda: reached("reboot", 0, 0, 0, 0), root=True)
attempt("swap", lambda: reached("swapon", b"/nowhere\0", 0), root=True)
attempt("accounting", lambda: reached("acct", b"/nowhere\0"), root=True)
attempt("a BPF program", lambda: reached("bpf", 999, bytes(128), 128), root=True)
attempt(
    "a performance counter", lambda: call("perf_event_open", struct.pack("=IIQ104x", 1, 120, 2), 0, -1, -1, 0), root=True
)
attempt("page faults by oneself", lambda: call("userfaultfd", 1))
attempt("io_uring", lambda: call("io_uring_setup", 1, bytes(256)))
attempt("io_uring, entered", lambda: reached("io_uring_enter", -1, 0, 0, 0, 0, 0))
attempt("another personality", lambda: call("personality", 0x0040000))
attempt("a memory policy", lambda: call("set_mempolicy", 0, 0, 0))
attempt("pages moved", lambda: call("move_pages", 0, 0, 0, 0, 0, 0))
attempt("another user", lambda: os.setuid(1), root=True)
attempt("another group", lambda: os.setgroups([1]), root=True)
attempt("a higher priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 1), root=True)
attempt("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)), root=True)
if os.uname().machine == "x86_64":
    attempt("a call of 32 bits", _in_32_bits)
    attempt("ports of the machine", lambda: call("iopl", 3), root=True)
    attempt("a local descriptor table", lambda: reached("modify_ldt", 99, 0, 0))

# ---- the network ------------------------------------------------------------------------------------------------------


def _connects(family: int, address: Any) -> Callable[[], None]:
    return lambda: socket.socket(family, socket.SOCK_STREAM).connect(address)


def _by_datagram() -> None:
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"x", SETTING["datagrams"])


for name, family, kind, root in (
    ("TCP", socket.AF_INET, socket.SOCK_STREAM, False),
    ("TCP by IPv6", socket.AF_INET6, socket.SOCK_STREAM, False),
    ("UDP", socket.AF_INET, socket.SOCK_DGRAM, False),
    ("Unix", socket.AF_UNIX, socket.SOCK_STREAM, False),
    ("Unix datagrams", socket.AF_UNIX, socket.SOCK_DGRAM, False),
    ("netlink", socket.AF_NETLINK, socket.SOCK_RAW, False),
    ("raw IP", socket.AF_INET, socket.SOCK_RAW, True),
    ("packets", socket.AF_PACKET, socket.SOCK_RAW, True),
):
    protocol = socket.IPPROTO_ICMP if name == "raw IP" else 0
    attempt(f"a socket: {name}", lambda made=(family, kind, protocol): socket.socket(*made), root=root)
attempt("connect by TCP", _connects(socket.AF_INET, ("127.0.0.1", SETTING.get("port", 0))))
attempt("listen by TCP", lambda: socket.create_server(("127.0.0.1", 0)))
attempt("connect to a path", _connects(socket.AF_UNIX, SETTING.get("path")))
attempt("connect to an abstract socket", _connects(socket.AF_UNIX, SETTING.get("abstract")))
attempt("send a datagram to a path", _by_datagram)
attempt("bind a path", lambda: socket.socket(socket.AF_UNIX).bind(_FREE_FORM))

# ---- the program ------------------------------------------------------------------------------------------------------


def _outcome(function: Callable[[], object]) -> int:
    pid = os.fork()
    if not pid:
        status = _BROKEN
        try:
            function()
            status = 0
        except OSError as error:
            status = error.errno or _BROKEN
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    outcomes = {}
    for name, (root, function) in ATTEMPTS.items():
        if not root or SETTING["root"]:
            outcomes[name] = _outcome(function)
            if not SETTING["sandboxed"]:
                for made in (_FREE_FORM, place("readable", "made"), place("readable", "linked")):
                    if os.path.isdir(made) and not os.path.islink(made):
                        os.rmdir(made)
                    elif os.path.lexists(made):
                        os.unlink(made)
    print(json.dumps(outcomes))
