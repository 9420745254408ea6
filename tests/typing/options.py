"""Options of every kind, and functions that pass them on, for the type checkers: they read this file, nobody runs it."""

import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Unpack, assert_type

import aiospawn
from aiospawn import DEVNULL, PIPE


async def what_popen_has(file: socket.socket) -> None:
    """The stdlib's options."""
    await aiospawn.create_subprocess_exec(
        "sh", executable=Path("/bin/sh"), preexec_fn=os.setsid, close_fds=True, cwd=b"/", env=os.environ,
        startupinfo=None, creationflags=0, restore_signals=False, start_new_session=True, pass_fds={3, 4}, user="nobody",
        group=1000, extra_groups=["users", 100], umask=0o77, pipesize=65536, process_group=0, stdin=file, stdout=sys.stdout,
    )  # fmt: skip
    await aiospawn.create_subprocess_exec("sh", executable=3, cwd=file, env=None, user=None, group=None, extra_groups=None)
    await aiospawn.create_subprocess_exec("true", env={**os.environ, "HOME": "/"}, process_group=None, pass_fds=())
    await aiospawn.create_subprocess_exec("true", env={b"HOME": b"/"}, pass_fds=iter([3]), extra_groups={100})
    # What asyncio's functions take and have one value for.
    await aiospawn.create_subprocess_exec(
        "true", shell=False, bufsize=0, universal_newlines=False, encoding=None, errors=None, text=None
    )
    await aiospawn.create_subprocess_shell("true", shell=True, text=False)


async def beyond(file: socket.socket, hook: aiospawn.NativeHook) -> None:
    """aiospawn's own."""
    await aiospawn.create_subprocess_exec(
        "true", fds={0: 3, 5: file}, open_fds={1: ("log", os.O_WRONLY), 2: (Path("log"), os.O_WRONLY, 0o600)},
        chroot=b"/srv", controlling_terminal=file, foreground=0, sigmask=[signal.SIGINT, 15], sigdefault={signal.SIGHUP},
        sigignore=(1,), rlimits={resource.RLIMIT_NOFILE: (64, 64), resource.RLIMIT_AS: (1 << 30, -1)}, nice=5,
        scheduler=(os.SCHED_BATCH, 0), affinity={0, 1}, ioprio=(2, 7), oom_score_adj=500, timer_slack_ns=1000,
        pdeathsig=signal.SIGKILL, cgroup=Path("/sys/fs/cgroup/x"), setns=[3, file], unshare=0x10000000,
        uid_map=[(0, 1000, 1)], gid_map=((0, 1000, 1),), capabilities={"drop": "all", "ambient": ["net_bind_service", 7]},
        no_new_privs=True, mdwe=True, thp_disable=True, landlock=file, seccomp=bytearray(8), hook=hook, via="launcher",
        sandbox=aiospawn.Sandbox(read=["/etc", b"/srv", aiospawn.IfExists("/opt")], network=aiospawn.Network(connect=[443])),
    )  # fmt: skip
    await aiospawn.create_subprocess_exec(
        "true", sigmask=["SIGINT", 15], sigdefault={"hup"}, rlimits={"nofile": 64}, scheduler=("batch", 0), pdeathsig="KILL",
        env_add={"A": "b"},
    )  # fmt: skip
    await aiospawn.create_subprocess_exec("sh", pty=True)
    await aiospawn.create_subprocess_shell("sh", pty=(24, 80), capabilities={"drop": {"kill"}})
    limits = dict.fromkeys([resource.RLIMIT_NOFILE], 64)
    await aiospawn.run(["true"], rlimits=limits, sigmask=signal.valid_signals(), affinity=os.sched_getaffinity(0))


async def commands(data: memoryview, text: bool, encoding: str | None) -> None:
    """Text and bytes, and what each function has besides."""
    assert_type(await aiospawn.run(["cat"], input=data, stdout=PIPE, nice=5), aiospawn.CompletedProcess[bytes])
    assert_type(
        await aiospawn.run(["cat"], input="a", text=True, errors="replace", stdout=PIPE), aiospawn.CompletedProcess[str]
    )
    assert_type(
        await aiospawn.run(["cat"], universal_newlines=True, encoding="utf-8", stdout=PIPE), aiospawn.CompletedProcess[str]
    )
    assert_type(await aiospawn.run(["cat"], encoding="utf-8", errors="replace", stdout=PIPE), aiospawn.CompletedProcess[str])
    assert_type(await aiospawn.run(["cat"], errors="replace", input="a", stdout=PIPE), aiospawn.CompletedProcess[str])
    assert_type(await aiospawn.run(["cat"], text=False, encoding=None, stdout=PIPE), aiospawn.CompletedProcess[bytes])
    assert_type(await aiospawn.run(["cat"], text=text, input=data), aiospawn.CompletedProcess[Any])
    assert_type(await aiospawn.run(["cat"], encoding=encoding, stdout=PIPE), aiospawn.CompletedProcess[Any])
    await aiospawn.run("true", shell=True, stderr=DEVNULL, grace=1, pipe_grace=None, max_output=None, timeout=None)
    await aiospawn.pipeline(["ls"], ["sort"], input=b"", check=True, timeout=5, nice=5, encoding="utf-8", errors=None)
    aiospawn.lines("ls", shell=True, stdin=DEVNULL, check=False, timeout=1.5, errors="replace", cwd=Path("/"))
    await aiospawn.system("make", stdout=DEVNULL, input=b"", check=True, timeout=60, env={"CC": "gcc"}, on_event=print)
    await aiospawn.popen("cat", stdin=DEVNULL, stderr=DEVNULL, encoding="utf-8", nice=5)
    await aiospawn.popen(mode="w", command="cat", stdout=DEVNULL, umask=0o77)
    aiospawn.map([["ls"]], text=text, capture_output="file", grace=1, input="", max_output=10, nice=5, on_event=print)
    async with aiospawn.ProcessGroup(nice=5, cwd="/", on_event=print) as group:
        await group.spawn("sh", b"-i", Path("file"), pty=(24, 80), limit=1024)


async def git(*arguments: str, **options: Unpack[aiospawn.CommandOptions]) -> str:
    """A function that passes options on, with a default of its own."""
    options.setdefault("cwd", "/srv")
    result = await aiospawn.run(["git", *arguments], capture_output=True, text=True, check=True, **options)
    return result.stdout


async def console(*command: str, **options: Unpack[aiospawn.LaunchOptions]) -> aiospawn.Process:
    """Another, for all of them."""
    options.setdefault("pty", True)
    return await aiospawn.create_subprocess_exec(*command, **options)


async def passing_on() -> None:
    """Options that are put together before they are used."""
    careful: aiospawn.CommandOptions = {"no_new_privs": True, "nice": 10}
    none: aiospawn.Capabilities = {"drop": "all"}
    assert_type(await git("status", capabilities=none), str)
    await aiospawn.create_subprocess_exec("true", **careful, pty=True)
    aiospawn.lines(["ls"], text=True, **careful)
    await console("sh", env={"TERM": "xterm"}, pty=(24, 80))
