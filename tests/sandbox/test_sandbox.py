"""A sandbox as a value: what it takes, what it refuses, what it holds, and every launch that takes it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import gc
import pathlib
import pickle
import socket
import sys
from typing import TYPE_CHECKING, Any

import fresh
import place
import pytest

import aiospawn
from aiospawn import IfExists, Network, Sandbox
from aiospawn._sandbox import restrictions
from aiospawn._sandbox.restrictions import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.once]
one_loop = pytest.mark.loops("one")
enforced = pytest.mark.skipif(bool(place.lacks("sandbox")), reason="needs Landlock ABI 6 and seccomp")

# ---- the value --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "keywords", "said"),
    [
        (TypeError, {"read": "/etc"}, "read must be a collection of paths, not '/etc'"),
        (TypeError, {"write": 5}, "write must be a collection of paths, not 5"),
        (TypeError, {"execute": IfExists("/x")}, "execute must be a collection of paths"),
        (TypeError, {"read": [5]}, "a path in read must be a path, not 5"),
        (TypeError, {"read": [None]}, "read must hold paths, not None"),
        (ValueError, {"read": [""]}, "a path in read is empty: ''"),
        (ValueError, {"write": ["a\0b"]}, "a path in write: embedded null byte in 'a\\x00b'"),
        (TypeError, {"network": "443"}, "network must be a bool, a Network or 'loopback', not '443'"),
        (TypeError, {"network": 1}, "network must be a bool, a Network or 'loopback', not 1"),
        (TypeError, {"unix_sockets": "yes"}, "unix_sockets must be a bool"),
        (TypeError, {"system": None}, "system must be a bool"),
        (TypeError, {"at_least": "files"}, "at_least must be a collection of restrictions, not 'files'"),
        (ValueError, {"at_least": ["file"]}, "at_least: unknown restriction 'file', known are files, truncate"),
    ],
)
def test_bad_arguments(kind: type[Exception], keywords: dict[str, Any], said: str) -> None:
    """Refused by name and value."""
    with pytest.raises(kind) as caught:
        Sandbox(**keywords)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "keywords", "said"),
    [
        (TypeError, {"connect": 443}, "Network: connect must be a collection of TCP ports, not 443"),
        (ValueError, {"connect": [65536]}, "Network: a port in connect must be between 0 and 65535, got 65536"),
        (TypeError, {"bind": ["http"]}, "Network: a port in bind must be an integer"),
        (TypeError, {"udp": "yes"}, "Network: udp must be a bool"),
    ],
)
def test_bad_networks(kind: type[Exception], keywords: dict[str, Any], said: str) -> None:
    """Likewise."""
    with pytest.raises(kind) as caught:
        Network(**keywords)
    assert said in str(caught.value)


def test_immutable_and_equal_by_value() -> None:
    """It cannot be changed; copies and pickles are equal."""
    values = (
        Sandbox(read=["/etc", IfExists("/x")], network=Network(connect=[443, 80]), at_least=["files"]),
        Network(bind=[0]),
        IfExists("/x"),
    )
    for value in values:
        assert pickle.loads(pickle.dumps(value)) == copy.copy(value) == value
        assert hash(copy.deepcopy(value)) == hash(value)
        assert value != Sandbox(network=True)
        with pytest.raises(AttributeError, match="immutable"):
            value.read = ()  # type: ignore[misc,union-attr]


def test_relative_paths(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the directory in which the sandbox is made."""
    monkeypatch.chdir(tmp_path)
    assert Sandbox(read=["a", b"b"], write=[pathlib.Path("c")]).read == (f"{tmp_path}/a", f"{tmp_path}/b")


def test_explanation() -> None:
    """In words, with everything that was named."""
    told = Sandbox(read=["/etc"], write=["/srv"], execute=[IfExists("/opt")], network=Network(connect=[443])).explain()
    for words in (
        "reads: /etc",
        "removes: /srv",
        "reads and executes: /opt (if it exists)",
        "to ports: 443",
        "on ports: none",
    ):
        assert words in told
    assert "has no network" in Sandbox().explain()


# ---- a kernel that has less -------------------------------------------------------------------------------------------

_FILES, _TCP = "files", "tcp_ports"
_NEEDS = {"files": 1, "truncate": 3, "tcp_ports": 4, "device_ioctls": 5, "abstract_sockets": 6, "signals": 6}


def _have(monkeypatch: pytest.MonkeyPatch, landlock: int, *, filters: bool = True) -> None:
    monkeypatch.setattr(restrictions, "found", lambda: Kernel(landlock, filters))


@pytest.mark.parametrize("filters", [True, False])
@pytest.mark.parametrize("abi", range(8))
@one_loop
async def test_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, abi: int, filters: bool) -> None:
    """With each ABI of Landlock, with and without seccomp: what cannot be enforced raises, with need and have."""
    _have(monkeypatch, abi, filters=filters)
    for restriction in Sandbox.restrictions():
        if restriction.name in ("view", "network_alone"):  # test_hide.py
            continue
        needed = _NEEDS.get(restriction.name)
        enough = filters if needed is None else abi >= needed
        assert restriction.enforced == enough
        if enough:
            continue
        value = Sandbox(network=Network(), unix_sockets=True, at_least=[restriction.name])
        with pytest.raises(NotImplementedError) as caught:
            await aiospawn.run(["true"], sandbox=value)
        need, have = restriction.need, restriction.have
        assert str(caught.value) == f"sandbox: {restriction.name} needs {need}, this kernel has {have}"
        assert f"goes without: {restriction.name}" in Sandbox(network=Network(), unix_sockets=True, at_least=[]).explain()
    if abi < 6 or not filters:
        with pytest.raises(NotImplementedError):
            await aiospawn.run(["true"], sandbox=Sandbox())
        assert "a launch is refused: signals" in Sandbox().explain() or abi >= 6


@pytest.mark.parametrize("abi", range(1, 8))
@enforced
@one_loop
async def test_less_where_it_may_be(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, abi: int) -> None:
    """`at_least` names what must hold, and that holds with an older Landlock too."""
    _have(monkeypatch, abi)
    (tmp_path / "file").write_text("text")
    value = Sandbox(at_least=["files", "system_calls"])
    command = f"cat {tmp_path}/file || echo refused; unshare -U true || echo refused; kill -0 $PPID && echo signalled"
    result = await aiospawn.run(["sh", "-c", command], sandbox=value, capture_output=True, text=True)
    assert result.stdout.split() == ["refused", "refused", *["signalled"][: abi < 6]]


@one_loop
async def test_without_landlock_or_seccomp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either mechanism is used alone where the other may be missing."""
    for landlock, filters, name in ((0, True, "Seccomp:\t2"), (0, False, "Seccomp:\t0")):
        _have(monkeypatch, landlock, filters=filters)
        result = await aiospawn.run(
            ["cat", "/proc/self/status"], sandbox=Sandbox(at_least=[]), capture_output=True, text=True
        )
        assert name in result.stdout
        assert "NoNewPrivs:\t1" in result.stdout
        assert "CapPrm:\t0000000000000000" in result.stdout


# ---- what it holds ----------------------------------------------------------------------------------------------------


@enforced
@one_loop
async def test_paths_are_opened_once(tmp_path: pathlib.Path) -> None:
    """What a path named at the first use is what is allowed, also when another is put in its place."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "file").write_text("first")
    value = Sandbox(read=[tmp_path / "allowed"])
    command = ["cat", str(tmp_path / "allowed" / "file")]
    assert (await aiospawn.run(command, sandbox=value, capture_output=True)).stdout == b"first"
    (tmp_path / "allowed").rename(tmp_path / "before")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("second")
    (tmp_path / "allowed").symlink_to("secret")
    assert (await aiospawn.run(command, sandbox=value, capture_output=True)).stdout == b""
    assert (await aiospawn.run(["cat", tmp_path / "before" / "file"], sandbox=value, capture_output=True)).stdout == b"first"


@enforced
@one_loop
async def test_descriptor_is_freed_with_the_value() -> None:
    """One ruleset for all launches, closed with the sandbox, though programs for its launches are remembered."""
    before = fresh.descriptors()
    value = Sandbox()
    for _ in range(3):
        await aiospawn.run(["true"], sandbox=value, check=True, stdout=aiospawn.DEVNULL)
    assert len(fresh.descriptors()) == len(before) + 1
    assert len(value.programs()) == 1
    with pytest.raises(FileNotFoundError):
        await aiospawn.create_subprocess_exec("/nonexistent", sandbox=value)
    launch = asyncio.create_task(aiospawn.create_subprocess_exec("sleep", "60", sandbox=value))
    await asyncio.sleep(0)
    launch.cancel()
    await asyncio.wait([launch])
    del value, launch
    await asyncio.sleep(0)  # until then the callback that woke this task holds what the launch raised
    gc.collect()
    assert fresh.descriptors() == before


@enforced
@one_loop
async def test_paths_that_are_not_there(tmp_path: pathlib.Path) -> None:
    """An error that names option and path, and leaves nothing open; unless marked."""
    before = fresh.descriptors()
    with pytest.raises(FileNotFoundError) as caught:
        await aiospawn.run(["true"], sandbox=Sandbox(write=[tmp_path, tmp_path / "nowhere"]))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(tmp_path / "nowhere"))
    assert "sandbox write" in str(caught.value)
    del caught
    gc.collect()
    assert fresh.descriptors() == before
    value = Sandbox(write=[IfExists(tmp_path / "nowhere")])
    assert (await aiospawn.run(["true"], sandbox=value)).returncode == 0


# ---- what it allows ---------------------------------------------------------------------------------------------------


@enforced
@one_loop
async def test_what_is_named(tmp_path: pathlib.Path) -> None:
    """Reading, writing and executing, each where it was named; overlapping paths have what either gives."""
    for name in ("readable", "writable", "executable"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("#!/bin/sh\necho ran\n")
        (tmp_path / name / "file").chmod(0o755)
    value = Sandbox(
        read=[tmp_path / "readable", tmp_path / "writable"], write=[tmp_path / "writable"], execute=[tmp_path / "executable"]
    )
    script = """
        for name in readable writable executable; do
            cat $name/file >/dev/null && echo $name read; ./$name/file; (echo >>$name/new) && echo $name written
        done
        mkdir writable/a && mv writable/new writable/a/b && rm writable/a/b && rmdir writable/a && echo changed
    """
    result = await aiospawn.run(["sh", "-c", script], sandbox=value, cwd=tmp_path, capture_output=True, text=True)
    told = ["readable read", "writable read", "writable written", "executable read", "ran", "changed"]
    assert result.stdout.splitlines() == told


_PROBE = """
import socket, sys
for text in sys.argv[1:]:
    call, _, rest = text.partition(" ")
    try:
        if call == "connect":
            socket.create_connection(("127.0.0.1", int(rest)))
        elif call == "listen":
            socket.create_server(("127.0.0.1", int(rest)))
        elif call == "unbound":
            socket.socket().listen()
        elif call == "fastopen":
            socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", int(rest)))
        elif call == "mptcp":
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
        elif call == "udp":
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        elif call == "unix":
            socket.socket(socket.AF_UNIX).connect(rest)
        elif call == "abstract":
            socket.socket(socket.AF_UNIX).connect("\\0" + rest)
        elif call == "pair":
            socket.socketpair()
    except OSError:
        continue
    print(text)
"""
_INTERPRETER = [sys.prefix, sys.base_prefix]


@contextlib.contextmanager
def _listening(family: int, address: Any) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()
        yield listener


@enforced
@one_loop
async def test_networks(tmp_path: pathlib.Path) -> None:
    """Each kind of network allows what it says, and nothing else."""
    tcp, unix = socket.AF_INET, socket.AF_UNIX
    with (
        _listening(tcp, ("127.0.0.1", 0)) as first,
        _listening(tcp, ("127.0.0.1", 0)) as second,
        _listening(unix, f"{tmp_path}/s"),
        _listening(unix, f"\0{tmp_path}"),
    ):
        allowed, other = (listener.getsockname()[1] for listener in (first, second))
        one, two, listen, path = f"connect {allowed}", f"connect {other}", "listen 0", f"unix {tmp_path}/s"
        every = (one, two, listen, "unbound", f"fastopen {allowed}", "mptcp", "udp", path, f"abstract {tmp_path}", "pair")

        async def reached(**keywords: Any) -> set[str]:
            value = Sandbox(execute=_INTERPRETER, read=[tmp_path], **keywords)
            command = [sys.executable, "-ISc", _PROBE, *every]
            result = await aiospawn.run(command, sandbox=value, capture_output=True, text=True, check=True)
            return {*result.stdout.splitlines()}

        pair = {"pair"}
        assert await reached() == pair
        assert await reached(network=Network(connect=[allowed])) == pair | {one}
        assert await reached(network=Network(connect=[other], udp=True)) == pair | {two, "udp"}
        assert await reached(network=Network(bind=[0])) == pair | {listen, "unbound"}
        assert {one, two, listen, "udp"} <= await reached(network=True)
        assert not {path, f"abstract {tmp_path}"} & await reached(network=True)
        assert await reached(unix_sockets=True) == pair | {path}


# ---- every launch -----------------------------------------------------------------------------------------------------


@enforced
@one_loop
async def test_every_launch(tmp_path: pathlib.Path) -> None:
    """Each function takes it, and its command is fenced."""
    (tmp_path / "secret").write_text("secret")
    value = Sandbox()
    script = f"cat {tmp_path}/secret 2>/dev/null || echo fenced"
    command = ["sh", "-c", script]
    shown: list[Any] = []
    process = await aiospawn.create_subprocess_exec(*command, stdout=aiospawn.PIPE, sandbox=value)
    shown.append((await process.communicate())[0].decode())
    process = await aiospawn.create_subprocess_shell(script, stdout=aiospawn.PIPE, sandbox=value)
    shown.append((await process.communicate())[0].decode())
    ways: tuple[dict[str, Any], ...] = ({}, {"init": True}, {"preexec_fn": int}, {"via": "launcher"})
    shown += [(await aiospawn.run(command, sandbox=value, capture_output=True, text=True, **way)).stdout for way in ways]
    shown.append((await aiospawn.pipeline(command, ["cat"], sandbox=value, capture_output=True, text=True)).stdout)
    shown += [line async for line in aiospawn.lines(command, sandbox=value, text=True)]
    async with aiospawn.map([command] * 3, sandbox=value, capture_output=True, text=True) as results:
        shown += [result.stdout async for result in results]
    async with aiospawn.ProcessGroup(sandbox=value) as group:
        process = await group.spawn(*command, stdout=aiospawn.PIPE)
        shown.append((await process.communicate())[0].decode())
    async with await aiospawn.popen(script, sandbox=value) as pipe:
        shown.append(await pipe.read())
    assert shown == ["fenced\n"] * 13
