"""`TerminalSession`: programs on a real terminal, driven as a user does; and `aiospawn run --pty`."""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from command_line import COMMAND

import aiospawn
from aiospawn import EndOfOutput, ExpectTimeout, TerminalSession

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "xterm", "PS1": "READY> ", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
PROMPT = "READY> "


def bash(**options: Any) -> TerminalSession[str]:
    return TerminalSession(["bash", "--norc", "--noprofile"], env=ENVIRONMENT, **{"strip_ansi": True, **options})


def shell(script: str, **options: Any) -> TerminalSession[str]:
    return TerminalSession(["sh", "-c", script], env=ENVIRONMENT, **options)


# ---- programs that people drive ---------------------------------------------------------------------------------------


# Sleeps are short where a signal's handler is in Python: one that arrives on the way into a sleep is handled after it.
_JOB = 'import os, signal, time; signal.signal(signal.SIGCONT, lambda *_: os.write(1, b"again\\n")); '
_JOB += 'os.write(1, b"begun\\n"); [time.sleep(0.05) for _ in iter(int, 1)]'


async def test_bash() -> None:
    """Commands, an interruption, a resize, a job that is suspended and continued, the end of the input."""
    async with bash() as session:
        await session.expect_exact(PROMPT)
        await session.sendline("echo $((6 * 7)); stty size")
        assert await session.expect(r"(\d+)\r\n(\d+) (\d+)\r\n") == 0
        assert isinstance(session.match, re.Match)
        assert session.match.groups() == ("42", "24", "80")
        await session.expect_exact(PROMPT)
        session.setwinsize(33, 111)
        assert session.getwinsize() == (33, 111)
        await session.sendline("stty size")
        await session.expect_exact("33 111\r\n")
        await session.expect_exact(PROMPT)
        # It says when it is the foreground job: before that, the keys are the shell's. And it forks nothing.
        await session.sendline(f"{sys.executable} -S -c '{_JOB}'")
        await session.expect_exact("\rbegun\r\n")
        await session.sendcontrol("z")
        await session.expect_exact("Stopped")
        await session.expect_exact(PROMPT)
        await session.sendline("fg")
        await session.expect_exact("\nagain\r\n")
        await session.sendintr()
        await session.expect_exact(PROMPT)
        await session.sendline("exit 3")
        await session.expect(EndOfOutput)
        assert await session.wait() == 3
    assert (session.exitstatus, session.signalstatus, session.isalive(), session.eof()) == (3, None, False, True)


async def test_python() -> None:
    """A program that edits its lines itself."""
    plain = {**ENVIRONMENT, "TERM": "dumb"}  # CPython 3.13 draws the line anew at each key elsewhere
    async with TerminalSession([sys.executable, "-q", "-S", "-E"], env=plain, strip_ansi=True) as session:
        await session.expect_exact(">>> ")
        await session.sendline("6 * 7")
        await session.expect_exact("\n42\r\n")
        await session.expect_exact(">>> ")
        await session.sendline("import time; print('be' + 'gun'); [time.sleep(0.05) for _ in iter(int, 1)]")
        await session.expect_exact("begun\r\n")
        await session.sendintr()
        await session.expect_exact("KeyboardInterrupt")
        await session.expect_exact(">>> ")
        await session.sendline("raise SystemExit(4)")
        await session.expect(EndOfOutput)
        assert await session.wait() == 4


@pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed")
async def test_less(tmp_path: Any) -> None:
    """A pager: a page has as many lines as the terminal."""
    path = tmp_path / "numbers"
    path.write_text("".join(f"line {number}\n" for number in range(100)))
    async with TerminalSession(["less", str(path)], size=(10, 40), env=ENVIRONMENT, strip_ansi=True) as session:
        await session.expect_exact("line 8\r\n")
        await session.send(" ")
        await session.expect_exact("line 17\r\n")
        session.setwinsize(5, 40)
        await session.sendcontrol("l")  # a pager that was not yet waiting for keys looks at its size with the next one
        await session.expect_exact("line 12\r\n:")
        await session.send("G")
        await session.expect_exact("line 99\r\n")
        await session.expect_exact("(END)")
        await session.send("q")
        await session.expect(EndOfOutput)
        assert await session.wait() == 0


@pytest.mark.skipif(shutil.which("top") is None, reason="top is not installed")
async def test_top() -> None:
    """A program that draws the whole screen."""
    async with TerminalSession(["top", "-d", "100"], size=(12, 60), env=ENVIRONMENT, strip_ansi=True) as session:
        await session.expect("PID +USER")
        session.setwinsize(14, 70)
        await session.expect("PID +USER")
        await session.send("q")
        await session.expect(EndOfOutput)
        assert await session.wait() == 0


async def test_password() -> None:
    """It is not echoed; waitnoecho() returns when it can be typed."""
    log = io.StringIO()
    program = "import getpass; print('got', getpass.getpass('Password: '))"
    async with TerminalSession(fresh.command(program, flags=["-S"]), env=ENVIRONMENT, logfile=log) as session:
        await session.expect_exact("Password: ")
        assert await session.waitnoecho()
        assert not session.getecho()
        await session.sendline("secret")
        await session.expect_exact("got secret\r\n")
        assert session.before == "\r\n"
        await session.expect(EndOfOutput)
    assert log.getvalue() == "Password: secret\n\r\ngot secret\r\n"


# ---- expect -----------------------------------------------------------------------------------------------------------


async def test_which_match_counts() -> None:
    """The one that begins first; of those that begin together the first in the list. What is behind it is kept."""
    async with shell("printf 'one two three'; sleep 1000") as session:
        await session.expect_exact("one two three")
        session.buffer = "one two three"
        assert await session.expect(["three", "two", "t"]) == 1
        assert (session.before, session.after, session.match_index) == ("one ", "two", 1)
        assert await session.expect_exact([" three", " th"]) == 0
        assert session.buffer == ""


async def test_text_is_no_pattern() -> None:
    """`expect_exact` takes every character as it stands; patterns may be compiled, and match across lines."""
    async with shell("echo 'a.c (1) [x]'; echo done") as session:
        await session.expect_exact("(1) [x]")
        assert session.before == "a.c "
        await session.expect(re.compile("^DONE", re.IGNORECASE | re.MULTILINE))
    async with shell("echo begin; echo middle; echo end") as session:
        session.ignorecase = True
        await session.expect("BEGIN.*END")
        assert session.after == "begin\r\nmiddle\r\nend"


async def test_time_out() -> None:
    """The output is kept and is in the error; the class among the patterns stands for the exception."""
    async with shell("echo some; sleep 1000") as session:
        await session.expect_exact("some\r")
        session.buffer = "some\r\n"
        with pytest.raises(
            ExpectTimeout, match=r"nothing within 0\.05 s; expected 'other', the output ends with 'some\\r\\n'"
        ):
            await session.expect("other", timeout=0.05)
        assert (session.before, session.after, session.buffer) == ("some\r\n", ExpectTimeout, "some\r\n")
        assert await session.expect(["other", EndOfOutput, ExpectTimeout], timeout=0) == 2
        assert session.match is ExpectTimeout
        assert await session.expect("some", timeout=0) == 0


async def test_end_of_output() -> None:
    """Also with the class as a pattern, and after the end."""
    async with shell("echo last") as session:
        with pytest.raises(EndOfOutput, match=r"the output has ended; expected 'other', the output ends with 'last\\r\\n'"):
            await session.expect("other")
        assert (session.before, session.after) == ("last\r\n", EndOfOutput)
        assert await session.expect_exact(["other", EndOfOutput]) == 1
        assert session.eof()


async def test_search_window() -> None:
    """Only so much at the end is searched."""
    async with shell("printf 'needle and hay'; sleep 1000") as session:
        await session.expect_exact("hay")
        session.buffer = "needle and hay"
        assert await session.expect(["needle", "hay"], searchwindowsize=5) == 1
        assert session.before == "needle and "


async def test_long_output() -> None:
    """Megabytes until the match; a text may be cut between two reads anywhere."""
    async with shell("stty raw; head -c 1000000 /dev/zero | tr '\\0' x; printf END") as session:
        await session.expect_exact("END", timeout=None)
        assert session.before is not None
        assert len(session.before) == 1_000_000


async def test_bytes() -> None:
    """Without an encoding everything is bytes; and a character that is cut between two reads is whole with one."""
    async with TerminalSession(["printf", r"\377\303\274"], encoding=None) as session:
        assert await session.expect(b"\xc3.$") == 0
        assert session.before == b"\xff"
    async with shell(r"printf '\303'; read _; printf '\274\n'", echo=False) as text:
        assert await text.expect([ExpectTimeout, "."], timeout=0.05) == 0
        await text.sendline()
        assert await text.readline() == "\xfc\r\n"


# ---- reading and sending ----------------------------------------------------------------------------------------------


async def test_reading() -> None:
    """Sizes, lines, to the end."""
    async with shell("echo one; echo two; echo three; printf four") as session:
        assert await session.read(2) == "on"
        assert await session.readline() == "e\r\n"
        assert await session.read_nonblocking(100)
        await session.read()
    async with shell("echo one; echo two; printf three") as session:
        assert await session.readlines() == ["one\r\n", "two\r\n", "three"]
        assert await session.readline() == ""
        with pytest.raises(EndOfOutput):
            await session.read_nonblocking()
    async with shell("echo one; echo two") as session:
        assert [line async for line in session] == ["one\r\n", "two\r\n"]
    async with shell("sleep 1000") as session:
        with pytest.raises(ExpectTimeout):
            await session.read_nonblocking(timeout=0.01)


async def test_no_echo_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the program looks, and not by a call behind its launch: a shell's line editor keeps to what it found."""
    monkeypatch.delattr(aiospawn.TerminalSession, "setecho")
    for size in ((24, 80), os.terminal_size((80, 24))):
        async with shell("stty size; stty -a; exec cat", echo=False, size=size) as session:
            await session.expect(r"24 80\r\n(?s:.*) (-?echo) ")
            assert session.match[1] == "-echo"
            assert not session.getecho()
            assert session.getwinsize() == (24, 80)


async def test_sending() -> None:
    """Each way; without an echo only the program writes."""
    async with shell("exec cat", echo=False) as session:
        assert await session.send("a") == 1
        assert await session.sendline("\xfc") == 3
        await session.writelines(["b\n", "c\n"])
        await session.write("d")
        await session.sendline()
        await session.expect_exact("a\xfc\r\nb\r\nc\r\nd\r\n")
        session.setecho(True)
        assert session.getecho()
        await session.sendline("e")
        await session.expect_exact("e\r\ne\r\n")
        await session.sendeof()
        await session.expect(EndOfOutput)
        assert await session.wait() == 0


@pytest.mark.parametrize(("character", "code"), [("c", 3), ("C", 3), ("[", 27), ("?", 127), ("@", 0)])
async def test_control_characters(character: str, code: int) -> None:
    async with shell("stty raw -echo; echo ready; head -c 1 | od -An -tu1") as session:
        await session.expect_exact("ready")
        await session.sendcontrol(character)
        await session.expect(rf" {code}\b")


async def test_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving the block hangs up; what ignores that is killed. `terminate` asks before that."""
    async with shell("echo ready; sleep 1000") as session:
        await session.expect_exact("ready")
    assert session.signalstatus == signal.SIGHUP
    async with shell("trap '' HUP INT; echo ready; while :; do sleep 0.01; done", grace=0.05) as session:
        await session.expect_exact("ready")
        assert not await session.terminate()
        assert session.isalive()
    assert session.signalstatus == signal.SIGKILL
    async with shell("trap '' HUP INT; echo ready; while :; do sleep 0.01; done") as session:
        await session.expect_exact("ready")
        assert await session.terminate(force=True)
    async with shell("echo ready; sleep 1000") as session:
        await session.expect_exact("ready")
        await session.close()
        assert not session.isalive()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TerminalSession("bash"), ValueError, "args must be a list of arguments"),
        (lambda: TerminalSession(["true"], size=(1, 2, 3)), TypeError, "pty"),  # type: ignore[call-overload]
        (lambda: TerminalSession(["true"], encoding="nonsense"), LookupError, "nonsense"),
        (lambda: TerminalSession(["true"], timeout=-1), ValueError, "timeout must not be negative, got -1"),
        (lambda: TerminalSession(["true"], grace="1"), TypeError, "grace must be a number of seconds, got '1'"),  # type: ignore[call-overload]
        (lambda: TerminalSession(["true"]).process, RuntimeError, "the TerminalSession's block was not entered"),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], message: str) -> None:
    """They are refused before anything is launched."""
    with pytest.raises(error, match=message):
        make()


async def test_bad_patterns() -> None:
    """And bad texts."""
    async with shell("sleep 1000") as session:
        wrong: Any
        for wrong in (b"bytes", 3, None, re.compile(b"x")):
            with pytest.raises(TypeError, match=r"expect\(\) needs a str"):
                await session.expect(wrong)
        with pytest.raises(ValueError, match="empty list"):
            await session.expect([])
        with pytest.raises(re.error):
            await session.expect("(")
        wrong = b"x"
        with pytest.raises(TypeError, match=r"send\(\) needs a str, got b'x'"):
            await session.send(wrong)
        with pytest.raises(ValueError, match=r"sendcontrol\(\) needs a letter or one of .*, got '1'"):
            await session.sendcontrol("1")
        with pytest.raises(RuntimeError, match="entered already"):
            await session.__aenter__()


# ---- control sequences ------------------------------------------------------------------------------------------------

_SEQUENCES = [
    *("\x1b[31m", "\x1b[1;38;5;200m", "\x1b[?25l", "\x1b[2J", "\x1b[10;20H", "\x1b[>0q", "\x1b[!p", "\x1b[4 q"),
    *(
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1bP1$r0m\x1b\\",
        "\x1b(B",
        "\x1b=",
        "\x1b7",
        "\x1bM",
        "\x1b#8",
        "\x0f",
    ),
]


@pytest.mark.parametrize("sequence", _SEQUENCES)
def test_strip_ansi(sequence: str) -> None:
    """Also where it is cut at any place, in text and in bytes."""
    from aiospawn._terminals.ansi import AnsiFilter

    output = f"a\t{sequence}b\r\n"
    assert aiospawn.strip_ansi(output) == "a\tb\r\n"
    assert aiospawn.strip_ansi(output.encode()) == b"a\tb\r\n"
    for place in range(len(output)):
        parts = AnsiFilter("")
        assert parts.feed(output[:place]) + parts.feed(output[place:]) + parts.feed("", final=True) == "a\tb\r\n"


def test_what_is_no_sequence() -> None:
    """It is kept: an escape at the end, and a string that never ends is not held back for ever."""
    from aiospawn._terminals.ansi import AnsiFilter

    parts = AnsiFilter("")
    assert parts.feed("a\x1b") == "a"
    assert parts.feed("", final=True) == "\x1b"
    endless = AnsiFilter("")
    assert len(endless.feed("\x1b]" + "x" * 10_000)) == 10_002


# ---- the command line -------------------------------------------------------------------------------------------------


def _on_terminal(*command: str, size: tuple[int, int] = (20, 50)) -> TerminalSession[str]:
    """The command line on a terminal: that of the user, in front of another one."""
    return TerminalSession([*COMMAND, "run", *command], size=size, env=ENVIRONMENT, strip_ansi=True)


async def test_command_line() -> None:
    """Keys are the command's, as are their signals; the size is followed; the terminal is as before in the end."""
    script = (
        "trap 'stty size' WINCH; trap 'echo interrupted' INT; echo ready; while read line; do echo [$line]; done; exit 3"
    )
    async with _on_terminal("--pty", "bash", "-c", script) as session:
        before = termios.tcgetattr(session.fileno())
        await session.expect_exact("ready\r\n")
        await session.sendline("a b")
        await session.expect_exact("[a b]\r\n")
        session.setwinsize(31, 71)
        await session.sendline("after")
        while await session.expect(["31 71\r\n", r"\[after\]\r\n"]) == 1:  # the shell looks at its traps behind a line
            await session.sendline("after")
        await session.sendcontrol("c")
        await session.sendline("after")  # likewise, where it was on its way into `read`
        await session.expect_exact("interrupted")
        assert not session.getecho()  # ours is in raw mode: what is written back is the other one's
        await session.sendcontrol("d")
        await session.expect(EndOfOutput)
        assert await session.wait() == 3
    assert before[3] & termios.ECHO


async def test_command_line_is_suspended() -> None:
    """By a signal: the shell gets its terminal back as it was; continued, the command goes on, in raw mode again."""
    async with bash() as session:
        await session.expect_exact(PROMPT)
        program = "echo ready $PPID; while read line; do echo [$line]; done"
        await session.sendline(f"{' '.join(COMMAND)} run --pty sh -c '{program}'")
        await session.expect(r"ready (\d+)\r\n")
        assert isinstance(session.match, re.Match)
        os.kill(int(session.match[1]), signal.SIGTSTP)
        await session.expect_exact("Stopped")
        await session.expect_exact(PROMPT)
        await session.sendline("stty -a | grep -o '.icanon '; echo back")
        await session.expect(r"(.)icanon \r\nback\r\n")
        assert session.match[1] == " "
        await session.sendline("fg")
        await session.expect_exact("done'\r\n")
        while await session.expect([r"\[again\]", ExpectTimeout], timeout=0.2):
            await session.sendline("again")
        await session.sendcontrol("d")
        await session.expect_exact(PROMPT)
        await session.sendline("exit")
        await session.expect(EndOfOutput)


@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        (["sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size; exit 5"], 5, b"24 80\r\n"),
        (["--timeout", "1", "--grace", "1", "sh", "-c", "echo begun; sleep 1000"], 124, b"begun\r\n"),
        (["cat"], 0, b"in\r\nin\r\n"),
        (["/nonexistent"], 127, b""),
        (["sh", "-c", "kill -9 $$"], 137, b""),
    ],
)
def test_command_line_without_a_terminal(arguments: list[str], status: int, output: bytes) -> None:
    """Standard input is typed, to its end; the exit status is handed through."""
    result = subprocess.run([*COMMAND, "run", "--pty", *arguments], input=b"in\n", capture_output=True, check=False)
    assert result.returncode == status
    assert result.stdout.replace(b"in\r\n", b"") == output.replace(b"in\r\n", b"")
    assert result.stdout.count(b"in\r\n") == output.count(b"in\r\n") or b"cat" not in " ".join(arguments).encode()


def test_terminal_is_hung_up(tmp_path: Path) -> None:
    """The terminal's window is closed: the command gets SIGHUP."""
    said = tmp_path / "said"
    script = f"exec >{said}; trap 'echo hung up; exit 7' HUP; echo ready; while :; do sleep 0.01; done"
    master, slave = pty.openpty()
    command = ["setsid", "--ctty", *COMMAND, "run", "--pty", "sh", "-c", script]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        while not said.exists() or not said.read_text():
            time.sleep(0.01)
        os.close(master)
        assert process.wait() == 7
    assert said.read_text() == "ready\nhung up\n"
