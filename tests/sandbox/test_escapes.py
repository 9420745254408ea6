"""Attempts to get out of the default sandbox: each works without it and fails in it, as root and as an ordinary user."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import platform
import pty
import shutil
import socket
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import escapes
import place
import pytest
from paths import SUPPORT

import aiospawn
from aiospawn._sandbox import restrictions
from aiospawn._sandbox.system_calls import ARCHITECTURES, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once

_ORDINARY, _OTHER = 1000, 1001
_COLUMN = ARCHITECTURES[platform.machine()][0]
_CALLS = {name: numbers[_COLUMN] for name, numbers in NUMBERS.items()}
_CALLS |= {"tkill": (200, 130)[_COLUMN], "tgkill": (234, 131)[_COLUMN], "rt_sigqueueinfo": (129, 138)[_COLUMN]}
_MOST = 120  # seconds, if a probe hangs


def _interpreter(user: int) -> str:
    """One that this user can execute."""
    if user == os.getuid():
        return sys.executable
    with contextlib.suppress(StopIteration):
        return next(path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(path))
    pytest.skip("no interpreter is outside of a private home directory")


@contextlib.contextmanager
def _scene(user: int) -> Iterator[dict[str, Any]]:
    """What there is to break out to, all of it this user's."""
    with contextlib.ExitStack() as stack:
        here = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("outside", "readable", "empty", "removable"):
            (here / name).mkdir()
        for name in ("secret", "removable", "renamable", "attributed"):
            (here / "outside" / name).write_text(name)
        os.setxattr(here / "outside" / "attributed", "user.a", b"1")
        for name in ("outside", "readable"):
            shutil.copy("/bin/true", here / name / "tool")
        (here / "readable" / "file").write_text("text")
        (here / "readable" / "link").symlink_to(here / "outside" / "secret")
        shutil.copy(SUPPORT / "escapes.py", here / "readable")
        shared = pathlib.Path(stack.enter_context(tempfile.NamedTemporaryFile(dir="/dev/shm")).name)
        stream, datagrams, tcp, abstract = (
            stack.enter_context(socket.socket(family, kind))
            for family, kind in (
                (socket.AF_UNIX, socket.SOCK_STREAM),
                (socket.AF_UNIX, socket.SOCK_DGRAM),
                (socket.AF_INET, socket.SOCK_STREAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
            )
        )
        stream.bind(str(here / "stream"))
        datagrams.bind(str(here / "datagrams"))
        tcp.bind(("127.0.0.1", 0))
        abstract.bind(f"\0{here}")
        for listener in (stream, tcp, abstract):
            listener.listen()
        secret = stack.enter_context((here / "outside" / "secret").open())
        master, terminal = pty.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, terminal)
        if user != os.getuid():
            for path in (here, shared, *here.rglob("*")):
                os.chown(path, user, user, follow_symlinks=False)
        if os.getuid() == 0:
            (here / "readable" / "private").touch(0o600)
            os.chown(here / "readable" / "private", _OTHER, _OTHER)
        yield {
            "place": str(here), "shared": str(shared), "path": str(here / "stream"), "datagrams": str(here / "datagrams"),
            "abstract": f"\0{here}", "port": tcp.getsockname()[1], "terminal": terminal, "numbers": _CALLS,
            "launcher": os.getpid(), "secret": secret.fileno(), "root": user == 0,
        }  # fmt: skip


async def _outcomes(user: int, *, sandboxed: bool, **keywords: Any) -> dict[str, int]:
    ids: dict[str, Any] = {} if user == os.getuid() else {"user": user, "group": user, "extra_groups": []}
    interpreter = _interpreter(user)
    with _scene(user) as scene:
        readable = os.path.join(scene["place"], "readable")
        sandbox = aiospawn.Sandbox(
            read=[readable], execute=[sys.prefix, sys.base_prefix] if interpreter == sys.executable else [], **keywords
        )
        async with await aiospawn.create_subprocess_exec("sleep", "1000", process_group=0, **ids) as victim:
            setting = json.dumps(scene | {"victim": victim.pid, "sandboxed": sandboxed})
            result = await aiospawn.run(
                [interpreter, "-ISB", os.path.join(readable, "escapes.py"), setting],
                stdin=scene["secret"], capture_output=True, text=True, timeout=_MOST, pass_fds=[scene["terminal"]],
                sandbox=sandbox if sandboxed else None, cwd="/", **ids,
            )  # fmt: skip
            victim.kill()
    assert (result.returncode, result.stderr) == (0, "")
    outcomes: dict[str, int] = json.loads(result.stdout)
    return outcomes


@pytest.mark.loops("one")
@pytest.mark.parametrize("user", [0, _ORDINARY], ids=["root", "ordinary"])
async def test_escapes(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What works without the sandbox is stopped by it: by Landlock, by namespaces, and by both."""
    if os.getuid() != 0:
        if user == 0:
            pytest.skip("needs root")
        user = os.getuid()
    if lacks := place.lacks("sandbox"):
        pytest.skip(f"needs {lacks}")
    tried = {name for name, (root, _) in escapes.ATTEMPTS.items() if user == 0 or not root}
    free = await _outcomes(user, sandboxed=False)
    assert {name: code for name, code in free.items() if code not in (0, errno.ENOSYS)} == {}  # a kernel may lack a call
    for keywords, allowed in _fences():
        fenced = await _outcomes(user, sandboxed=True, **keywords)
        assert free.keys() == fenced.keys() == tried
        assert {name for name, code in fenced.items() if code in (0, escapes._BROKEN)} == allowed & tried, keywords
    if restrictions.found().views:
        have = restrictions.found()._replace(landlock=0)
        monkeypatch.setattr(restrictions, "found", lambda: have)
        fenced = await _outcomes(user, sandboxed=True, hide=True, at_least=["view", "system_calls"])
        assert {name for name, code in fenced.items() if code in (0, escapes._BROKEN)} == (_ITS_OWN | _ITS_INPUT) & tried


_ITS_OWN = {"list the root", "list processes"}  # those of the view
# A mount namespace has no say in what is open already: its mount is that of outside.
_ITS_INPUT = {"read what standard input has, anew", "read by /dev/fd", "write what standard input may only read"}


def _fences() -> Iterator[tuple[dict[str, Any], set[str]]]:
    yield {}, set()
    if restrictions.found().views:
        yield {"hide": True}, _ITS_OWN
        yield {"hide": True, "network": "loopback"}, _ITS_OWN | _OF_ITS_NETWORK


_OF_ITS_NETWORK = {"listen by TCP", *(f"a socket: {kind}" for kind in ("TCP", "TCP by IPv6", "UDP", "netlink"))}


def test_there_are_many() -> None:
    """At least so many are tried."""
    assert len(escapes.ATTEMPTS) >= 80
