# ruff: noqa: E501 - a text is compared in one piece
"""What a mistake is answered with: the function that was called, the option and the value, and what was meant."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from typing import Any

import fresh
import pytest

import aiospawn
from aiospawn import pipeline, popen, run, system

one_loop = pytest.mark.loops("one")

_exec, _shell, _map, _lines = (
    aiospawn.create_subprocess_exec,
    aiospawn.create_subprocess_shell,
    aiospawn.map,
    aiospawn.lines,
)


async def spawned(*program: Any) -> None:
    async with aiospawn.ProcessGroup() as group:
        await group.spawn(*program)


_MISTAKES: list[tuple[Any, type[Exception], str]] = [
    # names
    (lambda: run(["true"], timout=5), TypeError, "run() got an unexpected keyword argument 'timout': did you mean 'timeout'?"),
    (lambda: run(["true"], bufsize=0), TypeError, "run() got an unexpected keyword argument 'bufsize'"),
    (lambda: _exec("true", cwdd="/"), TypeError, "create_subprocess_exec() got an unexpected keyword argument 'cwdd': did you mean 'cwd'?"),
    (lambda: _shell("true", env_ad={}), TypeError, "create_subprocess_shell() got an unexpected keyword argument 'env_ad': did you mean 'env_add'?"),
    (lambda: pipeline(["true"], chek=True), TypeError, "pipeline() got an unexpected keyword argument 'chek': did you mean 'check'?"),
    (lambda: _lines(["true"], max_lines=5), TypeError, "lines() got an unexpected keyword argument 'max_lines': did you mean 'max_line'?"),
    (lambda: _map([], concurency=5), TypeError, "map() got an unexpected keyword argument 'concurency': did you mean 'concurrency'?"),
    (lambda: system("true", timout=5), TypeError, "system() got an unexpected keyword argument 'timout': did you mean 'timeout'?"),
    (lambda: popen("true", nicce=5), TypeError, "popen() got an unexpected keyword argument 'nicce': did you mean 'nice'?"),
    (lambda: aiospawn.supervise(["true"], restrt="no"), TypeError, "supervise() got an unexpected keyword argument 'restrt': did you mean 'restart'?"),
    (lambda: aiospawn.supervise(["true"], restart_secs=1), TypeError, "supervise() got an unexpected keyword argument 'restart_secs': did you mean 'restart_sec'?"),
    (lambda: aiospawn.supervise(["true"], cwdd="/"), TypeError, "supervise() got an unexpected keyword argument 'cwdd': did you mean 'cwd'?"),
    (lambda: aiospawn.TerminalSession(["true"], timout=5), TypeError, "TerminalSession() got an unexpected keyword argument 'timout': did you mean 'timeout'?"),
    (lambda: aiospawn.ProcessGroup(chek=True), TypeError, "ProcessGroup() got an unexpected keyword argument 'chek': did you mean 'check'?"),
    # commands
    (lambda: run("ls -l"), ValueError, "args must be a list of arguments, or a command with shell=True, got 'ls -l'"),
    (lambda: run([]), ValueError, "args must name a program, got []"),
    (lambda: run(["sleep", 1]), TypeError, "args[1] must be a str, bytes or a path, got 1"),
    (lambda: run(["ls", ["-l"]]), TypeError, "args[1] must be a str, bytes or a path, got ['-l']: unpack it, *['-l']"),
    (lambda: pipeline([["true"], ["cat"]]), TypeError, "args[0] must be a str, bytes or a path, got ['true']: unpack it, *['true']"),
    (lambda: spawned(["sleep", "1"]), TypeError, "args[0] must be a str, bytes or a path, got ['sleep', '1']: unpack it, *['sleep', '1']"),
    (lambda: run(["echo", "a\0b"]), ValueError, r"args[1]: embedded null byte in 'a\x00b'"),
    (lambda: pipeline("ls|cat"), TypeError, "pipeline() takes each command as a list of arguments, got 'ls|cat'; a shell's command is Command(..., shell=True), or run(..., shell=True) for all of it"),
    (lambda: _map("ls -l"), TypeError, "commands must be an iterable of commands, not one command: 'ls -l'"),
    # values
    (lambda: run(["true"], env={"A": 1}), TypeError, "env['A'] must be a str, bytes or a path, got 1"),
    (lambda: run(["true"], env={1: "a"}), TypeError, "env: a name must be a str or bytes, got 1"),
    (lambda: run(["true"], env={"A": "b\0"}), ValueError, "env['A']: embedded null byte"),
    (lambda: run(["true"], env={"A=B": "c"}), ValueError, "env: illegal environment variable name 'A=B'"),
    (lambda: run(["true"], env_add={"A": 1}), TypeError, "env['A'] must be a str, bytes or a path, got 1"),
    (lambda: run(["true"], cwd=3.5), TypeError, "cwd must be a path or a directory's descriptor, got 3.5"),
    (lambda: run(["true"], cwd="/\0"), ValueError, r"cwd: embedded null byte in '/\x00'"),
    (lambda: run(["true"], stdout="o.txt"), TypeError, "stdout must be a file, a descriptor, PIPE or DEVNULL, got 'o.txt': open() it, or pass open_fds={1: ('o.txt', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)}"),
    (lambda: run(["true"], stderr=1.5), TypeError, "stderr must be a file, a descriptor, PIPE or DEVNULL, got 1.5"),
    (lambda: run(["cat"], input="x"), TypeError, "input must be a contiguous bytes-like object, not str: pass text=True, or encode it"),
    (lambda: run(["cat"], input=b"x", text=True), TypeError, "input must be a str in text mode, not bytes"),
    (lambda: run(["true"], timeout="5"), TypeError, "timeout must be a number of seconds or None, got '5'"),
    (lambda: run(["true"], sigmask=["TREM"]), ValueError, "sigmask: there is no 'TREM': did you mean 'SIGTERM'?"),
]  # fmt: skip


@one_loop
@pytest.mark.parametrize(("make", "error", "text"), _MISTAKES, ids=[text[:60] for _, _, text in _MISTAKES])
async def test_mistake(make: Any, error: type[Exception], text: str) -> None:
    """Word for word, by the call or when it is awaited."""
    with pytest.raises(error, match=rf"^{re.escape(text)}$"):
        await make()


@one_loop
async def test_mistakes_of_processes() -> None:
    """The functions that give processes say the same."""
    async with aiospawn.ProcessGroup() as group:
        with pytest.raises(TypeError, match=r"args\[1\] must be a str, bytes or a path, got 1"):
            await group.spawn("sleep", 1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^spawn\(\) got an unexpected keyword argument 'cwdd': did you mean 'cwd'\?$"):
            await group.spawn("true", cwdd="/")  # type: ignore[call-arg]


@one_loop
async def test_no_loop() -> None:
    """One sentence says what runs it."""

    def call() -> None:
        with pytest.raises(
            RuntimeError, match=r"^no running event loop: aiospawn is awaited within asyncio\.run\(main\(\)\)"
        ):
            run(["true"]).send(None)

    await asyncio.to_thread(call)


_UNDER_TRIO = """
import trio, aiospawn
async def main():
    try:
        await aiospawn.run(["true"])
    except RuntimeError as error:
        print(error)
trio.run(main)
"""


def test_under_trio() -> None:
    """It names trio's own."""
    pytest.importorskip("trio")
    done = subprocess.run(fresh.command(_UNDER_TRIO, flags=["-P"]), capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "no running event loop: aiospawn is for asyncio, and this is trio, which has trio.run_process"
    )


@one_loop
async def test_names_of_numbers() -> None:
    """Signals, limits and policies by name, added variables."""
    status = await run(["grep", "SigBlk", "/proc/self/status"], sigmask=["SIGUSR1", "usr2"], capture_output=True, text=True)
    assert status.stdout.split()[1] == "0000000000000a00"
    result = await run(
        ["sh", "-c", "ulimit -n; echo $ADDED"], rlimits={"nofile": (64, 64)}, env_add={"ADDED": "yes"},
        scheduler=("batch", 0), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.split() == ["64", "yes"]
    assert (
        await run("echo $HOME$A", shell=True, env={"HOME": "x"}, env_add={b"A": "y"}, capture_output=True)
    ).stdout == b"xy\n"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("map --jbos 3 echo", "there is no option --jbos, did you mean --jobs?"),
        ("run --timeut=3 true", "there is no option --timeut=3, did you mean --timeout?"),
        ("map --nothing-like-it x", "there is no option --nothing-like-it"),
    ],
)
def test_option_of_the_command_line(command: str, text: str) -> None:
    """The usage is that command's, the nearest option is named, the status is 2."""
    name = command.split(maxsplit=1)[0]
    done = subprocess.run([sys.executable, "-m", "aiospawn", *command.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: aiospawn {name} ")
    assert done.stderr.endswith(f"aiospawn {name}: error: {text}\n")
