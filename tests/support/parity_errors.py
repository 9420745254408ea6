"""Parity: what is refused, and with which exception."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pathlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

import pytest
from child import child
from parity import CLOSED, Cases, at, run

__all__ = ["CASES"]

CASES = Cases()
case, programs, shells = CASES.function, CASES.program, CASES.shell

programs("missing program, path", "/nonexistent/program")
programs("missing program, name", "no-such-program-anywhere")
programs("missing program, bytes", b"/nonexistent/program")
programs("missing program, pathlib", pathlib.Path("/nonexistent/program"))
programs("missing program, with pipes", "/nonexistent/program", stdin=PIPE, stdout=PIPE, stderr=PIPE)
programs("missing program, as executable", "true", executable="/nonexistent/program")
programs("missing program, as executable's name", "true", executable="no-such-program-anywhere")
programs("missing program, under a file", at("file/program"))
programs("missing program, name too long", "x" * 5000)
programs("missing program, loop of links", at("loop"))
programs("missing directory", "true", cwd="/nonexistent")
programs("missing directory, bytes", "true", cwd=b"/nonexistent")
programs("missing directory, pathlib", "true", cwd=pathlib.Path("/nonexistent"))
programs("missing directory, empty", "true", cwd="")
programs("missing directory and program", "/nonexistent/program", cwd="/nonexistent/directory")
programs("missing directory of the program's name", "/nonexistent", cwd="/nonexistent")
programs("directory is a file", "true", cwd=at("file"))
programs("not executable", at("not-executable"))
programs("a directory", at("room"))
programs("no format", at("no-interpreter"), stdout=PIPE)
programs("empty file", at("empty"))
programs("missing interpreter", at("missing-interpreter"))
programs("empty name", "")
programs("empty name, bytes", b"")
programs("null byte in the program", "tr\0ue")
programs("null byte in an argument", "true", "a\0b")
programs("null byte in an argument, bytes", "true", b"a\0b")
programs("null byte in a value", "true", env={"a": "b\0c"})
programs("null byte in a name", "true", env={"a\0b": "c"})
programs("null byte in the directory", "true", cwd="a\0b")
programs("null byte in executable", "true", executable="a\0b")
programs("argument of another type", "true", 5)
programs("argument None", "true", None)
programs("argument of another type, late", "true", *["a"] * 100, 1.5)
programs("program of another type", 5)
programs("program None", None)
programs("equals sign in a name", "true", env={"a=b": "c"})
programs("equals sign alone", "true", env={"=": "c"})
programs("empty name of a variable", "env", env={"": "c"}, stdout=PIPE)
programs("value of another type", "true", env={"a": 5})
programs("value None", "true", env={"a": None})
programs("name of another type", "true", env={5: "a"})
programs("environment of another type", "true", env=5)
programs("search path twice", "true", env={"PATH": "/usr/bin", b"PATH": "/usr/bin"})
programs("search path as bytes", "true", env={b"PATH": b"/usr/bin"})
programs("environment as pairs", "true", env=[("a", "b")])
for _name, _value in {
    "universal_newlines": True,
    "text": True,
    "encoding": "utf-8",
    "errors": "strict",
    "bufsize": 1,
    "shell": True,
}.items():
    programs(f"refused {_name}", "true", **{_name: _value})
programs("refused text, false", "true", text=False, stdin=DEVNULL)
programs("refused bufsize, None", "true", bufsize=None)
programs("refused universal_newlines and text", "true", universal_newlines=True, text=True)
programs("unknown argument", "true", nope=1)
programs("two unknown arguments", "true", nope=1, neither=2)
programs("startupinfo", "true", startupinfo=object())
for _name in ("close_fds", "restore_signals", "start_new_session"):
    programs(f"{_name} a list", "true", **{_name: [1]})
programs("creationflags", "true", creationflags=1)
programs("creationflags 0", "true", creationflags=0)
programs("no such user", "true", user="no-such-user-anywhere")
programs("no such group", "true", group="no-such-group-anywhere")
programs("no such extra group", "true", extra_groups=["no-such-group-anywhere"])
programs("negative user", "true", user=-1)
programs("negative group", "true", group=-1)
programs("user of another type", "true", user=1.5)
programs("group of another type", "true", group=1.5)
programs("extra groups as a string", "true", extra_groups="root")
programs("stdout=STDOUT", "true", stdout=STDOUT)
programs("stdin=STDOUT", "true", stdin=STDOUT)
for _name in ("stdin", "stdout", "stderr"):
    programs(f"{_name} not open", "true", **{_name: CLOSED})
    programs(f"{_name} negative", "true", **{_name: -7})
    programs(f"{_name} without fileno", "true", **{_name: object()})
    programs(f"{_name} not a file", "true", **{_name: io.BytesIO()})
    programs(f"{_name} a string", "true", **{_name: "/dev/null"})
programs("pass_fds not open", "true", pass_fds=[CLOSED])
programs("pass_fds negative", "true", pass_fds=[-1])
programs("pass_fds out of range", "true", pass_fds=[2**40])
programs("pass_fds of another type", "true", pass_fds=["a"])
programs("pass_fds a number", "true", pass_fds=5)
programs("pass_fds with close_fds=False", "true", pass_fds=[0], close_fds=False)
programs("directory of another type", "true", cwd=1.5)
programs("executable of another type", "true", executable=1.5)
programs("umask None", "true", umask=None)
programs("pipesize None", "true", pipesize=None)
programs("umask of another type", "true", umask="0")
programs("process_group of another type", "true", process_group="0")
programs("process_group of a stranger", "true", process_group=1)
programs("arguments too long", "true", "x" * 200_000)


programs("preexec_fn raises", "true", preexec_fn=lambda: 1 // 0)
programs("preexec_fn exits", "true", preexec_fn=sys.exit)
programs("preexec_fn leaves without a word", "true", preexec_fn=lambda: os._exit(7))
programs("preexec_fn raises, then no program", "/nonexistent", preexec_fn=lambda: 1 // 0)
programs("preexec_fn makes a session in a leader", "true", process_group=0, preexec_fn=lambda: os.setsid())  # noqa: PLW0108 - `os.setsid` itself is a step


shells("shell command of another type", 5)
shells("shell command a list", ["true"])
shells("shell command a path", pathlib.Path("true"))
shells("shell command None", None)
shells("shell=False", "true", shell=False)
shells("shell refused text", "true", text=True)
shells("shell refused universal_newlines", "true", universal_newlines=True)
shells("shell refused bufsize", "true", bufsize=1)
shells("shell refused encoding", "true", encoding="utf-8")
shells("shell refused errors", "true", errors="strict")
shells("shell unknown argument", "true", nope=1)
shells("shell with a null byte", "echo a\0b")
shells("shell in a missing directory", "true", cwd="/nonexistent")
shells("shell that is missing", "true", executable="/nonexistent/sh")
shells("shell that is not executable", "true", executable=at("not-executable"))


@case
async def closed_file_as_a_stream(directory: pathlib.Path) -> Any:
    with (directory / "file").open() as file:
        pass
    return await run("true", stdin=file)


@case
async def missing_argument(_: pathlib.Path) -> Any:
    return await asyncio.create_subprocess_exec()  # type: ignore[call-arg]


@case
async def drain_after_the_end(_: pathlib.Path) -> Any:
    """Which of the two it is, is not promised."""
    process = await asyncio.create_subprocess_exec("true", stdin=PIPE)
    await process.wait()
    try:
        for _turn in range(100):
            process.stdin.write(b"x" * 70000)  # type: ignore[union-attr]
            await process.stdin.drain()  # type: ignore[union-attr]
    except (BrokenPipeError, ConnectionResetError):
        return "is broken"
    finally:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await process.stdin.wait_closed()  # type: ignore[union-attr]


@case
async def drain_a_large_write_to_a_reader_that_goes(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec(*child("exit", 3), stdin=PIPE)
    process.stdin.write(b"x" * 1_000_000)  # type: ignore[union-attr]
    try:
        await process.stdin.drain()  # type: ignore[union-attr]
    except (BrokenPipeError, ConnectionResetError):
        return "is broken", await process.wait()


@case
async def communicate_after_the_end(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec("true", stdin=PIPE, stdout=PIPE)
    await process.wait()
    return await process.communicate(b"x" * 1_000_000)


@case
async def communicate_a_string(_: pathlib.Path) -> Any:
    """Type not promised."""
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    try:
        await process.communicate("text")  # type: ignore[arg-type]
    except (AssertionError, TypeError):
        return "is refused"
    finally:
        process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)  # asyncio's readers


@case
async def line_over_the_limit(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec(*child("write", 1000), stdout=PIPE, limit=100)
    try:
        return await process.stdout.readline()  # type: ignore[union-attr]
    finally:
        await process.communicate()


@case
async def separator_over_the_limit(_: pathlib.Path) -> Any:
    process = await asyncio.create_subprocess_exec(*child("write", 1000), stdout=PIPE, limit=100)
    try:
        return await process.stdout.readuntil(b"y")  # type: ignore[union-attr]
    except asyncio.LimitOverrunError:
        return "over the limit"  # `consumed` depends on the pieces
    finally:
        await process.communicate()


@case
async def refused_by_the_protocol_factory(_: pathlib.Path) -> Any:
    def factory() -> asyncio.SubprocessProtocol:
        raise ZeroDivisionError("of the factory")

    return await asyncio.get_running_loop().subprocess_exec(factory, "true")


@case
async def factory_called_once_before_the_launch(_: pathlib.Path) -> Any:
    made = []

    def factory() -> asyncio.SubprocessProtocol:
        made.append(asyncio.SubprocessProtocol())
        return made[-1]

    with pytest.raises(FileNotFoundError):
        await asyncio.get_running_loop().subprocess_exec(factory, "/nonexistent")
    return len(made)


# ---- all of that, forked

CASES.each_with("preexec_fn", preexec_fn=int)
