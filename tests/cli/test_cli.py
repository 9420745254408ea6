"""The command line, run as a program, and its measuring on its own."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from command_line import COMMAND, NO_RICH, assert_refused, environment, prepared, run

import aiospawn
from aiospawn.cli import _main, _measure

if TYPE_CHECKING:
    from pathlib import Path


METHODS = ("asyncio", "uvloop", "aiospawn", "aiospawn on uvloop")
UVLOOP = importlib.util.find_spec("uvloop") is not None
NO_UVLOOP = "import sys; sys.modules['uvloop'] = None"


def fake_sha256sum(directory: Path, script: str) -> str:
    """A PATH that begins with a sha256sum of our own."""
    program = directory / "sha256sum"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


# ---- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), *((command.name,) for command in _main.COMMANDS)])
def test_help(arguments: tuple[str, ...]) -> None:
    """Every command explains itself."""
    result = run(*COMMAND, *arguments, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(" ".join(("usage: aiospawn", *arguments)))
    assert result.stderr == ""


def test_help_lists_the_commands() -> None:
    """The overview names every command."""
    output = run(*COMMAND, "--help").stdout
    assert all(f"    {command.name} " in output for command in _main.COMMANDS)


def test_version() -> None:
    """--version prints the package's."""
    assert run(*COMMAND, "--version").stdout == f"aiospawn {aiospawn.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    ["", "nothing", "--nothing", "doctor --nothing", "doctor extra", "demo --nothing", "demo --jobs", "demo --jobs 0",
     "demo --jobs -3", "demo --commands many", "demo --commands 1.5", "demo --command 5"],
)  # fmt: skip
def test_bad_options(arguments: str) -> None:
    """A bad option is answered with the usage and status 2."""
    assert_refused(run(*COMMAND, *arguments.split()), "usage: aiospawn")


@pytest.mark.parametrize(
    ("line", "word"),
    [("aiospawn ru", "run"), ("aiospawn map --resume-", "--resume-failed"), ("aiospawn run --tim", "--timeout")],
)
def test_completion(line: str, word: str, tmp_path: Path) -> None:
    """A shell that asks by argcomplete's protocol gets the words that may stand there."""
    answer = tmp_path / "answer"
    asked = {
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "bash",
    }
    result = run(*COMMAND, **asked, _ARGCOMPLETE_IFS="\n", _ARGCOMPLETE_STDOUT_FILENAME=str(answer))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert answer.read_text().split() == [word]


def test_console_command() -> None:
    """The console command is the same function."""
    (entry,) = importlib.metadata.distribution("aiospawn").entry_points.select(group="console_scripts")
    assert entry.name == "aiospawn"
    assert entry.load() is _main.main


@pytest.mark.parametrize("arguments", [("doctor",), ("demo", "--commands", "1")])
def test_without_rich(arguments: tuple[str, ...]) -> None:
    """Where rich is missing, the message says which extra brings it."""
    assert_refused(run(*prepared(NO_RICH, *arguments)), "rich", "aiospawn[cli]")


@pytest.mark.parametrize(
    ("arguments", "redirection", "status", "output", "said"),
    [
        ("map --pipe cat", "<&-", 2, "", "aiospawn map: error: standard input is closed"),
        ("map echo ::: a", "<&-", 0, "a\n", ""),
        ("map echo ::: a", ">&-", 1, "", "aiospawn map: [Errno 9] Bad file descriptor"),
        ("map --dry-run echo ::: a", ">&-", 1, "", "aiospawn map: [Errno 9] Bad file descriptor"),
        ("map nothing-such ::: a", "2>&-", 1, "", ""),
        ("run sh -c 'echo a; exit 3'", "2>&-", 3, "a\n", ""),
        ("run cat", "<&-", 1, "", "Bad file descriptor"),
        ("--version", ">&-", 0, "", ""),
    ],
)
def test_closed_stream(arguments: str, redirection: str, status: int, output: str, said: str) -> None:
    """No descriptor of ours takes its number, and no traceback is the answer."""
    result = run("sh", "-c", f"{shlex.join(COMMAND)} {arguments} {redirection}")
    assert (result.returncode, result.stdout) == (status, output)
    assert said in result.stderr
    assert bool(result.stderr) == bool(said)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [("doctor",), ("doctor", "--json")])
def test_reader_gone(arguments: tuple[str, ...]) -> None:
    """A reader that has gone is no reason for a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [*COMMAND, *arguments], stdout=writer, stderr=subprocess.PIPE, env=environment(), check=False
        )
    finally:
        os.close(writer)
    assert result.returncode == 1
    assert result.stderr == b""


@pytest.mark.parametrize("command", ["doctor", "demo"])
def test_unknown_feature(command: str) -> None:
    """A mistake in AIOSPAWN_WITHOUT is an error that lists the known words."""
    assert_refused(run(*COMMAND, command, AIOSPAWN_WITHOUT="clome3"), "'clome3'", "clone3")


# ---- doctor -----------------------------------------------------------------------------------------------------------


def test_doctor_json() -> None:
    """Everything is there as JSON, without rich as well, and the status is the verdict."""
    result = run(*prepared(NO_RICH, "doctor", "--json"))
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert result.returncode == (0 if found["works"] else 1)
    assert found["aiospawn"] == aiospawn.__version__
    assert found["supported"] == bool(aiospawn.supported())
    assert {name: row["there"] for name, row in found["features"].items()} == aiospawn.supported().features
    assert {name: row["cost"] for name, row in found["features"].items() if row["cost"]} == aiospawn.supported().missing
    assert found["trees"].keys() == {
        "init=True",
        'init_namespace="pid"',
        "init_cgroup=True",
        "memory.max, pids.max",
        "Limits(memory=)",
    }
    assert found["trees"]["init=True"] == {"works": True, "error": None}
    assert all((row["error"] is None) == row["works"] for row in found["trees"].values())
    assert found["limits"].keys() >= {"RLIMIT_NOFILE", "RLIMIT_NPROC", "pid_max", "threads-max", "cgroup pids.max"}
    assert found["children"]["at_once"] == min(row["children"] for row in found["limits"].values() if row["children"])
    assert tuple(found["launches"]) == METHODS
    for method, launch in found["launches"].items():
        assert launch["error"] is None
        assert (launch["ms"] is not None) == (UVLOOP or "uvloop" not in method)


@pytest.mark.skipif(not shutil.which("unshare") or os.getuid() != 0, reason="needs unshare(1) and the right to use it")
@pytest.mark.parametrize("hidden", ["/dev", "/proc"])
def test_doctor_in_a_bare_tree(hidden: str) -> None:
    """Where nobody has made /dev/fd, or mounted /proc, it tells what it can."""
    script = f'mount -t tmpfs none {hidden} && exec "$@"'
    result = run("unshare", "--mount", "sh", "-c", script, "sh", *COMMAND, "doctor", "--json")
    assert result.stderr == ""
    counted = json.loads(result.stdout)["limits"]["RLIMIT_NOFILE"]["children"] is not None
    assert counted == (hidden == "/dev")


def test_doctor_for_a_file() -> None:
    """Without a terminal there are no control codes."""
    result = run(*COMMAND, "doctor")
    assert result.returncode == (0 if aiospawn.supported() else 1)
    assert result.stderr == ""
    assert result.stdout.replace("\n", "").isprintable()
    for word in ("kernel", "RLIMIT_NOFILE", *METHODS, *aiospawn.supported().features):
        assert word in result.stdout


@pytest.mark.once
def test_doctor_not_supported() -> None:
    """Where native launching does not work, the status is 1 and the reasons are printed."""
    result = run(*COMMAND, "doctor", "--json", AIOSPAWN_WITHOUT="pidfd")
    found = json.loads(result.stdout)
    assert result.returncode == 1
    assert not found["works"]
    assert "pidfd" in found["reasons"][0]
    for_people = run(*COMMAND, "doctor", AIOSPAWN_WITHOUT="pidfd")
    assert for_people.returncode == 1
    assert found["reasons"][0] in for_people.stdout


@pytest.mark.once
def test_doctor_missing_feature() -> None:
    """A missing feature is printed with what that costs."""
    found = json.loads(run(*COMMAND, "doctor", "--json", AIOSPAWN_WITHOUT="clone3").stdout)
    assert not found["features"]["clone3"]["there"]
    assert found["features"]["clone3"]["cost"]


@pytest.mark.once
def test_doctor_forced_variant() -> None:
    """What the environment forces is printed."""
    found = json.loads(run(*COMMAND, "doctor", "--json", AIOSPAWN_SPAWN="vfork").stdout)
    assert found["settings"]["AIOSPAWN_SPAWN"] == "vfork"
    assert found["variant"] == ("vfork" if aiospawn.supported() else "none")


@pytest.mark.once
def test_doctor_failing_launch(tmp_path: Path) -> None:
    """A launch that fails is a finding, not a traceback."""
    result = run(*COMMAND, "doctor", "--json", PATH=str(tmp_path))
    found = json.loads(result.stdout)
    assert result.returncode == 1
    assert not found["works"]
    assert found["launches"]["aiospawn"]["error"].startswith("FileNotFoundError")


# ---- demo -------------------------------------------------------------------------------------------------------------


@pytest.mark.once
def test_demo(tmp_path: Path) -> None:
    """Each loop runs all commands, every output is right, nothing is left behind."""
    file = tmp_path / "demo.json"
    result = run(*COMMAND, "demo", "--commands", "40", "--jobs", "7", "--json", str(file))
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.replace("\n", "").isprintable()
    assert all(f"\n{method}  " in result.stdout for method in METHODS)
    found = json.loads(file.read_text())
    assert found["clean"]
    assert (found["commands"], found["jobs"]) == (40, 7)
    assert tuple(row["method"] for row in found["methods"]) == METHODS
    for row in found["methods"]:
        assert row["installed"] == (UVLOOP or "uvloop" not in row["method"])
        if row["installed"]:
            assert row["commands"] == 40
            assert (row["wrong_outputs"], row["descriptors_left"], row["zombies_left"]) == ([], 0, 0)


@pytest.mark.once
def test_demo_without_uvloop() -> None:
    """Where uvloop is missing, its two rows say so."""
    result = run(*prepared(NO_UVLOOP, "demo", "--commands", "8"))
    assert result.returncode == 0
    assert result.stderr == ""
    assert len(re.findall("uvloop +not installed", result.stdout)) == 2


@pytest.mark.once
def test_demo_wrong_output(tmp_path: Path) -> None:
    """A wrong output is shown and gives status 1."""
    path = fake_sha256sum(tmp_path, 'echo "0123  $1"')
    result = run(*COMMAND, "demo", "--commands", "4", PATH=path)
    assert result.returncode == 1
    assert "wrong output" in result.stdout
    assert "0123  /usr" in result.stdout


@pytest.mark.once
def test_demo_needs_sha256sum(tmp_path: Path) -> None:
    """Without the program there is no demo."""
    assert_refused(run(*COMMAND, "demo", PATH=str(tmp_path)), "sha256sum")


@pytest.mark.once
def test_demo_json_not_writable(tmp_path: Path) -> None:
    """A file that cannot be written is an error before the work."""
    result = run(*COMMAND, "demo", "--json", str(tmp_path / "missing" / "demo.json"))
    assert_refused(result, "missing/demo.json")
    assert result.stdout == ""


@pytest.mark.once
def test_demo_out_of_descriptors() -> None:
    """A launch that fails ends the demo with the error, the loop and advice."""
    limited = ("/bin/sh", "-c", 'ulimit -n 30; exec "$@"', "sh")
    result = run(*limited, *COMMAND, "demo", "--commands", "64")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "asyncio: [Errno 24]" in result.stderr
    assert "--jobs" in result.stderr


@pytest.mark.once
@pytest.mark.parametrize("method", METHODS)
def test_interrupted(tmp_path: Path, method: str) -> None:
    """SIGINT to the program alone: status 130, nothing printed, and the children are gone."""
    if "uvloop" in method and not UVLOOP:
        pytest.skip("uvloop is not installed")
    fifo = tmp_path / "running"
    os.mkfifo(fifo)
    path = fake_sha256sum(tmp_path, f"echo >{fifo}; exec sleep 1000")
    only = (
        "from aiospawn.cli import _demo, _measure\n"
        f"chosen = tuple(each for each in _measure.methods() if each.name == {method!r})\n"
        "_demo.methods = lambda: chosen"
    )
    command = prepared(only, "demo", "--commands", "8")
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(PATH=path), start_new_session=True
    ) as process:
        assert process.stderr is not None
        with fifo.open():  # a command runs
            process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode == 130
    assert errors == b""
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.once
def test_demo_on_a_terminal() -> None:
    """The bar moves; Ctrl-C on the terminal gives status 130 and no traceback, and the bar is gone."""
    terminal, programs_end = pty.openpty()
    controlling = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    process = subprocess.Popen(
        prepared(controlling, "demo", "--commands", "4000"),
        stdin=programs_end, stdout=programs_end, stderr=programs_end,
        env=environment(TERM="xterm"), start_new_session=True,
    )  # fmt: skip
    os.close(programs_end)
    seen = b""
    with process, os.fdopen(terminal, "r+b", buffering=0) as screen:
        while not re.search(rb"[1-9]\d*/\d+", seen):
            seen += screen.read(4096)
        screen.write(b"\x03")
        try:
            while more := screen.read(4096):
                seen += more
        except OSError:  # how Linux reports that the last program has closed the terminal
            pass
    assert process.returncode == 130
    assert b"Traceback" not in seen
    *_, last_frame = re.finditer(rb"\d+/\d+", seen)
    assert b"\x1b[2K" in seen[last_frame.end() :]
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


# ---- measuring --------------------------------------------------------------------------------------------------------

ECHO = _measure.Command((shutil.which("echo") or "echo", "right"), b"right\n")


def measured(
    commands: list[_measure.Command],
    loop_factory: _measure.LoopFactory = asyncio.new_event_loop,
    seconds: float = 30,
) -> _measure.Round:
    return _measure.measure(loop_factory, commands, jobs=2, seconds=seconds)


def test_measure() -> None:
    """A round without faults counts its commands and nothing else."""
    found = measured([ECHO] * 5)
    assert (found.commands, found.cut, found.wrong, found.descriptors_left, found.children_left) == (5, False, (), 0, 0)


@pytest.mark.once
def test_measure_wrong_output() -> None:
    """A wrong output is counted, with what was written."""
    (wrong,) = measured([ECHO, ECHO._replace(expected=b"left\n")]).wrong
    assert repr(b"right\n") in wrong


@pytest.mark.once
def test_measure_time_limit() -> None:
    """After the time limit nothing is launched."""
    found = measured([ECHO] * 5, seconds=-1)
    assert (found.commands, found.cut) == (0, True)


@pytest.mark.once
def test_measure_descriptor_left() -> None:
    """A descriptor that was not closed is counted."""
    left = []

    def leaking() -> asyncio.AbstractEventLoop:
        left.append(os.open(os.devnull, os.O_RDONLY))
        return asyncio.new_event_loop()

    try:
        assert measured([ECHO], leaking).descriptors_left == 1
    finally:
        os.close(left[0])


@pytest.mark.once
def test_measure_child_left() -> None:
    """A child that was not reaped is counted."""
    left = []

    def leaking() -> asyncio.AbstractEventLoop:
        left.append(subprocess.Popen(["true"]))
        return asyncio.new_event_loop()

    try:
        assert measured([ECHO], leaking).children_left == 1
    finally:
        left[0].wait()


@pytest.mark.once
def test_measure_stall() -> None:
    """A loop that is held is seen."""

    def hold() -> None:
        time.sleep(0.05)

    class Held(asyncio.SelectorEventLoop):
        async def subprocess_exec(self, *args: Any, **keywords: Any) -> Any:
            hold()
            return await super().subprocess_exec(*args, **keywords)

    assert measured([ECHO], Held).worst_stall_s > 0.045
