"""`aiospawn run --restart`: what it says, its exit status and report, and the signals that end it."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from command_line import COMMAND, assert_refused_in_process
from forked import Said, aiospawn

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

AT_ONCE = ("--restart-sec", "0", "--restart-jitter", "0")


def run(*arguments: str, cwd: Path | None = None) -> Said:
    return aiospawn("run", *arguments, cwd=cwd)


def test_until_it_succeeds(tmp_path: Path) -> None:
    """It is said what happens, and the report counts."""
    script = "[ -e done ] && exit 0; touch done; exit 3"
    result = run("--restart", "on-failure", *AT_ONCE, "--json", "report", "sh", "-c", script, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == f"aiospawn run: sh -c '{script}': ended with status 3 (exit-code); restart 1 in 0 s\n"
    report = json.loads((tmp_path / "report").read_text())
    assert (report["status"], report["restarts"], report["result"]) == (0, 1, "success")


def test_given_up() -> None:
    """The status is the last run's, as that of a program that is not there."""
    result = run("--restart", "always", *AT_ONCE, "--start-limit-burst", "2", "sh", "-c", "kill -9 $$")
    assert result.returncode == 128 + signal.SIGKILL
    assert result.stderr.count("ended by SIGKILL; restart") == 2
    assert "was started 2 times within 10 s already" in result.stderr
    assert run("--restart", "always", *AT_ONCE, "--start-limit-burst", "2", "/nonexistent").returncode == 127
    assert run("--restart", "on-abort", "/nonexistent").returncode == 127
    assert run("--restart", "on-abort", "sh", "-c", "exit 9").returncode == 9


def test_health(tmp_path: Path) -> None:
    """A shell's command checks it."""
    options = ("--health-cmd", "false", "--health-interval", "0.01", "--health-retries", "2", "--stop-signal", "int")
    result = run("--restart", "on-abnormal", *AT_ONCE, "--start-limit-burst", "1", *options, "sleep", "1000")
    assert result.returncode == 128 + signal.SIGINT
    assert [line.rpartition(": ")[2] for line in result.stderr.splitlines()[:2]] == [
        f"health check failed, {number} in a row" for number in (1, 2)
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals(number: int) -> None:
    """They stop the command and are not followed by a restart."""
    script = "trap 'echo stopped; exit 5' TERM; echo ready; sleep 1000 & wait"
    command = [*COMMAND, "run", "--restart", "always", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "stopped\n"
    assert process.returncode == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--restart-sec", "1"], "--restart-sec needs --restart"),
        (["--restart", "sometimes"], "--restart: invalid choice: 'sometimes'"),
        (["--restart", "always", "--timeout", "1"], "--timeout and --restart do not go together; --runtime-max-sec"),
        (["--restart", "always", "--restart-jitter", "2"], "--restart-jitter: must be a number from 0 to 1, not '2'"),
        (["--restart", "always", "--stop-signal", "SIGNO"], "--stop-signal: must be a signal's name or number"),
        (["--restart", "always", "--restart-steps", "3"], "restart_steps=3 and restart_max_delay_sec=None"),
        (["--restart", "always", "--uid", "nobody-there"], "nobody-there"),
    ],
)
def test_refused(arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    """With the usage, and nothing runs."""
    assert_refused_in_process(["run", *arguments, "true"], capfd, said)
