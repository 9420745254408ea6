"""Policies of system calls: what each refuses, calls by name, and with what answer."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import sys
from typing import Any

import place
import pytest

import aiospawn
from aiospawn import Sandbox, SystemCalls

pytestmark = [pytest.mark.once, pytest.mark.loops("one")]
enforced = pytest.mark.skipif(bool(place.lacks("sandbox")), reason="needs Landlock ABI 6 and seccomp")

_PYTHON = [sys.executable, "-ISc"]
_INTERPRETER = [sys.prefix, sys.base_prefix, os.path.realpath(sys.executable)]


@pytest.mark.parametrize(
    ("kind", "make", "said"),
    [
        (ValueError, lambda: Sandbox(syscalls="strict"), "syscalls must be one of default, compute, or a Sys"),
        (TypeError, lambda: Sandbox(syscalls=5), "syscalls must be the name of a policy or a SystemCalls, not 5"),
        (ValueError, lambda: SystemCalls("x"), "SystemCalls: policy must be one of default, compute, got 'x'"),
        (TypeError, lambda: SystemCalls(deny="mkdir"), "SystemCalls: deny must be a collection of names, not 'mkdir'"),
        (ValueError, lambda: SystemCalls(deny=["mkdr"]), "SystemCalls: deny: Linux 6.17 has no system call 'mkdr'"),
        (ValueError, lambda: SystemCalls(allow=["bpf"], deny=["bpf"]), "'bpf' is in both allow and deny"),
        (ValueError, lambda: SystemCalls(deny=["execve"]), "SystemCalls: deny: a launch needs 'execve'"),
        (ValueError, lambda: SystemCalls(allow=["socket"]), "'socket' is decided by network and unix_sockets"),
        (ValueError, lambda: SystemCalls(answer="EFOO"), 'answer must be "kill" or an error number, as "EPERM", got'),
        (ValueError, lambda: SystemCalls(answer=0), "an error number is between 1 and 4095, got 0"),
        (TypeError, lambda: SystemCalls(answer=None), 'answer must be "kill" or an error number, got None'),
        (ValueError, lambda: Sandbox(syscalls="compute", network=True), 'syscalls="compute" has no sockets'),
        (
            ValueError,
            lambda: Sandbox(syscalls=SystemCalls(allow=["io_uring_setup"])),
            "'io_uring_setup' makes sockets past network and unix_sockets",
        ),
    ],
)  # fmt: skip
def test_bad_policies(kind: type[Exception], make: Any, said: str) -> None:
    """Refused by name and value."""
    with pytest.raises(kind) as caught:
        make()
    assert said in str(caught.value)


def test_a_value() -> None:
    """Immutable, equal by its fields, and shown by explain()."""
    value = SystemCalls("compute", allow=["ptrace"], deny={"mkdir"}, answer="kill")
    assert pickle.loads(pickle.dumps(value)) == value != SystemCalls("compute")
    assert repr(value) == "SystemCalls('compute', allow=['ptrace'], deny=['mkdir'], answer='kill')"
    with pytest.raises(AttributeError, match="immutable"):
        value.deny = ()  # type: ignore[misc,assignment]
    told = Sandbox(syscalls=value).explain()
    for words in (
        "makes no socket and no process",
        "but may, whatever comes of it: ptrace",
        "besides: mkdir",
        "is killed where",
    ):
        assert words in told
    assert Sandbox(syscalls="compute") == Sandbox(syscalls=SystemCalls("compute")) != Sandbox()


async def _ran(command: list[str], **keywords: Any) -> tuple[int, str]:
    result = await aiospawn.run(command, sandbox=Sandbox(**keywords), capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr.strip()[-200:]


@enforced
async def test_compute(tmp_path: Any) -> None:
    """It computes, with threads; it makes no process and no socket, and executes what is named alone."""
    program = shutil.copy("/bin/true", tmp_path)  # the interpreter's directory, which is named, may be /usr
    compute: dict[str, Any] = {"syscalls": "compute", "execute": _INTERPRETER}
    threads = "import threading; each = threading.Thread(target=print, args=(5,)); each.start(); each.join()"
    assert await _ran([*_PYTHON, threads], **compute) == (0, "5\n")
    for attempt in (
        "os.fork()",
        "socket.socketpair()",
        f"os.execv({program!r}, ['true'])",
        f"os.posix_spawn({program!r}, ['true'], {{}})",
    ):
        code, told = await _ran([*_PYTHON, f"import os, socket; {attempt}"], **compute)
        assert code == 1, attempt
        assert "PermissionError" in told
    with pytest.raises(PermissionError):
        await _ran(["true"], syscalls="compute")
    assert await _ran(["true"], syscalls="compute", execute=["/bin/true"]) == (0, "")


@enforced
async def test_by_name(tmp_path: Any) -> None:
    """Calls refused with this error or by a signal, and calls allowed besides."""
    made = ["mkdir", str(tmp_path / "made")]
    for answer, told in (("ENOTSUP", "Operation not supported"), (30, "Read-only file system")):
        calls = SystemCalls(deny=["mkdir", "mkdirat"], answer=answer)
        code, shown = await _ran(made, write=[tmp_path], syscalls=calls)
        assert code == 1
        assert told in shown
    assert (await _ran(made, write=[tmp_path], syscalls=SystemCalls(deny=["mkdir", "mkdirat"], answer="kill")))[0] == -31
    assert await _ran(made, write=[tmp_path]) == (0, "")
    personality = [*_PYTHON, "import ctypes; print(ctypes.CDLL(None).personality(0x0040000))"]  # ADDR_NO_RANDOMIZE
    fenced = {"execute": _INTERPRETER}
    assert await _ran(personality, **fenced) == (0, "-1\n")
    assert await _ran(personality, syscalls=SystemCalls(allow=["personality"]), **fenced) == (0, "0\n")
    assert (await _ran(personality, syscalls=SystemCalls(answer="kill"), **fenced))[0] == -31


@enforced
async def test_harmless_programs_are_not_killed() -> None:
    """What the C library tries first (clone3, say) has an error that it goes on from, also where refused calls kill."""
    script = "sh -c 'sleep 0 & wait'; ls /usr >/dev/null; id -u >/dev/null; echo done"
    assert await _ran(["sh", "-c", script], syscalls=SystemCalls(answer="kill")) == (0, "done\n")


_ANSWERS = """
import ctypes, json, os, platform, socket
libc, answers = ctypes.CDLL(None, use_errno=True), {}
column = platform.machine() == "aarch64"

def answer(name, function):
    try:
        function()
        answers[name] = 0
    except OSError as error:
        answers[name] = error.errno

def call(*numbers):
    if libc.syscall(numbers[column], 0, 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "")

def fork():
    if os.fork() == 0:
        os._exit(0)
    os.wait()

answer("pipe", lambda: os.close(os.pipe()[0]))
answer("list", lambda: os.listdir("/usr"))
answer("keyctl", lambda: call(250, 219))
answer("unshare", lambda: call(272, 97))
answer("pidfd_getfd", lambda: call(438, 438))
answer("io_uring_setup", lambda: call(425, 425))
answer("fork", fork)
answer("pair", socket.socketpair)
answer("internet", lambda: socket.socket(socket.AF_INET))
print(json.dumps(answers))
"""


@pytest.mark.skipif(
    not next(row.enforced for row in Sandbox.restrictions() if row.name == "system_calls"), reason="needs seccomp filters"
)
@pytest.mark.parametrize("policy", ["default", "compute"])
async def test_each_filter_alone(policy: str) -> None:
    """What it allows and what it refuses, where there is nothing else: on every processor that has numbers."""
    value = Sandbox(syscalls=policy, at_least=["system_calls"], execute=_INTERPRETER)
    done = await aiospawn.run([*_PYTHON, _ANSWERS], sandbox=value, check=True, capture_output=True)
    computes = policy == "compute"
    assert json.loads(done.stdout) == {
        "pipe": 0,
        "list": 0,
        "keyctl": errno.EPERM,
        "unshare": 0,
        "pidfd_getfd": errno.EPERM,
        "io_uring_setup": errno.EPERM,
        "fork": errno.EPERM if computes else 0,
        "pair": errno.EPERM if computes else 0,
        "internet": errno.EPERM if computes else errno.EAFNOSUPPORT,
    }
