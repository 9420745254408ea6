"""Options that cannot be meant: refused with the option and its value in the text, before anything is made."""

import asyncio
import os
import re
import resource
import signal
import subprocess
import threading
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

import fresh
import pytest
from place import NEW_USER

import aiospawn
from aiospawn import NativeHook, Sandbox
from aiospawn._binding.native import Native

_CLOSED = 987  # no descriptor
_NOTHING = object()


def bad(error: type[Exception], *told: str, **options: Any) -> Any:
    """The error's text has each of these."""
    return pytest.param(options, error, told, id=" ".join(f"{name}={value!r}"[:60] for name, value in options.items()))


WRONG_TYPES = [
    bad(TypeError, "'nope'", nope=1),
    bad(TypeError, "fds", "5", fds=5),
    bad(TypeError, "fds", "'a'", fds={"a": 0}),
    bad(TypeError, "fds[3]", "'a'", fds={3: "a"}),
    bad(TypeError, "open_fds", "[]", open_fds=[]),
    bad(TypeError, "open_fds[3]", "'/dev/null'", open_fds={3: "/dev/null"}),
    bad(TypeError, "open_fds[3]", "5", open_fds={3: (5, 0)}),
    bad(TypeError, "open_fds[3] flags", "'r'", open_fds={3: ("/dev/null", "r")}),
    bad(TypeError, "pty", "1", pty=1),
    bad(TypeError, "pty", "(1,)", pty=(1,)),
    bad(TypeError, "chroot", "5", chroot=5),
    bad(TypeError, "umask", "'0'", umask="0"),
    bad(TypeError, "umask", "True", umask=True),
    bad(TypeError, "process_group", "'1'", process_group="1"),
    bad(TypeError, "pipesize", "1.5", pipesize=1.5),
    bad(TypeError, "controlling_terminal", "'tty'", controlling_terminal="tty"),
    bad(TypeError, "foreground", "'tty'", foreground="tty"),
    bad(TypeError, "landlock", "'rules'", landlock="rules"),
    bad(TypeError, "sigmask", "15", sigmask=15),
    bad(ValueError, "sigmask", "'TREM'", "'SIGTERM'", sigmask=["TREM"]),
    bad(TypeError, "sigdefault", "'TERM'", sigdefault="TERM"),
    bad(TypeError, "sigignore", "1.5", sigignore=[1.5]),
    bad(TypeError, "rlimits", "[]", rlimits=[]),
    bad(ValueError, "rlimits", "'nofil'", "'RLIMIT_NOFILE'", rlimits={"nofil": 1}),
    bad(ValueError, "scheduler", "'bach'", "'SCHED_BATCH'", scheduler=("bach", 0)),
    bad(TypeError, "env_add", "list", env_add=["A=1"]),
    bad(TypeError, "rlimits[7]", "(1, 2, 3)", rlimits={resource.RLIMIT_NOFILE: (1, 2, 3)}),
    bad(TypeError, "nice", "'5'", nice="5"),
    bad(TypeError, "scheduler", "3", scheduler=3),
    bad(TypeError, "scheduler", "(3,)", scheduler=(3,)),
    bad(TypeError, "affinity", "3", affinity=3),
    bad(TypeError, "affinity", "'0'", affinity=["0"]),
    bad(TypeError, "ioprio", "[2, 3]", ioprio=[2, 3]),
    bad(TypeError, "oom_score_adj", "'high'", oom_score_adj="high"),
    bad(TypeError, "timer_slack_ns", "1.5", timer_slack_ns=1.5),
    bad(ValueError, "pdeathsig", "'TREM'", pdeathsig="TREM"),
    bad(TypeError, "cgroup", "1.5", cgroup=1.5),
    bad(TypeError, "setns", "3", setns=3),
    bad(TypeError, "setns", "'net'", setns=["net"]),
    bad(TypeError, "unshare", "'user'", unshare="user"),
    bad(TypeError, "uid_map", "5", uid_map=5, unshare=NEW_USER),
    bad(TypeError, "uid_map", "(0, 0)", uid_map=[(0, 0)], unshare=NEW_USER),
    bad(TypeError, "gid_map", "'0'", gid_map=[("0", 0, 1)], unshare=NEW_USER),
    bad(TypeError, "capabilities", "['kill']", capabilities=["kill"]),
    bad(TypeError, "capabilities", "'keep'", capabilities={"keep": []}),
    bad(TypeError, "capabilities", "5", capabilities={"drop": 5}),
    bad(TypeError, "capabilities", "'kill'", capabilities={"drop": "kill"}),
    bad(TypeError, "no_new_privs", "'yes'", no_new_privs="yes"),
    bad(TypeError, "mdwe", "None", mdwe=None),
    bad(TypeError, "thp_disable", "'never'", thp_disable="never"),
    bad(TypeError, "seccomp", "list", seccomp=[1]),
    bad(TypeError, "sandbox", "True", sandbox=True),
    bad(TypeError, "hook", "5", hook=5),
    bad(TypeError, "hook", "'f'", hook=NativeHook("f")),
]

OUT_OF_RANGE = [
    bad(ValueError, "fds", "-1", fds={-1: 0}),
    bad(ValueError, "fds", "1073741824", fds={1 << 30: 0}),
    bad(ValueError, "open_fds", "-1", open_fds={-1: ("/dev/null", 0)}),
    bad(ValueError, "open_fds", "1073741824", open_fds={1 << 30: ("/dev/null", 0)}),
    bad(ValueError, "open_fds[3] mode", str(0o10000), open_fds={3: ("/dev/null", 0, 0o10000)}),
    bad(ValueError, "pty", "0", pty=(0, 80)),
    bad(ValueError, "pty", "65536", pty=(24, 65536)),
    bad(ValueError, "umask", str(0o10000), umask=0o10000),
    bad(ValueError, "process_group", "-2", process_group=-2),
    bad(ValueError, "pipesize", "-2", pipesize=-2),
    bad(ValueError, "sigmask", "0", sigmask=[0]),
    bad(ValueError, "sigmask", "65", sigmask=[65]),
    bad(ValueError, "sigdefault", "SIGKILL", sigdefault=[signal.SIGKILL]),
    bad(ValueError, "sigignore", "SIGSTOP", sigignore=[signal.SIGSTOP]),
    bad(ValueError, "rlimits", "16", rlimits={16: 1}),
    bad(ValueError, "rlimits[7]", "-2", rlimits={resource.RLIMIT_NOFILE: (-2, 5)}),
    bad(ValueError, "rlimits[7]", "6", "5", rlimits={resource.RLIMIT_NOFILE: (6, 5)}),
    bad(ValueError, "nice", "41", nice=41),
    bad(ValueError, "scheduler", "100", scheduler=(1, 100)),
    bad(ValueError, "affinity", "CPU", affinity=[]),
    bad(ValueError, "affinity", "-1", affinity=[-1]),
    bad(ValueError, "affinity", "8192", affinity=[8192]),
    bad(ValueError, "ioprio", "4", ioprio=(4, 0)),
    bad(ValueError, "ioprio", "8", ioprio=(2, 8)),
    bad(ValueError, "oom_score_adj", "1001", oom_score_adj=1001),
    bad(ValueError, "timer_slack_ns", "-1", timer_slack_ns=-1),
    bad(ValueError, "pdeathsig", "0", pdeathsig=0),
    bad(ValueError, "unshare", "0", unshare=0),
    bad(ValueError, "uid_map", "empty", uid_map=[], unshare=NEW_USER),
    bad(ValueError, "uid_map", "-1", uid_map=[(0, -1, 1)], unshare=NEW_USER),
    bad(ValueError, "User", "4294967295", user=2**32 - 1),
    bad(ValueError, "Group", "4294967295", group=2**32 - 1),
    bad(ValueError, "Group", "-1", extra_groups=[-1]),
    bad(ValueError, "capabilities", "'fly'", capabilities={"drop": ["fly"]}),
    bad(ValueError, "capabilities", "63", capabilities={"ambient": [63]}),
    bad(ValueError, "seccomp", "7 bytes", seccomp=bytes(7)),
    bad(ValueError, "seccomp", "0 bytes", seccomp=b""),
    bad(ValueError, "seccomp", str(4097 * 8), seccomp=bytes(4097 * 8)),
    bad(ValueError, "hook", "0", hook=NativeHook(0)),
    bad(ValueError, "hook", str(2**64), hook=NativeHook(2**64)),
    bad(ValueError, "hook", "-1", hook=NativeHook(4096, -1)),
    bad(ValueError, "via", "'bus'", via="bus"),
    *(bad(OverflowError, f"{name}={1 << 31}", **{name: 1 << 31}) for name in ("stdin", "cwd", "executable", "foreground")),
    bad(OverflowError, f"fds[4]={1 << 63}", fds={4: 1 << 63}),
]

CONTRADICTIONS = [
    bad(ValueError, "pty", "stdin", pty=True, stdin=PIPE),
    bad(ValueError, "pty", "stdout", pty=True, stdout=DEVNULL),
    bad(ValueError, "pty", "stderr", pty=True, stderr=STDOUT),
    bad(ValueError, "pty", "controlling_terminal=0", pty=True, controlling_terminal=0),
    bad(ValueError, "pty", "process_group=0", pty=True, process_group=0),
    bad(ValueError, "fds[0]", pty=True, fds={0: 1}),
    bad(ValueError, "fds[1]", "stdout", fds={1: 0}, stdout=PIPE),
    bad(ValueError, "fds[2]", "stderr", fds={2: 0}, stderr=STDOUT),
    bad(ValueError, "open_fds[1]", "stdout", open_fds={1: ("/dev/null", 1)}, stdout=DEVNULL),
    bad(ValueError, "open_fds[2]", "stderr", open_fds={2: ("/dev/null", 1)}, stderr=STDOUT),
    bad(ValueError, "5", "fds", "open_fds", fds={5: 0}, open_fds={5: ("/dev/null", 0)}),
    bad(ValueError, "0", "fds", "pass_fds", fds={0: 1}, pass_fds=[0]),
    bad(ValueError, "1", "open_fds", "pass_fds", open_fds={1: ("/dev/null", 0)}, pass_fds=[1]),
    bad(ValueError, "uid_map", "unshare=None", uid_map=[(0, 0, 1)]),
    bad(ValueError, "gid_map", "unshare=67108864", gid_map=[(0, 0, 1)], unshare=0x04000000),
    bad(ValueError, "15", "sigdefault", "sigignore", sigdefault=[15], sigignore=[15]),
    bad(ValueError, "capabilities", "'kill'", capabilities={"drop": ["kill"], "ambient": ["kill"]}),
    bad(ValueError, "hook", "via='launcher'", hook=NativeHook(4096), via="launcher"),
    bad(ValueError, "sandbox", "landlock", sandbox=Sandbox(), landlock=0),
    bad(ValueError, "sandbox", "seccomp", sandbox=Sandbox(), seccomp=bytes(8)),
    bad(ValueError, "sandbox", "capabilities", sandbox=Sandbox(), capabilities={"drop": "all"}),
    bad(ValueError, "via='launcher'", "preexec_fn", preexec_fn=print, via="launcher"),
]

NUL = [
    bad(ValueError, "null byte", cwd="a\0b"),
    bad(ValueError, "null byte", executable=b"a\0b"),
    bad(ValueError, "null byte", env={"NAME": "a\0b"}),
    bad(ValueError, "null byte", env={"NA\0ME": "a"}),
    bad(ValueError, "null byte", "chroot", chroot="a\0b"),
    bad(ValueError, "null byte", "cgroup", cgroup="a\0b"),
    bad(ValueError, "null byte", "open_fds[3]", open_fds={3: ("a\0b", 0)}),
]

CLOSED = [
    bad(OSError, f"({name}={_CLOSED})" if value is _NOTHING else "", **{name: _CLOSED if value is _NOTHING else value})
    for name, value in {
        **dict.fromkeys(("stdin", "stdout", "stderr", "cwd", "executable", "cgroup", "landlock"), _NOTHING),
        **dict.fromkeys(("controlling_terminal", "foreground"), _NOTHING),
    }.items()
] + [
    bad(OSError, f"(pass_fds={_CLOSED})", pass_fds=[0, _CLOSED]),
    bad(OSError, f"(setns={_CLOSED})", setns=[_CLOSED]),
    bad(OSError, f"(fds[4]={_CLOSED})", fds={4: _CLOSED}),
]


@pytest.mark.loops("kinds")
@pytest.mark.parametrize(("options", "error", "told"), [*WRONG_TYPES, *OUT_OF_RANGE, *CONTRADICTIONS, *NUL, *CLOSED])
async def test_refused(
    options: dict[str, Any], error: type[Exception], told: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad option is refused by name and value, and no child, pipe or process is made for it."""

    def launch(*arguments: object) -> None:
        raise AssertionError(f"launched: {arguments}")

    monkeypatch.setattr(Native, "launch", launch)
    loop = asyncio.get_running_loop()
    options = {"stdin": None, "stdout": None, "stderr": None, **options}
    before = fresh.descriptors()
    with pytest.raises(error) as caught:
        await loop.subprocess_exec(asyncio.SubprocessProtocol, "true", **options)
    assert type(caught.value) is error
    assert [part for part in told if part not in str(caught.value)] == []
    if error is OSError:
        assert caught.value.errno == 9  # type: ignore[attr-defined] - EBADF
    assert fresh.descriptors() == before


@pytest.mark.loops("kinds")
@pytest.mark.parametrize("name", ["sigmask", "sigdefault", "sigignore", "affinity", "setns", "uid_map", "drop"])
async def test_iterator(name: str) -> None:
    """It would be empty at a second launch with the same options."""
    items = iter([(0, 0, 1)] if name == "uid_map" else [1])
    options = {"capabilities": {name: items}} if name == "drop" else {name: items}
    with pytest.raises(TypeError, match=rf"{name}.* must be a .*, (not|got) <list_iterator"):
        await aiospawn.create_subprocess_exec("true", **options)


@pytest.mark.loops("kinds")
@pytest.mark.parametrize(
    "options",
    [
        {"user": 1.5},
        {"user": -1},
        {"user": "nobody-here"},
        {"group": 1.5},
        {"group": "nobody-here"},
        {"extra_groups": "root"},
        {"extra_groups": [1.5]},
        {"extra_groups": 5},
        {"pass_fds": [-1]},
        {"pass_fds": 5},
        {"cwd": 1.5},
        {"executable": []},
        {"env": {"a=b": "c"}},
        {"env": {"a": 5}},
        {"startupinfo": 1},
        {"creationflags": 1},
        {"cwd": "a\0b"},
    ],
    ids=str,
)
async def test_refused_as_the_stdlib_does(options: dict[str, Any]) -> None:
    """Of Popen's own options the exceptions are Popen's, type and text."""
    with pytest.raises(Exception) as theirs:
        subprocess.Popen(["true"], **options)  # noqa: ASYNC220 - it launches nothing
    with pytest.raises(type(theirs.value), match=re.escape(str(theirs.value))) as ours:
        await aiospawn.create_subprocess_exec("true", **options)
    assert type(ours.value) is type(theirs.value)


async def test_the_death_of_a_thread() -> None:
    """`pdeathsig` is refused in other threads: the kernel would send it when the thread ends."""

    async def launch() -> None:
        with pytest.raises(ValueError, match=r"pdeathsig=15 .* main thread"):
            await aiospawn.create_subprocess_exec("true", pdeathsig=15)

    def run() -> None:
        with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
            done.append(runner.run(launch()))

    done: list[None] = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done


# ---- where nothing is launched natively -------------------------------------------------------------------------------

_ELSEWHERE = """
import asyncio, aiospawn, fresh
from aiospawn._options.options import Options

own = [name for name in Options._fields[Options._fields.index("fds"):] if name != "env_add"]
async def main():
    for name in own:
        try:
            await aiospawn.create_subprocess_exec("true", **{name: None})
        except NotImplementedError as error:
            assert name in str(error) and "Linux 5.4" in str(error), error
        else:
            raise AssertionError(name)
    process = await aiospawn.create_subprocess_exec("true")
    assert await process.wait() == 0
    try:
        process.send_signal(0, group=True)
    except NotImplementedError as error:
        assert "group=True" in str(error)

assert not aiospawn.supported()
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_elsewhere(variant: str) -> None:
    """Without pidfds each of our options says which kernel it needs; what asyncio can do is done by asyncio."""
    fresh.run(_ELSEWHERE, variant, AIOSPAWN_WITHOUT="pidfd")


def test_what_a_closed_descriptor_is() -> None:
    """The number that stands for a closed descriptor is one."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(_CLOSED)
