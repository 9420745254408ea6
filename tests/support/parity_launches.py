"""Parity: what the child finds, and which program is found."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

from child import child
from parity import Cases, at, run

__all__ = ["CASES"]

CASES = Cases()
case, programs, shells = CASES.function, CASES.program, CASES.shell


async def reported(*arguments: str, **options: Any) -> dict[str, Any]:
    """What a child finds itself started with."""
    options = {"stdin": DEVNULL, "env": {}, **options}
    returncode, output, _ = await run(*child("report", *arguments), stdout=PIPE, **options)
    assert returncode == 0
    found: dict[str, Any] = json.loads(output or b"")
    return found


class _FakePath:
    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return self.path


CASES.calling("plain", reported)
CASES.calling("cwd, relative", reported, cwd=".")
CASES.calling("cwd, bytes", reported, cwd=at("room", os.fsencode))
CASES.calling("cwd, fspath", reported, cwd=at("room", _FakePath))
CASES.calling("environment", reported, env={"a": "b", "empty": "", "umlaut": "\xe4\udcff"})
CASES.calling("environment, bytes", reported, env={b"a": b"b\xff", "c": b"d", b"e": "f"})
CASES.calling("environment, paths", reported, env={"a": pathlib.Path("b"), pathlib.Path("c"): "d"})
CASES.calling("environment, chained", reported, env=collections.ChainMap({"a": "b"}, {"a": "c", "d": "e"}))
CASES.calling("environment, inherited", reported, env=None)
CASES.calling("umask", reported, umask=0o27)
CASES.calling("umask, unset", reported, umask=-1)
CASES.calling("session", reported, start_new_session=True)
CASES.calling("group", reported, process_group=0)
CASES.calling("no group", reported, process_group=None)
CASES.calling("setsid as preexec_fn", reported, preexec_fn=os.setsid)
CASES.calling("descriptors closed", reported)
CASES.calling("stderr to stdout", reported, stderr=STDOUT)
CASES.calling("stderr to nothing", reported, stderr=DEVNULL)
CASES.calling("pipes", reported, stdin=PIPE, stderr=PIPE)
CASES.calling("pipe size", reported, pipesize=8192, stdin=PIPE, stderr=PIPE)
CASES.calling("executable", reported, executable=sys.executable)
CASES.calling("signals not restored", reported, restore_signals=False)
if os.geteuid() == 0:
    CASES.calling("user", reported, user=65534)
    CASES.calling("user by name", reported, user="nobody")
    CASES.calling("group id", reported, group=65534)
    CASES.calling("user, group, groups", reported, user=65534, group=65533, extra_groups=[1, 2, "root"])
    CASES.calling("no groups", reported, extra_groups=[])


@case
async def passed_descriptors(directory: pathlib.Path) -> Any:
    """They keep their numbers; what is not passed is closed."""
    with (directory / "file").open() as passed, (directory / "script").open() as kept:
        os.set_inheritable(kept.fileno(), True)
        found = await reported(pass_fds=(passed.fileno(),))
        return found["descriptors"].pop(str(passed.fileno())), found, os.get_inheritable(passed.fileno())


@case
async def inheritable_descriptors(directory: pathlib.Path) -> Any:
    """With close_fds=False the inheritable ones are inherited, and no pipe of the parent's."""
    with (directory / "file").open() as inheritable, (directory / "script").open():
        os.set_inheritable(inheritable.fileno(), True)
        found = await reported(close_fds=False, stdin=PIPE, stderr=PIPE)
        return sorted(found["descriptors"].values())


@case
async def passed_descriptors_of_every_kind(directory: pathlib.Path) -> Any:
    """A generator, a set, doubled numbers, a bool, the standard streams themselves."""
    with (directory / "file").open() as file:
        number = file.fileno()
        return [
            (await reported(pass_fds=passed))["descriptors"].get(str(number))
            for passed in ((number for _ in range(2)), {number}, [number, number], [True, 0, number])
        ]


@case
async def signal_mask_and_ignored_signals(_: pathlib.Path) -> Any:
    """The caller's are passed on, and SIGPIPE and SIGXFSZ by default reset."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return [
            await run("grep", "Sig[BIC]", "/proc/self/status", stdout=PIPE, restore_signals=restored)
            for restored in (True, False)
        ]
    finally:
        signal.signal(signal.SIGHUP, ignored)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


_TOOL = {"stdout": PIPE, "stderr": PIPE}
for _name, _path in {
    "first that runs": "forbidden:room",
    "first error": "forbidden:other:nonexistent",
    "behind a directory of that name": "other:room",
    "behind a file": "file:room",
    "not there": "nonexistent:nowhere",
    "doubled": "room:room",
}.items():
    programs(f"search path, {_name}", "tool", env={"PATH": at(_path)}, **_TOOL)
programs("search path, empty", "true", env={"PATH": ""})
programs("search path, with an empty part", "tool", cwd=at("room"), env={"PATH": "/nonexistent:"}, **_TOOL)
programs("search path, relative", "tool", cwd=at("."), env={"PATH": "room"}, **_TOOL)
programs("search path, none", "true", env={})
programs("search path, bytes", "tool", env={b"PATH": at("room", os.fsencode)}, **_TOOL)
programs("search path, executable by name", "tool", executable="true", env={"PATH": at("room")})
programs("relative program in another directory", "./tool", cwd=at("room"), **_TOOL)
programs("relative program, with a part", "room/tool", cwd=at("."), **_TOOL)
programs("script", at("script"), "a", "b c", stdout=PIPE)
programs("program as bytes", b"echo", b"\xff", "\udcfe", stdout=PIPE)
programs("program as fspath", _FakePath("/bin/echo"), _FakePath("text"), stdout=PIPE)
programs("no variables", "env", env={}, stdout=PIPE, stderr=PIPE)
programs("executable, its name as given", "name as given", "-c", "echo $0", executable="/bin/sh", stdout=PIPE)
programs("executable, bytes", b"name", "-c", "echo $0", executable=b"/bin/sh", stdout=PIPE)
programs("executable, pathlib", "name", "-c", "echo $0", executable=pathlib.Path("/bin/sh"), stdout=PIPE)
programs("python as pathlib", pathlib.Path(sys.executable), b"-I", b"-S", b"-c", b'print("spam")', stdout=PIPE)
programs("preexec_fn changes the directory", "pwd", stdout=PIPE, preexec_fn=lambda: os.chdir("/usr"))
programs(
    "preexec_fn sets a variable", "sh", "-c", "echo $FRUIT", stdout=PIPE, preexec_fn=lambda: os.putenv("FRUIT", "apple")
)


# ---- shells

shells("shell, empty command", "")
shells("shell, missing command", "no-such-program-anywhere", stderr=DEVNULL)
shells("shell, exit status", "exit 7")
shells("shell, exit status over 255", "exit 300", stderr=DEVNULL)
shells("shell, bytes", b"echo text; exit 8", stdout=PIPE)
shells("shell, another one", "echo $0", executable="/bin/sh", stdout=PIPE)
shells("shell, in a session", "exit 8", start_new_session=True)
shells("shell, killed", "kill -9 $$")
shells("shell, real-time signal", "kill -40 $$")
shells("shell, variables", "echo $FOO$BAR", env={"FOO": "sp", "BAR": "am"}, stdout=PIPE)
shells("shell, directory", "pwd", cwd="/", env={}, stdout=PIPE)
shells("shell, directory as pathlib", "pwd", cwd=pathlib.Path("/"), env={}, stdout=PIPE)

# ---- all of that, forked

CASES.each_with("preexec_fn", preexec_fn=int)
