"""`aiospawn run`, as a program: its exit status, its options, its report, and the signals that it hands on."""

from __future__ import annotations

import json
import os
import pty
import pwd
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from command_line import COMMAND, assert_refused_in_process
from forked import Said, aiospawn

if TYPE_CHECKING:
    from pathlib import Path

RUN = (*COMMAND, "run")


def run(*arguments: str, **variables: str) -> Said:
    return aiospawn("run", *arguments, **variables)


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["true"], 0), (["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -TERM $$"], 143), (["/nonexistent"], 127),
        (["nonexistent"], 127), (["/etc/passwd"], 126), (["/"], 126),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dashes", [[], ["--"]])
def test_status(command: list[str], status: int, dashes: list[str]) -> None:
    """As a shell has it."""
    result = run(*dashes, *command)
    assert result.returncode == status
    assert result.stdout == ""
    assert result.stderr.startswith("aiospawn run: " if status in (126, 127) else "")
    assert "Traceback" not in result.stderr


def test_status_of_setting_up() -> None:
    """A command that could not be set up has another status than a program that could not be run."""
    result = run("--cwd", "/nonexistent", "true")
    assert result.returncode == 125
    assert "/nonexistent" in result.stderr


def test_streams() -> None:
    """The command has the standard streams."""
    result = subprocess.run([*RUN, "sh", "-c", "cat; echo error >&2"], input=b"in", capture_output=True, check=False)
    assert (result.stdout, result.stderr) == (b"in", b"error\n")


def test_words_of_the_command() -> None:
    """Behind its first word everything is the command's own."""
    assert run("echo", "--nice", "--", "--help").stdout == "--nice -- --help\n"
    assert run("--", "echo", "--", "--help").stdout == "-- --help\n"


@pytest.mark.parametrize(
    ("options", "script", "output"),
    [
        (["--cwd", "/"], "pwd", "/"),
        (["--env", "A=b=c", "--env", "B="], 'echo "$A,$B,${HOME:+home}"', "b=c,,home"),
        (["--clear-env", "--env", "A=b"], "env | grep -v -e PWD -e SHLVL -e _=", "A=b"),
        (["--nice", "3"], "nice", str(min(19, os.nice(0) + 3))),
        (["--rlimit", "nofile=64", "--rlimit", "core=0:0"], "ulimit -n; ulimit -Hn; ulimit -c", "64\n64\n0"),
        (["--rlimit", "RLIMIT_NOFILE=64:100"], "ulimit -n; ulimit -Hn", "64\n100"),
        (["--umask", "027"], "umask", "0027"),
        (["--no-new-privs"], "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"),
        (["--init"], "cat /proc/$PPID/comm", "aiospawn:init"),
        (["--init"], "sleep 1000 & echo over", "over"),  # it would hold the output
        (["--init=kill", "--new-session"], "setsid sleep 1000 & cat /proc/$PPID/comm", "aiospawn:init"),
        (["--init=wait"], "(sleep 0.1; echo late) & echo early", "early\nlate"),
        (["--init=leave"], "setsid sleep 0.1 >/dev/null 2>&1 & echo over", "over"),
        (["--new-session"], "[ $(cut -d' ' -f6 /proc/self/stat) = $$ ] && echo leads", "leads"),
    ],
)
def test_set_up(options: list[str], script: str, output: str) -> None:
    """Each option is seen by the command."""
    result = run(*options, "sh", "-c", script, HOME="/root")
    assert result.stderr == ""
    assert result.stdout.strip() == output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_user_and_group() -> None:
    """By name and by number."""
    nobody = pwd.getpwnam("nobody")
    assert run("--user", "nobody", "id", "-u").stdout == f"{nobody.pw_uid}\n"
    assert run("--user", "12345", "--group", "54321", "sh", "-c", "id -u; id -g").stdout == "12345\n54321\n"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--timeout -1", "--timeout"), ("--timeout soon", "soon"), ("--grace 1y", "--grace"), ("--rlimit x=1", "'x=1'"),
        ("--rlimit nofile", "nofile"), ("--rlimit nofile=many", "many"), ("--rlimit nofile=1:", "nofile=1:"),
        ("--rlimit nofile=9:1", "9"), ("--nice x", "--nice"), ("--nice 99", "99"), ("--umask 9", "--umask"),
        ("--env A", "'A'"),
        ("--env =b", "'=b'"), ("--user nobody-at-all", "nobody-at-all"), ("--group nobody-at-all", "nobody-at-all"),
        ("--init=reap", "reap"),
        ("--json /nonexistent/file", "/nonexistent/file"), ("--nonsense", "--nonsense"), ("--time 5", "--time"),
    ],
)  # fmt: skip
def test_bad_options(options: str, word: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are refused with the usage, before anything runs."""
    assert_refused_in_process(["run", *options.split(), "touch", str(tmp_path / "ran")], capfd, word)
    assert list(tmp_path.iterdir()) == []


def test_no_command(capfd: pytest.CaptureFixture[str]) -> None:
    """It is asked for."""
    for arguments in (["run"], ["run", "--"], ["run", "--nice", "1"]):
        assert_refused_in_process(arguments, capfd, "COMMAND")


def test_timeout() -> None:
    """A command that takes too long is stopped, and its descendants with it."""
    started = time.monotonic()
    result = run("--timeout", "0.3", "--grace", "0.3s", "sh", "-c", "trap '' TERM; sleep 1000 & wait; wait")
    assert result.returncode == 124
    assert time.monotonic() - started < 60
    assert run("--timeout", "1m", "true").returncode == 0


def test_json(tmp_path: Path) -> None:
    """The report has status, times and resource use."""
    path = tmp_path / "report"
    assert run("--json", str(path), "sh", "-c", "exit 3").returncode == 3
    report = json.loads(path.read_text())
    assert report["command"] == ["sh", "-c", "exit 3"]
    assert (report["status"], report["returncode"], report["signal"], report["timed_out"]) == (3, 3, None, False)
    assert report["pid"] > 0
    assert 0 < report["elapsed_s"] < 60
    assert abs(report["started"] - time.time()) < 60
    assert report["rusage"]["ru_maxrss"] > 0


def test_json_of_a_signal_and_of_a_failure() -> None:
    """`-` is standard error."""
    report = json.loads(run("--json", "-", "sh", "-c", "kill -9 $$").stderr)
    assert (report["status"], report["returncode"], report["signal"]) == (137, -9, "SIGKILL")
    error, _, text = run("--json", "-", "/nonexistent").stderr.partition("\n")
    report = json.loads(text)
    assert (report["status"], report["returncode"], report["pid"], report["rusage"]) == (127, None, None, None)
    assert report["error"] in error


def started(*arguments: str) -> subprocess.Popen[str]:
    """The command, once it has said "ready"."""
    process = subprocess.Popen((*RUN, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_are_handed_on(number: signal.Signals) -> None:
    """The command decides what comes of them."""
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo {name}; exit 7' {name}; echo ready; while :; do sleep 0.01; done"
    with started("sh", "-c", script) as process:
        process.send_signal(number)
        assert process.communicate() == (f"{name}\n", None)
        assert process.returncode == 7
    with started("sh", "-c", "ulimit -c 0; echo ready; exec sleep 1000") as process:
        process.send_signal(number)
        process.communicate()
        assert process.returncode == 128 + number


def test_ctrl_c() -> None:
    """From the terminal, whose input the command reads, it comes to the command once, from the terminal alone."""
    script = "trap 'echo got; exit 7' INT; echo ready; read line; echo $line; while :; do sleep 0.01; done"
    pid, terminal = pty.fork()
    if not pid:
        os.execv(RUN[0], [*RUN, "sh", "-c", script])
    try:
        output = b""
        while b"ready" not in output:
            output += os.read(terminal, 1000)
        os.write(terminal, b"line\n")
        while output.count(b"line") < 2:
            output += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        try:
            while chunk := os.read(terminal, 1000):
                output += chunk
        except OSError:  # EIO: nobody has the terminal any more
            pass
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 7
    assert output.count(b"got") == 1


def test_left_behind() -> None:
    """What a command leaves running is its own affair."""
    result = run("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
    os.kill(int(result.stdout), signal.SIGKILL)
