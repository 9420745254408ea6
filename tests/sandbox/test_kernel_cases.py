"""What the kernel's own tests of Landlock and of seccomp check, asked of a `Sandbox`.

Those are tools/testing/selftests/landlock and seccomp of Linux; docs/sandbox.md has a table of their groups.
The tests are ours: a command in a sandbox tries, each in a child of its own, and answers with error numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import place
import pytest

import aiospawn
from aiospawn import Network, Sandbox, SystemCalls

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.once,
    pytest.mark.loops("one"),
    pytest.mark.skipif(bool(place.lacks("sandbox")), reason="needs Landlock ABI 6 and seccomp"),
]

_PYTHON = [sys.executable, "-ISc"]
_INTERPRETER = (sys.prefix, sys.base_prefix)

# Each attempt is an expression or statements; what it raises is its answer, an error number, 0 without.
_TRYING = """
import array, ctypes, errno, fcntl, json, os, resource, select, signal, socket, sys, termios, threading
here, given, attempts = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
os.chdir(here)
libc = ctypes.CDLL(None, use_errno=True)

def call(function, *arguments):
    if getattr(libc, function)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), function)

def answered(code):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        exec(code, globals())
    except OSError as error:
        os._exit(error.errno)
    except BaseException as error:
        print(code, repr(error), file=sys.stderr, flush=True)
        os._exit(255)
    os._exit(0)

print(json.dumps({name: answered(code) for name, code in attempts.items()}))
"""

_Cases = dict[str, tuple[str, int]]


async def _answers(
    value: Sandbox, here: pathlib.Path, cases: _Cases, given: Any = None, *, exactly: bool = True, **options: Any
) -> None:
    """Every case has its answer; or some error for each error: in a view, what is not named is not there."""
    attempts = {name: textwrap.dedent(code) for name, (code, _) in cases.items()}
    words = [str(here), json.dumps(given), json.dumps(attempts)]
    done = await aiospawn.run([*_PYTHON, _TRYING, *words], sandbox=value, capture_output=True, text=True, **options)
    assert done.stderr == ""
    found = {name: errno.errorcode.get(code, str(code)) for name, code in json.loads(done.stdout).items()}
    if not exactly:
        found = {
            name: errno.errorcode[cases[name][1]] if cases[name][1] and code != "0" else code for name, code in found.items()
        }
    assert found == {name: errno.errorcode.get(code, str(code)) for name, (_, code) in cases.items()}


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    """Directories within each other, each with a file and a program."""
    for name in ("r", "w", "w/inner", "w2", "x", "wx", "none", "none/read"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"{name}\n")
        shutil.copy("/bin/true", tmp_path / name / "tool")
    (tmp_path / "w" / "directory").mkdir()
    return tmp_path


def _of(tree: pathlib.Path, **more: Any) -> Sandbox:
    """Reading `r`, writing `w` and `w2`, executing `x`, both in `wx`, one file and one directory of `none`."""
    named: dict[str, Any] = {
        "read": [tree / "r", tree / "none" / "read", tree / "none" / "file"],
        "write": [tree / "w", tree / "w2", tree / "wx"],
        "execute": [tree / "x", tree / "wx", *_INTERPRETER],
    }
    return Sandbox(**{**named, **more})


# ---- fs_test: access ------------------------------------------------------------------------------------------------------

_ACCESS: _Cases = {
    # effective_access, unhandled_access, file_access_rights, file_and_dir_access_rights
    "read": ('open("r/file").close()', 0),
    "list": ('os.listdir("r")', 0),
    "not write": ('os.open("r/file", os.O_WRONLY)', errno.EACCES),
    "not read and write": ('os.open("r/file", os.O_RDWR)', errno.EACCES),
    "not execute": ('os.execv("r/tool", ["tool"])', errno.EACCES),
    "a file alone": ('open("none/file").close()', 0),
    "not beside it": ('open("none/tool").close()', errno.EACCES),
    "not its directory": ('os.listdir("none")', errno.EACCES),
    # non_overlapping_accesses, interleaved_masked_accesses: only from the rule downwards
    "below what is not allowed": ('open("none/read/file").close()', 0),
    "not upwards": ('open("none/read/../tool").close()', errno.EACCES),
    # ruleset_overlap, layer_rule_unions: what either allows
    "the union executes": ('os.execv("wx/tool", ["tool"])', 0),
    "the union writes": ('os.open("wx/file", os.O_RDWR)', 0),
    # relative_open, relative_chdir, relative_chroot_only
    "relative to a directory": ('os.open("../none/tool", os.O_RDONLY, dir_fd=os.open("r", os.O_PATH))', errno.EACCES),
    "relative to one that is allowed": ('os.open("file", os.O_RDONLY, dir_fd=os.open("r", os.O_PATH))', 0),
    "relative to the working directory": ('os.chdir("none"); open("tool")', errno.EACCES),
    "from within": ('os.chdir("none"); open("read/file")', 0),
    "another root": ('os.chroot("w")', errno.EPERM),
    # execute: by descriptor, an interpreter's script, the linker is another matter
    "execute": ('os.execv("x/tool", ["tool"])', 0),
    "execute by descriptor": ('os.execve(os.open("r/tool", os.O_RDONLY), ["tool"], {})', errno.EACCES),
    # proc_unlinked_file, proc_pipe
    "not with more than it was opened for": (
        "os.open(f\"/proc/self/fd/{os.open('r/file', os.O_RDONLY)}\", os.O_RDWR)",
        errno.EACCES,
    ),
    "a removed file anew": (
        """
        fd = os.open("w/file", os.O_RDONLY)
        os.unlink("w/file")
        os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        """,
        0,
    ),
    "a pipe anew": ('os.open(f"/proc/self/fd/{os.pipe()[0]}", os.O_RDWR)', 0),
    # empty_or_same_ruleset, path "/": what is not named is refused
    "the root": ('os.listdir("/")', errno.EACCES),
    # proc_nsfs
    "its own namespaces": ('os.open("/proc/self/ns/mnt", os.O_RDONLY)', 0),
}

# link, rename_file, rename_dir, reparent_*, remove_*, make_*
_CHANGES: _Cases = {
    "make a file": ('os.open("w/new", os.O_CREAT | os.O_WRONLY)', 0),
    "not in what is read": ('os.open("r/new", os.O_CREAT | os.O_WRONLY)', errno.EACCES),
    "make a directory": ('os.mkdir("w/newdir")', 0),
    "not make a directory": ('os.mkdir("r/newdir")', errno.EACCES),
    "make a link": ('os.symlink("x", "w/newlink")', 0),
    "not make a link": ('os.symlink("x", "r/newlink")', errno.EACCES),
    "make a fifo": ('os.mkfifo("w/newfifo")', 0),
    "not make a fifo": ('os.mkfifo("r/newfifo")', errno.EACCES),
    "not make a character device": ('os.mknod("w/newchar", 0o20600, os.makedev(1, 3))', errno.EACCES),
    "not make a block device": ('os.mknod("w/newblock", 0o60600, os.makedev(7, 0))', errno.EACCES),
    "link": ('os.link("w/tool", "w/linked")', 0),
    "link to another directory": ('os.link("w/tool", "w2/linked")', 0),
    "not link from what is read": ('os.link("r/file", "w/stolen")', errno.EXDEV),
    "not link into what is read": ('os.link("w/tool", "r/linked")', errno.EACCES),
    "rename": ('os.rename("w2/file", "w2/renamed")', 0),
    "rename to another directory": ('os.rename("w2/tool", "w/moved")', 0),
    "rename over": ('os.rename("w/moved", "w2/linked")', 0),
    "rename a directory": ('os.rename("w/directory", "w2/moved")', 0),
    "not out of what is read": ('os.rename("r/file", "w/stolen")', errno.EACCES),
    "not into what is read": ('os.rename("w/tool", "r/given")', errno.EACCES),
    "not rename what is named": ('os.rename("r", "w/r")', errno.EACCES),
    # reparent_dom_superset, reparent_exdev_*: a move must not give more access
    "not by a link to what may be executed": ('os.link("w/tool", "wx/executable")', errno.EXDEV),
    "not by a move to what may be executed": ('os.rename("w/tool", "wx/executable")', errno.EXDEV),
    "to less": ('os.rename("wx/file", "w/less")', 0),
    "exchange": ('call("renameat2", -100, b"w/inner/file", -100, b"w2/renamed", 2)', 0),
    "not exchange with what is read": ('call("renameat2", -100, b"w/inner/file", -100, b"r/file", 2)', errno.EACCES),
    "not exchange for more": ('call("renameat2", -100, b"w/inner/file", -100, b"wx/tool", 2)', errno.EXDEV),
    "remove a file": ('os.unlink("w/new")', 0),
    "not remove a file": ('os.unlink("r/file")', errno.EACCES),
    "remove a directory": ('os.rmdir("w/newdir")', 0),
    "not remove a directory": ('os.rmdir("none/read")', errno.EACCES),
}

# truncate, ftruncate, memfd_ftruncate_and_ioctl, o_path_ftruncate_and_ioctl, ioctl, blanket_permitted_ioctls,
# named_pipe_ioctl, named_unix_domain_socket_ioctl
_TRUNCATION: _Cases = {
    "truncate": ('os.truncate("w/file", 0)', 0),
    "not truncate what is read": ('os.truncate("r/file", 0)', errno.EACCES),
    "not by opening": ('os.open("r/file", os.O_RDONLY | os.O_TRUNC)', errno.EACCES),
    "by a descriptor": ('os.ftruncate(os.open("w/tool", os.O_WRONLY), 0)', 0),
    "by one for reading": ('os.ftruncate(os.open("w/tool", os.O_RDONLY), 0)', errno.EINVAL),
    "by one of a path": ('os.ftruncate(os.open("w/tool", os.O_PATH), 0)', errno.EBADF),
    "a file in memory": ('os.ftruncate(os.memfd_create("x"), 5)', 0),
    "its length": ('fcntl.ioctl(os.memfd_create("x"), termios.FIONREAD, bytes(4))', 0),
    "a pipe's length": ("fcntl.ioctl(os.pipe()[0], termios.FIONREAD, bytes(4))", 0),
    "a fifo's length": ('fcntl.ioctl(os.open("w/fifo", os.O_RDWR), termios.FIONREAD, bytes(4))', 0),
    "a socket's length": ("fcntl.ioctl(socket.socketpair()[0], termios.FIONREAD, bytes(4))", 0),
    "no ioctl of a device": ('fcntl.ioctl(os.open("/dev/zero", os.O_RDWR), termios.TCGETS, bytes(64))', errno.EACCES),
    "no FIONREAD of a device": ('fcntl.ioctl(os.open("/dev/zero", os.O_RDWR), termios.FIONREAD, bytes(4))', errno.EACCES),
    "of a descriptor, always": ('fcntl.ioctl(os.open("/dev/zero", os.O_RDWR), termios.FIOCLEX)', 0),
    "not to wait, always": ('fcntl.ioctl(os.open("/dev/zero", os.O_RDWR), termios.FIONBIO, array.array("i", [1]))', 0),
}


@pytest.mark.parametrize("group", ["access", "changes", "truncation"])
@pytest.mark.parametrize("hide", [False, True])
async def test_files(group: str, hide: bool, tree: pathlib.Path) -> None:
    """fs_test, by Landlock alone and in a view."""
    if hide and place.lacks("view"):
        pytest.skip("needs namespaces")
    os.mkfifo(tree / "w" / "fifo")
    cases = {"access": _ACCESS, "changes": _CHANGES, "truncation": _TRUNCATION}[group]
    if hide:
        cases = {name: case for name, case in cases.items() if name not in _OTHERWISE_IN_A_VIEW}
    await _answers(_of(tree, hide=hide), tree, cases, exactly=not hide)


# In a view its directories are other mounts, and those above them have nothing but them.
_OTHERWISE_IN_A_VIEW = {
    *(
        "rename to another directory",
        "rename over",
        "link to another directory",
        "rename a directory",
        "to less",
        "exchange",
    ),
    *("not its directory", "the root"),
}


@pytest.mark.parametrize("count", [1, 2])
async def test_nested(count: int, tree: pathlib.Path) -> None:
    """inherit_subset, inherit_superset, interleaved_masked_accesses: a sandbox within a sandbox never adds to it."""
    package = pathlib.Path(aiospawn.__file__).parents[1]
    inner = """
        import asyncio, sys
        import aiospawn
        here, depth = sys.argv[1], int(sys.argv[2])
        value = aiospawn.Sandbox(
            read=[here + "/r", here + "/none", *sys.argv[3:]], write=[here + "/w"],
            execute=[sys.prefix, sys.base_prefix],
        )
        command = ["sh", "-c", "cat r/file none/file || echo refused; echo >w/n && echo written; echo >w2/n || echo kept"]
        if depth:
            command = [sys.executable, "-c", sys.stdin.read(), here, str(depth - 1), *sys.argv[3:]]
        print(asyncio.run(aiospawn.run(command, sandbox=value, cwd=here, stdout=-1, stderr=-3, text=True)).stdout)
    """  # fmt: skip
    program = textwrap.dedent(inner)
    outer = Sandbox(read=[tree / "r", package], write=[tree / "w", tree / "w2"], execute=_INTERPRETER)
    command = [sys.executable, "-c", program, str(tree), str(count - 1), str(package)]
    done = await aiospawn.run(command, sandbox=outer, input=program, capture_output=True, text=True)
    assert done.stdout.split() == ["r", "refused", "written", "kept"], done.stderr


def test_too_many_layers() -> None:
    """max_layers: a process in as many as the kernel has cannot launch a sandboxed one, and does not launch it without."""
    script = """
        import asyncio, ctypes, errno
        import aiospawn
        from aiospawn._binding import restrictions

        async def main():
            value = aiospawn.Sandbox()
            libc = ctypes.CDLL(None, use_errno=True)
            libc.prctl(38, 1, 0, 0, 0)
            layer = restrictions.ruleset(1 << 12, 0, 0)
            layers = 0
            while libc.syscall(446, layer, 0) == 0:
                layers += 1
            assert (ctypes.get_errno(), layers) == (errno.E2BIG, 16), layers
            try:
                await aiospawn.run(["true"], sandbox=value)
            except OSError as error:
                print(error.step, errno.errorcode[error.errno])

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == [
        "landlock_restrict_self",
        "E2BIG",
    ]


@contextlib.contextmanager
def _bound(source: pathlib.Path, target: pathlib.Path) -> Iterator[None]:
    if os.getuid() != 0:
        pytest.skip("mounting needs root")
    subprocess.run(["mount", "--bind", source, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


async def test_bind_mounts(tree: pathlib.Path) -> None:
    """layout1_bind, rule_on_mountpoint, rule_over_mountpoint: a rule is on a file, and on the way that leads to it."""
    with _bound(tree / "w" / "inner", tree / "none" / "read"):
        cases: _Cases = {
            "by the rule above the source": ('open("w/inner/file")', 0),
            "not by another way": ('open("none/read/file")', errno.EACCES),
        }
        await _answers(Sandbox(read=[tree / "w"], execute=_INTERPRETER), tree, cases)
        await _answers(
            Sandbox(read=[tree / "w" / "inner"], execute=_INTERPRETER),
            tree,
            {"the source": ('open("w/inner/file")', 0), "the same directory elsewhere": ('open("none/read/file")', 0)},
        )
        await _answers(
            Sandbox(read=[tree / "none"], execute=_INTERPRETER), tree, {"over the mount": ('open("none/read/file")', 0)}
        )


@pytest.mark.parametrize(
    ("named", "allowed", "refused"),
    [
        ("/proc/sys/kernel/ostype", "/proc/sys/kernel/ostype", "/proc/sys/kernel/osrelease"),
        ("/proc/sys/kernel", "/proc/sys/kernel/ostype", "/proc/version"),
        ("/sys/kernel", "/sys/kernel/notes", "/sys/devices/system/cpu/online"),
        ("/dev/shm", "/dev/shm", "/dev/tty"),
    ],
)
async def test_other_file_systems(named: str, allowed: str, refused: str, tmp_path: pathlib.Path) -> None:
    """layout3_fs: those of the kernel, and in memory."""
    if not all(os.access(path, os.R_OK) for path in (named, allowed)):
        pytest.skip(f"{named} is not there")
    opening = f"os.open({allowed!r}, os.O_RDONLY)"
    other = f"os.open({refused!r}, os.O_RDONLY)"
    cases = {"allowed": (opening, 0), "refused": (other, errno.EACCES if os.path.exists(refused) else errno.ENOENT)}  # noqa: ASYNC240
    await _answers(Sandbox(read=[named], execute=_INTERPRETER), tmp_path, cases)


# ---- net_test -----------------------------------------------------------------------------------------------------------


def _listening(stack: contextlib.ExitStack, free: int) -> tuple[int, int, int]:
    """Two ports that are listened at, and the number of the first with its bytes exchanged, none of those in use."""
    another = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
    while True:
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        turned = (port & 0xFF) << 8 | port >> 8
        if turned not in (port, another, free):
            return port, another, turned


def _held(stack: contextlib.ExitStack) -> int:
    """A port that nobody else is given, and that those may bind who share addresses, as it is bound with SO_REUSEADDR."""
    holder = stack.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    return port


async def test_network(tmp_path: pathlib.Path) -> None:
    """bind, connect, port_endianness, bind_connect_zero, *_unspec, from_unix_to_inet: by ports of TCP."""
    with contextlib.ExitStack() as stack:
        free = _held(stack)
        port, another, turned = _listening(stack, free)
        given = {"port": port, "another": another, "turned": turned, "free": free}
        cases: _Cases = {
            "connect": ('socket.create_connection(("127.0.0.1", given["port"]))', 0),
            "not to another": ('socket.create_connection(("127.0.0.1", given["another"]))', errno.EACCES),
            "not in another byte order": ('socket.create_connection(("127.0.0.1", given["turned"]))', errno.EACCES),
            "not to port 0": ('socket.create_connection(("127.0.0.1", 0))', errno.EACCES),
            "by IPv6 likewise": ('socket.socket(socket.AF_INET6).connect(("::1", given["another"]))', errno.EACCES),
            "bind": (
                """
                sharing = socket.socket()
                sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sharing.bind(("127.0.0.1", given["free"]))
                """,
                0,
            ),
            "not another": ('socket.socket().bind(("127.0.0.1", given["turned"]))', errno.EACCES),
            "not one to choose": ('socket.socket().bind(("127.0.0.1", 0))', errno.EACCES),
            "bind is not connect": ('socket.socket().connect(("127.0.0.1", given["free"]))', errno.EACCES),
            "bind to nothing": (
                """
                unbound = socket.socket()
                call("bind", unbound.fileno(), bytes(2) + given["turned"].to_bytes(2, "big") + bytes(12), 16)
                """,
                errno.EACCES,
            ),
            "disconnect": (
                """
                connected = socket.create_connection(("127.0.0.1", given["port"]))
                call("connect", connected.fileno(), bytes(16), 16)
                """,
                0,
            ),
            "no UDP": ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", errno.EAFNOSUPPORT),
            "no raw sockets": ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", errno.EAFNOSUPPORT),
            "no other transport": ("socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)", errno.EAFNOSUPPORT),
            "a pair": ("a, b = socket.socketpair(); a.send(b'x'); b.recv(1)", 0),
        }
        await _answers(Sandbox(network=Network(connect=[port], bind=[free]), execute=_INTERPRETER), tmp_path, cases, given)


async def test_a_port_to_choose(tmp_path: pathlib.Path) -> None:
    """port_specific: port 0 is a port that the kernel chooses, of which nothing else follows."""
    cases: _Cases = {
        "chosen": ('socket.socket().bind(("127.0.0.1", 0))', 0),
        "not another": ('socket.socket().bind(("127.0.0.1", 1023))', errno.EACCES),
    }
    await _answers(Sandbox(network=Network(bind=[0]), execute=_INTERPRETER), tmp_path, cases)


# ---- ptrace_test, scoped_* ------------------------------------------------------------------------------------------------

_TRACED: _Cases = {
    # hierarchy: the child's domain is its own, it is in its parent's, beside another's
    "not its launcher": ('call("ptrace", 16, given["outside"], 0, 0)', errno.EPERM),
    "not a sibling": ('call("ptrace", 16, given["sibling"], 0, 0)', errno.EPERM),
    "not by its launcher's memory": ("os.open(f\"/proc/{given['outside']}/environ\", os.O_RDONLY)", errno.EACCES),
    "a child of its own": (
        """
        pid = os.fork()
        if not pid:
            while True: signal.pause()
        call("ptrace", 16, pid, 0, 0)
        os.waitpid(pid, 0)
        os.kill(pid, signal.SIGKILL)
        """,
        0,
    ),
}


async def test_tracing(tmp_path: pathlib.Path) -> None:
    """With ptrace allowed, it is Landlock that refuses."""
    calls = SystemCalls(allow=["ptrace"])
    value = Sandbox(syscalls=calls, read=["/proc"], execute=_INTERPRETER)
    waiting = ["sh", "-c", "while :; do sleep 0.1; done"]
    async with (
        await aiospawn.create_subprocess_exec(*waiting) as outside,
        await aiospawn.create_subprocess_exec(*waiting, sandbox=value) as sibling,
    ):
        await _answers(value, tmp_path, _TRACED, {"outside": outside.pid, "sibling": sibling.pid})
        outside.kill()
        sibling.kill()


_SIGNALS: _Cases = {
    **{
        f"not {name} to outside": (f'os.kill(given["outside"], signal.{name})', errno.EPERM)
        for name in ("SIGTRAP", "SIGURG", "SIGHUP", "SIGTSTP")
    },
    "not a sibling": ('os.kill(given["sibling"], 0)', errno.EPERM),
    "itself": ("signal.raise_signal(signal.SIGURG)", 0),
    "a thread of its own": (
        """
        reader, writer = os.pipe()
        thread = threading.Thread(target=os.read, args=(reader, 1))
        thread.start()
        signal.pthread_kill(thread.ident, 0)
        os.write(writer, b"x")
        thread.join()
        """,
        0,
    ),
    "its parent in the sandbox": ("os.kill(os.getppid(), 0)", 0),
    # fown: what the kernel sends on its behalf
    "by a file's owner": (
        """
        mine, other = socket.socketpair()
        fcntl.fcntl(mine, fcntl.F_SETOWN, given["outside"])
        fcntl.fcntl(mine, fcntl.F_SETFL, os.O_ASYNC)
        other.send(b"x")
        other.send(b"y", socket.MSG_OOB)
        """,
        0,
    ),
}


async def test_signals(tmp_path: pathlib.Path) -> None:
    """scoped_signal_test; what is sent by a file's owner does not arrive."""
    value = Sandbox(execute=_INTERPRETER)
    waiting = [
        *_PYTHON,
        "import signal, time\nsignal.pthread_sigmask(0, {23, 29}); print(flush=True)\nwhile True: time.sleep(0.1)",
    ]
    async with (
        await aiospawn.create_subprocess_exec(*waiting, stdout=-1) as outside,
        await aiospawn.create_subprocess_exec(*waiting, stdout=-1, sandbox=value) as sibling,
    ):
        for process in (outside, sibling):
            assert process.stdout is not None
            await process.stdout.readline()
        await _answers(value, tmp_path, _SIGNALS, {"outside": outside.pid, "sibling": sibling.pid})
        status = await asyncio.to_thread(pathlib.Path(f"/proc/{outside.pid}/status").read_text)
        assert "ShdPnd:\t0000000000000000" in status
        outside.kill()
        sibling.kill()


async def test_abstract_sockets(tmp_path: pathlib.Path) -> None:
    """scoped_abstract_unix_test: not to those of outside, also by datagrams; to its own, and by what it was given."""
    streams, datagrams = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours, theirs = socket.socketpair()
    with streams, datagrams, ours, theirs:
        streams.bind(f"\0{tmp_path}-s")
        streams.listen()
        datagrams.bind(f"\0{tmp_path}-d")
        given = {"name": str(tmp_path), "fd": theirs.fileno()}
        cases: _Cases = {
            "not a stream": ('socket.socket(socket.AF_UNIX).connect("\\0" + given["name"] + "-s")', errno.EPERM),
            "not datagrams": (
                'socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect("\\0" + given["name"] + "-d")',
                errno.EPERM,
            ),
            "nor without a connection": (
                'socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", "\\0" + given["name"] + "-d")',
                errno.EPERM,
            ),
            "its own": (
                """
                listener = socket.socket(socket.AF_UNIX)
                listener.bind("\\0" + given["name"] + "-mine")
                listener.listen()
                socket.socket(socket.AF_UNIX).connect("\\0" + given["name"] + "-mine")
                """,
                0,
            ),
            "what it was given": ('socket.socket(fileno=given["fd"]).send(b"x")', 0),
        }
        value = Sandbox(unix_sockets=True, execute=_INTERPRETER)
        await _answers(value, tmp_path, cases, given, pass_fds=[theirs.fileno()])
        assert ours.recv(5) == b"x"


# ---- seccomp_bpf ----------------------------------------------------------------------------------------------------------

_FILTERED: _Cases = {
    # ERRNO_valid, arguments by their value
    "an error": ('call("ptrace", 0, 0, 0, 0)', errno.EPERM),
    # mode_filter_cannot_move_to_strict, mode_filter_get_seccomp, no_new_privs_support
    "not to the other mode": ('call("prctl", 22, 1, 0, 0, 0)', errno.EINVAL),
    "no way back": ('call("prctl", 22, 0, 0, 0, 0)', errno.EINVAL),
    "privileges stay off": ('call("prctl", 38, 0, 0, 0, 0)', errno.EINVAL),
    "mode 2": ("assert libc.prctl(21, 0, 0, 0, 0) == 2", 0),
    # filter_chain, precedence: another filter adds to it, whatever it allows
    "another filter, that allows": (
        """
        program = ctypes.create_string_buffer(bytes([6, 0, 0, 0, 0, 0, 255, 127]))
        call("prctl", 22, 2, (ctypes.c_long * 2)(1, ctypes.addressof(program)), 0, 0)
        call("ptrace", 0, 0, 0, 0)
        """,
        errno.EPERM,
    ),
    "another filter, that refuses": (
        """
        program = ctypes.create_string_buffer(bytes(given))
        call("prctl", 22, 2, (ctypes.c_long * 2)(len(given) // 8, ctypes.addressof(program)), 0, 0)
        os.uname()
        """,
        errno.EIO,
    ),
    # inherited by children, threads and what is executed
    "of a child": ('answered("call(\\"ptrace\\", 0, 0, 0, 0)") == errno.EPERM or os._exit(99)', 0),
    "of a thread": (
        """
        found = []
        thread = threading.Thread(target=lambda: found.append((libc.ptrace(0, 0, 0, 0), ctypes.get_errno())))
        thread.start(); thread.join()
        assert found == [(-1, errno.EPERM)]
        """,
        0,
    ),
    # syscall_restart: an interrupted call goes on
    "a call that goes on": (
        """
        pid = os.fork()
        if not pid:
            select.select([], [], [], 0.2)
            os._exit(7)
        os.kill(pid, signal.SIGSTOP); os.waitpid(pid, os.WUNTRACED); os.kill(pid, signal.SIGCONT)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        """,
        0,
    ),
}


async def test_filters(tmp_path: pathlib.Path) -> None:
    given = [*place.refusing(place.UNAME, errno.EIO)]
    await _answers(Sandbox(execute=_INTERPRETER), tmp_path, _FILTERED, given)


@pytest.mark.parametrize("how", ["a process", "a thread of it", "a child of it"])
async def test_kills(how: str) -> None:
    """KILL_process, KILL_thread, KILL_one: SIGSYS, for all of the process, and for no other."""
    killing = "ctypes.CDLL(None).ptrace(0, 0, 0, 0)"
    program = {
        "a process": killing,
        "a thread of it": f"t = threading.Thread(target=lambda: {killing}); t.start(); t.join()",
        "a child of it": f"pid = os.fork()\nif not pid: {killing}\nassert os.waitpid(pid, 0)[1] & 127 == signal.SIGSYS",
    }[how]
    value = Sandbox(syscalls=SystemCalls(answer="kill"), execute=_INTERPRETER)
    done = await aiospawn.run([*_PYTHON, f"import ctypes, os, signal, threading\n{program}"], sandbox=value)
    assert done.returncode == (0 if how == "a child of it" else -signal.SIGSYS)
