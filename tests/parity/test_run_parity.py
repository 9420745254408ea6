"""`run` beside `subprocess.run`, option by option: the results are equal, or the exceptions."""

from __future__ import annotations

import os
import pathlib
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from child import child
from timeouts import delayed_until, printed

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Awaitable

_BYTES = b"\xff\xfe\r\nline\rend\n"
_SAYS_BOTH = ["sh", "-c", "printf 'out\\r\\n'; printf 'err\\r' >&2"]
_WRITES = fresh.command(f"import os; os.write(1, {_BYTES!r})")
_ENVIRONMENT = ["sh", "-c", 'echo "$NAME"; pwd']

# A name, the command, the keywords.
CALLS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("nothing", ["true"], {}),
    ("status", ["sh", "-c", "exit 7"], {}),
    ("signal", ["sh", "-c", "kill -9 $$"], {}),
    ("tuple", ("echo", "x"), {"capture_output": True}),
    ("iterator", lambda: iter(["echo", "x"]), {"capture_output": True}),
    ("bytes", [b"echo", b"\xff"], {"capture_output": True}),
    ("path", pathlib.Path("/bin/true"), {}),
    ("paths", [pathlib.Path("/bin/echo"), pathlib.Path("x")], {"capture_output": True}),
    ("capture_output", _SAYS_BOTH, {"capture_output": True}),
    ("stdout", _SAYS_BOTH, {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}),
    ("stderr", _SAYS_BOTH, {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}),
    ("STDOUT", ["sh", "-c", "echo a; echo b >&2; echo c"], {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}),
    ("text", _SAYS_BOTH, {"capture_output": True, "text": True}),
    ("text, false", _SAYS_BOTH, {"capture_output": True, "text": False}),
    ("universal_newlines", _SAYS_BOTH, {"capture_output": True, "universal_newlines": True}),
    ("contradiction", ["true"], {"text": True, "universal_newlines": False}),
    ("encoding", _WRITES, {"stdout": subprocess.PIPE, "encoding": "latin-1"}),
    ("errors", _WRITES, {"stdout": subprocess.PIPE, "errors": "replace"}),
    ("surrogates", _WRITES, {"stdout": subprocess.PIPE, "errors": "surrogateescape", "encoding": "ascii"}),
    ("not text", _WRITES, {"stdout": subprocess.PIPE, "encoding": "utf-8"}),
    ("no such encoding", ["true"], {"encoding": "nonsense", "stdout": subprocess.PIPE}),
    ("input", ["cat"], {"input": b"x" * 300_000, "stdout": subprocess.PIPE}),
    ("input, text", ["cat"], {"input": "\u20ac\r\n\r", "stdout": subprocess.PIPE, "encoding": "utf-8"}),
    ("input, bytearray", ["cat"], {"input": bytearray(b"abc"), "stdout": subprocess.PIPE}),
    ("input, memoryview", ["cat"], {"input": memoryview(b"abcdef")[::1], "stdout": subprocess.PIPE}),
    ("input, empty", ["wc", "-c"], {"input": b"", "stdout": subprocess.PIPE}),
    ("input nobody reads", ["true"], {"input": b"x" * 300_000}),
    ("input in bytes for text", ["cat"], {"input": "x", "stdout": subprocess.PIPE}),
    ("input and stdin", ["cat"], {"input": b"", "stdin": subprocess.DEVNULL}),
    ("stdin", ["wc", "-c"], {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}),
    ("stdin, pipe", ["wc", "-c"], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}),
    ("capture_output and stdout", ["true"], {"capture_output": True, "stdout": subprocess.DEVNULL}),
    ("capture_output and stderr", ["true"], {"capture_output": True, "stderr": subprocess.STDOUT}),
    ("check", ["true"], {"check": True}),
    ("check, status", ["sh", "-c", "echo x; echo y >&2; exit 3"], {"check": True, "capture_output": True}),
    ("check, text", ["sh", "-c", "echo x; exit 3"], {"check": True, "capture_output": True, "text": True}),
    ("check, signal", ["sh", "-c", "kill -15 $$"], {"check": True}),
    ("timeout, in time", ["echo", "x"], {"timeout": 60, "capture_output": True}),
    ("timeout, no pipe", ["sleep", "1000"], {"timeout": 0.1}),
    ("timeout, input", ["sleep", "1000"], {"timeout": 0.1, "input": b"x" * 300_000}),
    ("shell", "echo $((1 + 1)); exit 4", {"shell": True, "capture_output": True}),
    ("shell, bytes", b"echo \xff", {"shell": True, "capture_output": True}),
    ("shell, list", ["echo $0 $1", "a", "b"], {"shell": True, "capture_output": True}),
    ("shell, executable", "echo $0", {"shell": True, "executable": "/bin/bash", "capture_output": True}),
    ("executable", ["other", "-c", "echo $0"], {"executable": "/bin/sh", "capture_output": True}),
    ("env and cwd", _ENVIRONMENT, {"env": {"NAME": "value", "PATH": os.defpath}, "cwd": "/usr", "capture_output": True}),
    ("no program", ["/nonexistent/program"], {"capture_output": True}),
    ("no program, text", ["nonexistent-program"], {"text": True}),
    ("not executable", ["/etc/passwd"], {}),
    ("no directory", ["true"], {"cwd": "/nonexistent"}),
    ("NUL", ["true\0"], {}),
    ("no arguments", None, {}),
    ("number", [1], {}),
    ("unknown option", ["true"], {"nonsense": 1}),
    ("start_new_session", ["sh", "-c", "ps -o sid= -p $$ | grep -qw $$"], {"start_new_session": True}),
    ("process_group", ["sh", "-c", "ps -o pgid= -p $$ | grep -qw $$"], {"process_group": 0}),
    ("caller's group", ["sh", "-c", "ps -o pgid= -p $$ | grep -qw $$"], {"process_group": -1}),
    ("preexec_fn", ["pwd"], {"preexec_fn": lambda: os.chdir("/usr"), "capture_output": True}),
    ("preexec_fn, input", ["cat"], {"preexec_fn": int, "input": b"x" * 300_000, "capture_output": True}),
    ("preexec_fn, timeout", ["sleep", "1000"], {"preexec_fn": int, "timeout": 0.1, "capture_output": True}),
    ("preexec_fn, no program", ["nonexistent-program"], {"preexec_fn": int}),
    ("preexec_fn raises", ["true"], {"preexec_fn": lambda: 1 // 0}),
    ("preexec_fn makes a session", ["sh", "-c", "ps -o sid= -p $$ | grep -qw $$"], {"preexec_fn": lambda: (os.setsid(), 1)}),
    ("preexec_fn, check", ["false"], {"preexec_fn": int, "check": True}),
    ("preexec_fn, setsid", ["sh", "-c", "ps -o sid= -p $$ | grep -qw $$"], {"preexec_fn": os.setsid}),
    ("pass_fds", ["readlink", "/proc/self/fd/0"], {"pass_fds": [0], "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}),
    ("umask", ["sh", "-c", "umask"], {"umask": 0o27, "capture_output": True}),
    ("much of both", ["sh", "-c", "yes | head -c 300000; yes no | head -c 300000 >&2"], {"capture_output": True}),
    ("much through", child("copy"), {"input": b"0123456789" * 100_000, "stdout": subprocess.PIPE}),
)  # fmt: skip


def told(outcome: Any) -> Any:
    """What is to be equal."""
    if isinstance(outcome, subprocess.CompletedProcess):
        return "result", outcome.returncode, outcome.stdout, outcome.stderr
    if isinstance(outcome, subprocess.CalledProcessError):  # ours shows the last lines of stderr besides
        said, _, _ = str(outcome).partition("\nIts standard error ended with:")
        return "failed", outcome.returncode, outcome.stdout, outcome.stderr, said
    if isinstance(outcome, subprocess.TimeoutExpired):
        return "timed out", round(outcome.timeout, 1), outcome.stdout, outcome.stderr
    if isinstance(outcome, OSError):
        return type(outcome), outcome.errno, outcome.strerror, outcome.filename
    return type(outcome)


@pytest.mark.parametrize(("command", "keywords"), [call[1:] for call in CALLS], ids=[call[0] for call in CALLS])
async def test_parity(command: Any, keywords: dict[str, Any]) -> None:
    """The same call, of either function."""
    await _compare(command, keywords)


@pytest.mark.parametrize("text", [False, True])
async def test_timeout_with_output(*, text: bool) -> None:
    """The exception has the output until then, where the child has the time to print, however slowly it begins."""
    command, keywords = ["sh", "-c", "echo x; exec sleep 1000"], {"capture_output": True, "text": text}
    for timeout in (0.3, 1.0, 3.0, 10.0):
        theirs = await _outcome(_plain(command, **keywords, timeout=timeout))
        if theirs.stdout:
            break
    with delayed_until(printed(1)):
        ours = await _outcome(aiospawn.run(command, **keywords, timeout=timeout))
    assert told(ours) == told(theirs)


async def _outcome(running: Awaitable[Any]) -> Any:
    """The result, or what was raised."""
    try:
        return await running
    except Exception as exc:  # noqa: BLE001 - compared
        return exc


async def _compare(command: Any, keywords: dict[str, Any]) -> None:
    make = command if callable(command) else lambda: command
    theirs = await _outcome(_plain(make(), **keywords))
    given = make()
    ours = await _outcome(aiospawn.run(given, **keywords))
    assert told(ours) == told(theirs)
    if isinstance(ours, subprocess.CompletedProcess):
        assert ours.args is given


async def test_files() -> None:
    """Streams that are files, by object and by number."""
    for run in (_plain, aiospawn.run):
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
            source.write(b"text")
            source.seek(0)
            await run(["cat"], stdin=source, stdout=target.fileno(), check=True)
            target.seek(0)
            assert target.read() == b"text"


async def _plain(*args: Any, **keywords: Any) -> Any:
    return subprocess.run(*args, **keywords)  # noqa: ASYNC221, PLW1510 - that is compared


async def test_type_of_the_result() -> None:
    """It is the stdlib's, with more of it."""
    result = await aiospawn.run(["sh", "-c", "echo $$"], capture_output=True, text=True)
    assert isinstance(result, subprocess.CompletedProcess)
    assert repr(result) == repr(subprocess.CompletedProcess(result.args, 0, result.stdout, ""))
    assert result.pid == int(result.stdout)
    assert 0 < result.elapsed < 60
    assert result.rusage is not None
    assert result.rusage.ru_maxrss > 0
    result.check_returncode()
