"""A view of its own: what is named is there and nothing else, for every user, and nothing is left of it."""

from __future__ import annotations

import errno
import gc
import os
import pathlib
import sys
import tempfile
from typing import Any

import fresh
import place
import pytest

import aiospawn
from aiospawn import IfExists, Limits, Network, Sandbox
from aiospawn._binding import restrictions as restrictions_of_kernel
from aiospawn._sandbox import restrictions

pytestmark = [pytest.mark.once, pytest.mark.loops("one")]
enforced = pytest.mark.skipif(
    bool(place.lacks("sandbox")) or not restrictions.found().views, reason="needs Landlock ABI 6, seccomp and namespaces"
)

_LONG = "60"  # seconds, longer than any of these takes


def _bad(kind: type[Exception], said: str, **keywords: Any) -> tuple[type[Exception], dict[str, Any], str]:
    return kind, keywords, said


@pytest.mark.parametrize(
    ("kind", "keywords", "said"),
    [
        _bad(TypeError, "hide must be a bool, not str: 'yes'", hide="yes"),
        _bad(ValueError, "tmp=4096 needs hide=True", tmp=4096),
        _bad(ValueError, "home=1048576 needs hide=True", home=1 << 20),
        _bad(ValueError, "tmp must be between 4096 and", hide=True, tmp=5),
        _bad(TypeError, "home must be an integer, not str: '/root'", hide=True, home="/root"),
        _bad(TypeError, "network must be a bool, a Network or 'loopback', not 'lo'", network="lo"),
    ],
)
def test_bad_arguments(kind: type[Exception], keywords: dict[str, Any], said: str) -> None:
    """Refused by name and value."""
    with pytest.raises(kind) as caught:
        Sandbox(**keywords)
    assert said in str(caught.value)


@enforced
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"init": "leave"}, 'init="leave" cannot be combined with a sandbox in a PID namespace'),
        ({"pdeathsig": 9}, "pdeathsig=9 cannot be combined with the sandbox's hide=True"),
        ({"preexec_fn": int}, "cannot be combined with the sandbox's hide=True"),
        ({"chroot": "/usr"}, "chroot='/usr' cannot be combined with the sandbox's hide=True"),
        ({"cgroup": "/nowhere"}, "cgroup='/nowhere' cannot be combined with the sandbox's hide=True"),
        ({"oom_score_adj": 5}, "oom_score_adj=5 cannot be combined with the sandbox's hide=True"),
    ],
)
async def test_options_of_another_view(options: dict[str, Any], said: str) -> None:
    """What would name files or processes of outside is refused before anything is made."""
    with pytest.raises(ValueError, match=r"cannot be combined") as caught:
        await aiospawn.run(["true"], sandbox=Sandbox(hide=True), **options)
    assert said in str(caught.value)
    with pytest.raises(ValueError, match="the whole file system cannot be named, got '/'"):
        await aiospawn.run(["true"], sandbox=Sandbox(hide=True, read=["/"]))


async def _shown(script: str, *, check: bool = True, cwd: Any = None, **keywords: Any) -> list[str]:
    result = await aiospawn.run(
        ["sh", "-c", script], sandbox=Sandbox(hide=True, **keywords), capture_output=True, text=True, check=check, cwd=cwd
    )
    return result.stdout.splitlines()


@enforced
async def test_what_there_is(tmp_path: pathlib.Path) -> None:
    """The system's programs, what is named, and its own processes, of which the first is init."""
    (tmp_path / "file").write_text("text")
    root = {*(await _shown("ls -A /", read=[tmp_path]))}
    assert root <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "nix", "proc", "sbin", "usr", tmp_path.parts[1]}
    script = f"ls -A {tmp_path.parent}; cat {tmp_path}/file; echo; echo $$ $PPID; cat /proc/2/comm; pwd"
    assert await _shown(script, read=[tmp_path]) == [tmp_path.name, "text", "2 1", "sh", "/"]
    assert await _shown("pwd", read=[tmp_path], cwd=tmp_path) == [str(tmp_path)]
    assert await _shown("echo in >/dev/stdout; cat /dev/fd/0; ls -A /dev/shm", check=False) == ["in"]
    assert await _shown("cat /proc/1/environ /proc/1/mem; readlink /proc/1/fd/*; echo $?", check=False) == ["1"]
    mine = os.readlink("/proc/self/ns/net")
    assert await _shown("for each in net uts ipc mnt pid; do readlink /proc/self/ns/$each; done") != []
    assert mine not in await _shown("readlink /proc/self/ns/net")
    assert mine in await _shown("readlink /proc/self/ns/net", network=True)
    assert mine in await _shown("readlink /proc/self/ns/net", network=Network(connect=[443]))


@enforced
async def test_access(tmp_path: pathlib.Path) -> None:
    """Reading, writing and executing, each where it was named; what overlaps has what either gives."""
    for name in ("readable", "writable", "executable", "writable/both"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("#!/bin/sh\necho ran\n")
        (tmp_path / name / "file").chmod(0o755)
    (tmp_path / "link").symlink_to("readable")
    script = """
        for name in readable writable executable writable/both; do
            cat $name/file >/dev/null && echo $name read; ./$name/file; (echo >>$name/new) && echo $name written
        done
        mkdir writable/a && mv writable/new writable/a/b && rm writable/a/b && rmdir writable/a && echo changed
        touch new /usr/new /new || echo unchanged; cat link/file >/dev/null && echo linked
    """
    told = ["readable read", "writable read", "writable written", "executable read", "ran"]
    told += ["writable/both read", "ran", "writable/both written", "changed", "unchanged"]
    keywords: dict[str, Any] = {
        "read": [tmp_path / "readable", IfExists(tmp_path / "nothing")],
        "write": [tmp_path / "writable"],
        "execute": [tmp_path / "executable", tmp_path / "writable" / "both"],
    }
    assert await _shown(script, cwd=tmp_path, check=False, **keywords) == told
    keywords["read"] = [tmp_path / "readable", tmp_path / "link", f"{tmp_path}/writable/../readable/file"]
    assert await _shown(script, cwd=tmp_path, **keywords) == [*told, "linked"]


@enforced
@pytest.mark.parametrize("named", ["", "below"])
async def test_where_it_begins(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """In this process's directory if that is named; what has a place of its own above it is empty."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / named)
    expected = str(tmp_path / named) if named else "/"
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        assert await _shown("pwd", read=[tmp_path / "below"], tmp=True) == [expected]
        monkeypatch.chdir(directory)
        assert await _shown("pwd", tmp=True) == ["/"]


@enforced
async def test_from_one_directory_and_another(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one sandbox: each command begins where this process is then."""
    value = Sandbox(hide=True, read=[tmp_path])
    for directory, expected in ((tmp_path, str(tmp_path)), ("/var", "/"), ("/usr", "/usr"), (tmp_path, str(tmp_path))):
        monkeypatch.chdir(directory)
        done = await aiospawn.run(["pwd"], sandbox=value, capture_output=True, text=True)
        assert done.stdout.strip() == expected


@enforced
async def test_order_of_names(tmp_path: pathlib.Path) -> None:
    """What one path may does not depend on those before it: a name given twice makes no later one writable."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    script = f"touch {tmp_path}/a/new && echo a; touch {tmp_path}/b/new && echo b"
    both = [tmp_path / "a", tmp_path / "b"]
    for names in ({"read": both}, {"execute": both}):
        assert await _shown(script, check=False, write=[tmp_path / "a"], **names) == ["a"]


@enforced
async def test_links_that_are_shown(tmp_path: pathlib.Path) -> None:
    """What is named below a directory by a link in it is where the link leads in the view, with its own access."""
    for name in ("shown", "relative/deep", "absolute"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("text")
    (tmp_path / "shown" / "relative").symlink_to("../relative/deep")
    (tmp_path / "shown" / "absolute").symlink_to(tmp_path / "absolute")
    (tmp_path / "shown" / "twice").symlink_to("absolute/file")
    (tmp_path / "shown" / "top").symlink_to("/")
    script = """
        cat shown/relative/file shown/absolute/file shown/twice; echo; ls relative/deep absolute
        touch shown/made && echo shown; touch shown/relative/made || echo relative
        touch shown/absolute/made || echo absolute
    """
    links = [tmp_path / "shown" / name for name in ("relative", "twice", "absolute")]
    told = ["texttexttext", "absolute:", "file", "", "relative/deep:", "file", "shown", "relative", "absolute"]
    assert await _shown(script, cwd=tmp_path / "shown" / "..", check=False, write=[tmp_path / "shown"], read=links) == told
    with pytest.raises(ValueError, match="the whole file system cannot be named"):
        await _shown("true", read=[tmp_path / "shown", tmp_path / "shown" / "top"])


@enforced
async def test_its_own_proc() -> None:
    """What is named of /proc is the view's own: no process of outside is seen; and it cannot be written to."""
    shown = await _shown(
        "ls /proc | grep -c '^[0-9]'; cat /proc/2/comm; cat /proc/cpuinfo >/dev/null && echo read", read=["/proc"]
    )
    assert int(shown[0]) < 10
    assert shown[1:] == ["sh", "read"]
    assert await _shown("cat /proc/sys/kernel/ostype", read=["/proc/sys", "/proc/cpuinfo"]) == ["Linux"]
    for keywords, said in (
        ({"write": ["/proc"]}, "sandbox write: with hide=True there is a /proc of its own, read-only, got '/proc'"),
        ({"execute": ["/proc/self/exe"]}, "sandbox execute: with hide=True there is a /proc of its own"),
        ({"read": ["/proc/self/fd/0"]}, "no process of outside can be named, got '/proc/self/fd/0'"),
        ({"read": [f"/proc/{os.getpid()}"]}, "no process of outside can be named"),
        ({"read": ["/dev/stdin"]}, "no process of outside can be named, got '/dev/stdin'"),
    ):
        with pytest.raises(ValueError, match="with hide=True") as caught:
            await _shown("true", **keywords)
        assert said in str(caught.value)


@enforced
async def test_a_directory_by_descriptor(tmp_path: pathlib.Path) -> None:
    """It would be one outside of the view, and so would the one above it."""
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(ValueError, match=f"cwd={directory} cannot be combined with the sandbox's hide=True"):
            await aiospawn.run(["true"], sandbox=Sandbox(hide=True, read=[tmp_path]), cwd=directory)
    finally:
        os.close(directory)


@enforced
async def test_a_directory_that_is_gone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's: then the command begins at the top, unless its own directory is relative to that one."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert await _shown("pwd") == ["/"]
    assert await _shown("pwd", cwd="/usr") == ["/usr"]
    with pytest.raises(FileNotFoundError):
        await _shown("pwd", cwd="usr")


@enforced
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
async def test_places_of_another_user() -> None:
    """A command of another user's has its own home, and writes to its directories."""
    script = "for each in $TMPDIR /dev/shm $HOME; do echo text >$each/a && cat $each/a; done; stat -c %a:%u:%g $HOME /tmp"
    done = await aiospawn.run(
        ["sh", "-c", script], sandbox=Sandbox(hide=True, tmp=True, home=True), capture_output=True, text=True,
        user=1000, group=1001, extra_groups=[],
    )  # fmt: skip
    assert done.stdout.split() == ["text", "text", "text", "700:1000:1001", "1777:1000:1001"]


@enforced
@pytest.mark.parametrize("hide", [False, True])
async def test_variables_in_bytes(hide: bool) -> None:
    """Where TMPDIR is given as bytes, it is not there twice."""
    env = {b"TMPDIR": b"/nowhere", "PATH": os.defpath}
    done = await aiospawn.run(["env"], sandbox=Sandbox(hide=hide, tmp=True), env=env, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("TMPDIR=")]
    assert len(found) == 1
    assert found[0].startswith("TMPDIR=/tmp" if hide else f"TMPDIR={tempfile.gettempdir()}/")


@enforced
async def test_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never this machine's; one of its own for each that can make a socket, and one that is empty for all others."""
    script = "readlink /proc/self/ns/net /proc/1/ns/net; cat /proc/net/dev /proc/1/net/tcp | grep -c :"

    async def networks(value: Sandbox) -> str:
        done = await aiospawn.run(["sh", "-c", script], sandbox=value, capture_output=True, text=True, check=True)
        own, *others = done.stdout.split()
        assert (own, *others) in ((own, own, "1"), (own, "1"))  # its lo; an ordinary user may not ask for init's
        return own

    here = os.readlink("/proc/self/ns/net")
    ways: tuple[dict[str, Any], ...] = ({}, {"network": "loopback"}, {"unix_sockets": True})
    found = {str(way): [await networks(Sandbox(hide=True, **way)) for _ in range(2)] for way in ways}
    assert here not in [network for each in found.values() for network in each]
    value = Sandbox(hide=True)
    before = fresh.descriptors()
    shared = await networks(value)
    may = restrictions_of_kernel.may_make_namespaces()
    assert (await networks(value) == shared) == (await networks(Sandbox(hide=True, home=True)) == shared) == may
    assert len(fresh.descriptors()) == len(before) + may
    monkeypatch.setattr(restrictions_of_kernel, "may_make_namespaces", lambda: False)
    assert await networks(value) not in (shared, here)
    del value
    gc.collect()
    assert fresh.descriptors() == before


@enforced
async def test_replaced(tmp_path: pathlib.Path) -> None:
    """A path that leads to something else than at the first use is refused by name."""
    (tmp_path / "given").mkdir()
    value = Sandbox(hide=True, read=[tmp_path / "given"])
    assert (await aiospawn.run(["true"], sandbox=value)).returncode == 0
    (tmp_path / "given").rename(tmp_path / "before")
    for there in (lambda: (tmp_path / "given").symlink_to("/etc"), (tmp_path / "given").unlink):
        there()
        with pytest.raises(OSError, match=str(tmp_path)) as caught:
            await aiospawn.run(["true"], sandbox=value)
        assert caught.value.errno in (errno.ESTALE, errno.ENOENT)
        assert caught.value.step == "hide"  # type: ignore[attr-defined]


@enforced
async def test_places_of_its_own() -> None:
    """Empty, writable, as large as they may be, of one command alone, and not for programs."""
    script = """
        ls -A /tmp /dev/shm $HOME; echo $TMPDIR $HOME; echo text >$TMPDIR/a; cp /bin/true $HOME; $HOME/true || echo refused
        head -c 3M /dev/zero >/tmp/big || echo full; cat /tmp/a
    """
    told = ["/dev/shm:", "", "/home/user:", "", "/tmp:", "/tmp /home/user", "refused", "full", "text"]
    for _ in range(2):
        assert await _shown(script, check=False, tmp=2 << 20, home=True) == told


@enforced
@pytest.mark.parametrize(
    ("keywords", "named"), [({"tmp": True}, "/tmp"), ({"home": True}, "/home"), ({"tmp": True}, "/dev")]
)
async def test_places_that_are_named(keywords: dict[str, Any], named: str, tmp_path: pathlib.Path) -> None:
    """What would cover them is refused; what is named below them is there."""
    value = Sandbox(hide=True, read=[IfExists("/nonexistent"), named], **keywords)
    with pytest.raises(ValueError, match=f"makes .* anew, which '{named}' cannot be named beside"):
        await aiospawn.run(["true"], sandbox=value)
    (tmp_path / "file").write_text("text")
    assert await _shown(f"cat {tmp_path}/file; ls -A ~", home=True, tmp=True, read=[tmp_path]) == ["text"]


@enforced
async def test_limits_inside() -> None:
    """Init counts in its view, and in a PID namespace whose /proc is that of outside."""
    bomb = ["sh", "-c", f"while :; do sleep {_LONG} & done"]
    for keywords, options in (({"hide": True}, {}), ({}, {"init": True, "init_namespace": "pid"})):
        value = Sandbox(limits=Limits(processes=20), **keywords)  # type: ignore[arg-type]
        result = await aiospawn.run(bomb, sandbox=value, **options)  # type: ignore[call-overload]
        assert (result.returncode, result.limit) == (-9, "processes")


_TALK = """
import socket
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    with socket.create_server((host, 0), family=family) as server:
        print(socket.create_connection(server.getsockname()[:2]).getpeername()[0])
try:
    socket.create_connection(("192.0.2.1", 80), 5)
except OSError as error:
    print(error.errno)
"""


@enforced
@pytest.mark.parametrize("hide", [False, True])
async def test_loopback(hide: bool) -> None:
    """It talks to itself, and to nobody else."""
    value = Sandbox(network="loopback", hide=hide, execute=[sys.prefix, sys.base_prefix])
    command = [sys.executable, "-ISc", _TALK]
    result = await aiospawn.run(command, sandbox=value, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["127.0.0.1", "::1", str(errno.ENETUNREACH)]
    assert "a network of its own" in value.explain()


async def test_without_namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """It raises, or Landlock takes the place where that is enough; and a network of its own becomes none."""
    have = restrictions.found()._replace(views=False)
    monkeypatch.setattr(restrictions, "found", lambda: have)
    for keywords, name in (({"hide": True}, "view"), ({"network": "loopback"}, "network_alone")):
        with pytest.raises(NotImplementedError, match=f"{name} needs user namespaces"):
            await aiospawn.run(["true"], sandbox=Sandbox(**keywords))  # type: ignore[arg-type]
    if place.lacks("sandbox"):
        return
    (tmp_path / "file").write_text("text")
    value = Sandbox(hide=True, network="loopback", at_least=["files", "system_calls"], execute=[sys.prefix, sys.base_prefix])
    assert (await aiospawn.run(["cat", tmp_path / "file"], sandbox=value, stderr=aiospawn.DEVNULL)).returncode == 1
    command = [sys.executable, "-ISc", "import socket; socket.socket()"]
    assert (await aiospawn.run(command, sandbox=value, stderr=aiospawn.DEVNULL)).returncode == 1


def _mounts() -> str:
    return pathlib.Path("/proc/self/mountinfo").read_text()


def _namespaces() -> set[str]:
    found = set()
    for process in pathlib.Path("/proc").glob("[0-9]*/ns/mnt"):
        try:
            found.add(os.readlink(process))
        except OSError:
            continue
    return found


@enforced
async def test_nothing_is_left() -> None:
    """Of many: no process, so no namespace, no mount, no descriptor, no directory."""
    mounts = _mounts()
    value = Sandbox(hide=True, tmp=True, network="loopback")
    await aiospawn.run(["true"], sandbox=value)
    before = fresh.descriptors()
    commands = (["readlink", "/proc/self/ns/mnt"] for _ in range(100))
    async with aiospawn.map(commands, concurrency=8, sandbox=value, capture_output=True) as done:
        spaces = {result.completed.stdout.decode().strip() async for result in done if result.completed and result.ok}
    assert spaces
    assert not spaces & _namespaces()
    assert fresh.descriptors() == before
    assert _mounts() == mounts


@enforced
def test_an_ordinary_user() -> None:
    """In a user namespace: the same view, and no right is gained by it."""
    shown = fresh.run(
        """
        import asyncio, ctypes, os, tempfile
        import aiospawn, fresh
        from aiospawn import Limits, Sandbox
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: else /proc/self is root's from now on
        os.chdir("/")
        place = tempfile.mkdtemp()

        async def main():
            value = Sandbox(hide=True, tmp=True, write=[place], network="loopback")
            script = f"id -u; grep Cap[PE] /proc/self/status /proc/1/status; echo a >{place}/a; echo b >/tmp/b"
            script += f"; cat {place}/a /tmp/b; ls /root; echo >/usr/a; unshare -m true; mount -t tmpfs a /tmp; echo $$"
            done = await aiospawn.run(["sh", "-c", script], sandbox=value, stdout=-1, stderr=-3, text=True)
            print(done.stdout)
            done = await aiospawn.run(["sleep", "60"], sandbox=Sandbox(hide=True, limits=Limits(wall=0.1)))
            print(done.returncode, done.limit)

        asyncio.run(main())
        os.unlink(f"{place}/a")
        os.rmdir(place)
        """
    )
    none = "0000000000000000"
    expected = [
        "1000",
        *(f"/proc/{whose}/status:Cap{which}:\t{none}" for whose in ("self", "1") for which in ("Prm", "Eff")),
    ]
    assert shown.splitlines() == [*expected, "a", "b", "2", "", "-9 wall"]
