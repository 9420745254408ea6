"""What a trace finds of a command: each kind of call, what it comes to as a sandbox, and what a sandbox refuses."""

from __future__ import annotations

import asyncio
import errno
import os
import pathlib
import platform
import re
import shutil
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

import fresh
import place
import pytest

import aiospawn
from aiospawn import Denied, Limits, Network, Sandbox, SystemCalls
from aiospawn._sandbox import bpf
from aiospawn._sandbox.policy import compiled_filter
from aiospawn._sandbox.system_calls import ARCHITECTURES, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.once,
    pytest.mark.loops("one"),
    pytest.mark.skipif(bool(place.lacks("sandbox")), reason="needs Landlock ABI 6 and seccomp"),
]

_PYTHON = [sys.executable, "-ISc"]


@pytest.fixture
def work(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with a file, a link to it, a script and a directory of files; elsewhere than what programs look into."""
    work = pathlib.Path(os.path.realpath(tmp_path)) / "work"
    (work / "many").mkdir(parents=True)
    (work / "file").write_text("text")
    (work / "link").symlink_to("file")
    (work / "script").write_text("#!/bin/sh\n:\n")
    (work / "script").chmod(0o755)
    for number in range(4):
        (work / "many" / f"{number}").write_text("text")
    return work


async def _trace(*command: str, work: pathlib.Path, **keywords: Any) -> aiospawn.SandboxTrace:
    return await aiospawn.trace_sandbox(command, cwd=work, stdout=aiospawn.DEVNULL, env={"PATH": os.defpath}, **keywords)


_CALLS: dict[str, tuple[str, str, str]] = {
    "reading": ("cat file", "read", "file"),
    "by a link": ("cat link", "read", "file"),
    "by a descriptor's name": ("exec 5<file; cat /proc/self/fd/5", "read", "file"),
    "in a directory of its own": ("cd many; cat ../file", "read", "file"),
    "a directory": ("ls many", "read", "many"),
    "many files": ("cat many/0 many/1 many/2 many/3", "read", "many"),
    "three files": ("cat many/0 many/1 many/2", "read", "many/0 many/1 many/2"),
    "in processes of its own": ("cat file & cat many/0; wait", "read", "file many/0"),
    "executing": ("./script", "execute", "script"),
    "what is not there": ("cat nothing; ./nothing; rm nothing; mkdir many", "read", ""),
    "writing": ("echo >>file", "write", "file"),
    "making": ("echo >new", "write", "."),
    "what is gone": ("echo >many/new; rm many/new", "write", "many"),
    "removing": ("rm many/0", "write", "many"),
    "making a directory": ("mkdir many/new; echo >many/new/file", "write", "many"),
    "renaming": ("mv many/0 many/new", "write", "many"),
    "to elsewhere": ("mv many/0 new", "write", "."),
    "a link": ("ln many/0 many/new", "write", "many"),
    "a symbolic link": ("ln -s ../file many/new", "write", "many"),
    "a pipe": ("mkfifo many/new", "write", "many"),
    "a mode": ("chmod 600 file", "write", "file"),
    "times": ("touch file", "write", "file"),
    "made and executed": ("cp script many/new; ./many/new", "execute", "many"),
}


@pytest.mark.parametrize("what", _CALLS)
async def test_files(what: str, work: pathlib.Path) -> None:
    """Named is what has to be, and nothing else; in the sandbox that was found it does the same."""
    script, kind, named = _CALLS[what]
    before = shutil.copytree(work, work.parent / "before", symlinks=True)
    trace = await _trace("sh", "-c", script, work=work)
    paths = [pathlib.Path(path) for path in getattr(trace.sandbox, kind)]
    found = [str(path.relative_to(work)) for path in paths if path.is_relative_to(work)]
    assert found == named.split()
    assert (trace.denied, trace.unseen) == ((), 0)
    if trace.returncode == 0:
        shutil.rmtree(work)
        shutil.copytree(before, work, symlinks=True)
        result = await aiospawn.run(["sh", "-ec", script], sandbox=trace.sandbox, cwd=work, stdout=aiospawn.DEVNULL)
        assert result.returncode == 0


_OPENINGS = """
import os
directory = os.open("many", os.O_PATH)
os.close(os.open("0", os.O_RDONLY, dir_fd=directory))
os.close(os.open("..", os.O_RDONLY | os.O_TMPFILE | os.O_RDWR))
os.truncate("file", 1)
os.open("link", os.O_PATH | os.O_NOFOLLOW)
os.fchmod(os.open("script", os.O_RDONLY), 0o755)
"""


async def test_calls_of_python(work: pathlib.Path) -> None:
    """Descriptors of directories, files without a name, calls by descriptor."""
    trace = await _trace(*_PYTHON, _OPENINGS, work=work)
    assert trace.returncode == 0
    assert trace.sandbox.write == (str(work.parent),)
    trace = await _trace(*_PYTHON, _OPENINGS.replace('".."', '"many"'), work=work)
    assert [*trace.sandbox.write] == [f"{work}/file", f"{work}/many", f"{work}/script"]


async def test_processes_of_its_own(work: pathlib.Path) -> None:
    """Their files in /proc have other names the next time; what it writes there cannot be named."""
    trace = await _trace("sh", "-c", "cat /proc/self/status; echo 0 >/proc/self/oom_score_adj", work=work)
    assert "/proc" in trace.sandbox.read
    assert not trace.sandbox.write


# ---- sockets ----------------------------------------------------------------------------------------------------------

_SOCKETS: dict[str, tuple[str, Any, bool]] = {
    "none": ("socket.socketpair()", False, False),
    "a connection": ("socket.socket().connect_ex(('127.0.0.1', 1))", Network(connect=[1]), False),
    "of IPv6": ("socket.socket(socket.AF_INET6).connect_ex(('::1', 1))", Network(connect=[1]), False),
    "a server": ("socket.create_server(('127.0.0.1', 0))", Network(bind=[0]), False),
    "without a bind": ("socket.socket().listen()", Network(bind=[0]), False),
    "with itself": (
        "a = socket.create_server(('127.0.0.1', 0)); socket.create_connection(a.getsockname())",
        "loopback",
        False,
    ),
    "UDP": ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))", Network(udp=True), False),
    "UDP connected": ("socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))", Network(udp=True), False),
    "a Unix socket": ("socket.socket(socket.AF_UNIX).connect('listener')", False, True),
    "one that is not there": ("socket.socket(socket.AF_UNIX).connect_ex('nothing')", False, False),
    "a Unix server": ("socket.socket(socket.AF_UNIX).bind('server')", False, True),
    "a pair of datagrams": ("socket.socketpair(type=socket.SOCK_DGRAM)", False, True),
}


@pytest.mark.parametrize("what", _SOCKETS)
async def test_sockets(what: str, work: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As little of a network as there is."""
    program, network, unix_sockets = _SOCKETS[what]
    monkeypatch.chdir(work)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("listener")
        listener.listen()
        trace = await _trace(*_PYTHON, f"import socket; {program}", work=work)
    assert (trace.returncode, trace.sandbox.network, trace.sandbox.unix_sockets) == (0, network, unix_sockets)
    assert trace.sandbox.write == ((str(work),) if "bind('" in program else ())


# ---- what is refused --------------------------------------------------------------------------------------------------


async def test_denied(work: pathlib.Path) -> None:
    """The command is in the sandbox, and each refusal is told with how often it was."""
    script = "cat file link many/0; echo >>file; ./script; echo >many/0 2>/dev/null"
    trace = await _trace("sh", "-c", script, work=work, sandbox=Sandbox(read=[work / "many"]), stderr=aiospawn.DEVNULL)
    ours = [denied for denied in trace.denied if str(work) in denied.what]
    assert ours == [
        Denied("execute", f"{work}/script", 1),
        Denied("read", f"{work}/file", 2),
        Denied("write", f"{work}/file", 1),
        Denied("write", f"{work}/many/0", 1),
    ]
    assert (work / "file").read_text() == "text"
    assert (await _trace("cat", "file", work=work, sandbox=trace.sandbox)).returncode == 0


async def test_denied_calls(work: pathlib.Path) -> None:
    """Those of the policy: without a sandbox, too, for no sandbox has them by default."""
    program = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True); c.unshare(0x10000000); os._exit(ctypes.get_errno())"
    for keywords in ({}, {"sandbox": Sandbox(execute=[sys.prefix, sys.base_prefix])}):
        trace = await _trace(*_PYTHON, program, work=work, **keywords)
        assert trace.returncode == errno.EPERM
        assert Denied("syscalls", "unshare", 1) in trace.denied
    allowing = Sandbox(execute=[sys.prefix, sys.base_prefix], syscalls=SystemCalls(deny=["getcwd"], answer="ENOANO"))
    program = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True); c.getcwd(None, 0); os._exit(ctypes.get_errno())"
    trace = await _trace(*_PYTHON, program, work=work, sandbox=allowing)
    assert trace.returncode == errno.ENOANO


async def test_denied_network(work: pathlib.Path) -> None:
    """Ports by Landlock, families by the policy."""
    python = [sys.prefix, sys.base_prefix]
    program = "import socket; socket.socket().connect_ex(('127.0.0.1', 1)); socket.socket().bind(('127.0.0.1', 0))"
    trace = await _trace(*_PYTHON, program, work=work, sandbox=Sandbox(execute=python), stderr=aiospawn.DEVNULL)
    assert [denied for denied in trace.denied if denied.kind != "read"] == [Denied("network", "a socket", 1)]
    fence = Sandbox(execute=python, network=Network(connect=[1]))
    trace = await _trace(*_PYTHON, program, work=work, sandbox=fence, stderr=aiospawn.DEVNULL)
    assert Denied("bind", "0 127.0.0.1", 1) in trace.denied
    assert "connect" not in {denied.kind for denied in trace.denied}


async def test_denied_by_the_policy_alone(work: pathlib.Path) -> None:
    """What would allow the call is listed, not the call."""
    fence = Sandbox(execute=[sys.prefix, sys.base_prefix])
    for program, wanted in (
        ("import os; os.utime('file')", Denied("write", f"{work}/file", 1)),
        ("import socket; socket.socket(socket.AF_UNIX)", Denied("unix_sockets", "a socket", 1)),
        ("import socket; socket.socket(socket.AF_INET6)", Denied("network", "a socket", 1)),
        ("import socket; socket.socket(socket.AF_PACKET)", Denied("syscalls", "socket", 1)),
    ):
        trace = await _trace(*_PYTHON, program, work=work, sandbox=fence, stderr=aiospawn.DEVNULL)
        assert [denied for denied in trace.denied if denied.kind != "read"] == [wanted]


# ---- the trace itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "keywords", "said"),
    [
        (ValueError, {"sandbox": Sandbox(hide=True)}, "a sandbox with hide=True cannot be traced"),
        (ValueError, {"sandbox": Sandbox(network="loopback")}, 'a sandbox with network="loopback" cannot be traced'),
        (ValueError, {"sandbox": Sandbox(limits=Limits(wall=1))}, "a sandbox with limits=Limits(wall=1.0) cannot be traced"),
        (TypeError, {"sandbox": "strict"}, "sandbox must be a Sandbox or None, not 'strict'"),
        (ValueError, {"stdout": asyncio.subprocess.PIPE}, "stdout cannot be a pipe"),
        (ValueError, {"preexec_fn": print}, "preexec_fn is what the command is traced by"),
        (ValueError, {"init": True}, "preexec_fn"),
        (FileNotFoundError, {"sandbox": Sandbox(read=["/nonexistent"])}, "/nonexistent"),
        (FileNotFoundError, {"cwd": "/nonexistent"}, "/nonexistent"),
    ],
)
async def test_refused(kind: type[Exception], keywords: dict[str, Any], said: str) -> None:
    with pytest.raises(kind, match=re.escape(said)):
        await aiospawn.trace_sandbox(["true"], **keywords)
    with pytest.raises(FileNotFoundError):
        await aiospawn.trace_sandbox(["no such program"])


def _appears(path: pathlib.Path) -> None:
    while not path.exists() or not path.read_text():
        time.sleep(0.01)


async def test_cancelled(work: pathlib.Path) -> None:
    """The command is stopped."""
    script = "echo $$ >pid; while :; do sleep 0.01; done"
    task = asyncio.ensure_future(_trace("sh", "-c", script, work=work))
    await asyncio.to_thread(_appears, work / "pid")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int((work / "pid").read_text()), 0)


def test_an_ordinary_user() -> None:
    """Before its program runs the child cannot be looked into: the program is named all the same. One of 0711 never can."""
    shown = fresh.run(
        """
        import asyncio, ctypes, os, shutil, sys, tempfile
        import aiospawn

        place = os.path.realpath(tempfile.mkdtemp())
        os.chmod(place, 0o755)
        for name, mode in (("plain", 0o755), ("unreadable", 0o711)):
            shutil.copy("/bin/cat", f"{place}/{name}")
            os.chmod(f"{place}/{name}", mode)
        is_root = os.getuid() == 0
        pid = os.fork()
        if not pid:
            if is_root:
                os.setgroups([])
                os.setresgid(1000, 1000, 1000)
                os.setresuid(1000, 1000, 1000)
                ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: else /proc/self is root's from now on
            os.chdir("/")
            for name in ("plain", "unreadable"):
                environment = {"PATH": f"/nowhere:{place}:/bin"}
                trace = asyncio.run(aiospawn.trace_sandbox([name, "/etc/passwd"], env=environment, stdout=-3))
                named = [path.replace(place, "") for path in trace.sandbox.execute]
                # an owner's program may be read where its user is no other
                print(trace.returncode, named, bool(trace.unseen) == (name == "unreadable" and is_root), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        shutil.rmtree(place)
        """
    )
    assert shown.splitlines() == ["0 ['/plain'] True", "0 ['/unreadable'] True"]


_IMPORTS = f"import sys; sys.path[:0] = {sys.path!r}; import asyncio, aiospawn"
_TRACING = f"{_IMPORTS}; asyncio.run(aiospawn.trace_sandbox(['true']))"


async def test_within_a_trace() -> None:
    """The kernel has one listener for a process, and the policy refuses what else it takes."""
    command = [sys.executable, "-Pc", _TRACING]
    program = f"{_IMPORTS}; asyncio.run(aiospawn.trace_sandbox({command!r}))"
    result = await aiospawn.run([sys.executable, "-Pc", program], capture_output=True, text=True)
    assert "in no sandbox and no other trace" in result.stderr


async def test_the_filter_is_refused() -> None:
    """What the kernel says reaches the caller."""
    number, set_filter = NUMBERS["seccomp"][ARCHITECTURES[platform.machine()][0]], 1
    assert number is not None
    refused = place.refusing(number, errno.EBUSY, set_filter)
    command = [sys.executable, "-Pc", _TRACING]
    result = await aiospawn.run(command, seccomp=refused, no_new_privs=True, capture_output=True, text=True)
    assert "OSError: [Errno 16] Device or resource busy (trace_sandbox: seccomp's listener)" in result.stderr


async def test_a_fault_of_the_watcher(work: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an answer that does not come: neither a launch nor a command."""

    def failing(name: str) -> Callable[..., Any]:
        def needs(called: str, *_: object) -> list[Any]:
            if called == name:
                raise RuntimeError(name)
            return []

        return needs

    for name in ("execve", "mkdir" if platform.machine() == "x86_64" else "mkdirat"):
        monkeypatch.setattr("aiospawn._sandbox.tracing.needs", failing(name))
        with pytest.raises(RuntimeError, match=name):
            await _trace("mkdir", "new", work=work)
    assert not (work / "new").exists()


def _call(name: str, *arguments: int, audit_number: int | None = None) -> bytes:
    column, own = ARCHITECTURES[platform.machine()]
    number = NUMBERS[name][column]
    return struct.pack(
        "=iIQ6Q", number, own if audit_number is None else audit_number, 0, *arguments, *[0] * (6 - len(arguments))
    )


def test_what_a_filter_says() -> None:
    """The kernel's answers, found without a process."""
    program = compiled_filter(False, SystemCalls(), unix_sockets=False, metadata=False)
    assert bpf.answer(program, _call("openat")) == 0
    assert bpf.answer(program, _call("openat", audit_number=1)) == errno.ENOSYS
    assert bpf.answer(program, _call("ptrace")) == errno.EPERM
    assert bpf.answer(program, _call("clone3")) == errno.ENOSYS
    assert bpf.answer(program, _call("socket", socket.AF_INET)) == errno.EAFNOSUPPORT
    assert bpf.answer(program, _call("socketpair", socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)) == 0
    assert bpf.answer(program, _call("unshare", 0x10000000)) == errno.EPERM
    assert bpf.answer(program, _call("unshare", 0x400)) == 0
    killing = compiled_filter(False, SystemCalls(answer="kill"), unix_sockets=False, metadata=False)
    assert bpf.answer(killing, _call("ptrace")) == -1
