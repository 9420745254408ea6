"""`aiospawn map`, as a program: arguments, output, job log, exit status, interruptions."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from command_line import NO_RICH, assert_refused, assert_refused_in_process, prepared
from map_command import MAP, logged, output, run

from aiospawn.cli import _pace
from aiospawn.cli._joblog import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.once

# `exit N` where the argument is N; with --shell it may be written as it is in a shell.
EXIT = ("sh", "-c", 'exit "$0"')


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


# ---- arguments --------------------------------------------------------------------------------------------------------


def test_arguments() -> None:
    """From the command line, standard input and a file."""
    assert output("-k", "echo", "[{}]", ":::", "a b", "", "c") == "[a b]\n[]\n[c]\n"
    assert output("-k", "echo", "[{}]", input="a b\n\nc") == "[a b]\n[]\n[c]\n"
    assert output("echo", ":::") == output("echo", input="") == ""
    assert output("-k", "--", "echo", "--", "{#}", ":::", "x", "y") == "-- 1\n-- 2\n"


def test_file(tmp_path: Path) -> None:
    """A file's lines, or what ends with NUL in it; `-` is standard input."""
    path = tmp_path / "arguments"
    path.write_bytes(b"a\nb\r\n\xff")
    result = subprocess.run([*MAP, "-k", "-a", path, "printf", "[%s]"], capture_output=True, check=True)
    assert result.stdout == b"[a][b\r][\xff]"
    path.write_bytes(b"a\0b\n\0c")
    assert output("-0", "-k", "-a", str(path), "printf", "[%s]") == "[a][b\n][c]"
    assert output("-a", "-", "echo", input="x\n") == "x\n"


def test_commands() -> None:
    """Without a command, each line is one."""
    assert output("-k", input="echo one\necho 'two  words'\n") == "one\ntwo  words\n"
    assert output("-k", "--shell", input="echo one | tr a-z A-Z\n") == "ONE\n"
    result = run("-k", "-j1", input="echo one\necho 'two\necho three\n")
    assert_refused(result, "usage: ", "No closing quotation", "echo 'two")
    assert result.stdout == "one\n"  # what was begun has ended


def test_slow_source() -> None:
    """Jobs are started as arguments come."""
    with subprocess.Popen([*MAP, "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line
        process.stdin.close()
        assert process.wait() == 0


def test_shell() -> None:
    """With `--shell` the command is a shell's, and arguments are quoted for it; without, one word is a program."""
    assert output("--shell", "echo {} | tr a-z A-Z", ":::", "it's; a  b") == "IT'S; A  B\n"
    assert output("echo", "$HOME", ";", "{}", ":::", "*") == "$HOME ; *\n"


def test_options_of_the_child(tmp_path: Path) -> None:
    """Jobs are set up as `aiospawn run` does."""
    assert (
        output("--cwd", str(tmp_path), "--setenv", "A=b", "--shell", "pwd; echo $A {}", ":::", "x") == f"{tmp_path}\nb x\n"
    )


def test_dry_run(tmp_path: Path) -> None:
    """The commands are printed as one would type them, and nothing is done."""
    log = tmp_path / "log"
    arguments = ("--dry-run", "--joblog", str(log), "--results", str(tmp_path / "out"), "touch", f"{tmp_path}/{{}}")
    assert output(*arguments, ":::", "a b", "c") == f"touch '{tmp_path}/a b'\ntouch {tmp_path}/c\n"
    assert list(tmp_path.iterdir()) == []


# ---- output -----------------------------------------------------------------------------------------------------------


def test_never_interleaved() -> None:
    """Each job's output is together, however slowly it was written."""
    script = 'for i in 1 2 3; do echo "$0 $i"; sleep 0.0$(($0 % 4)); done'
    lines = output("-j8", "sh", "-c", script, ":::", *map(str, range(40))).splitlines()
    assert [line.split()[1] for line in lines] == ["1", "2", "3"] * 40
    assert all(len({line.split()[0] for line in lines[start : start + 3]}) == 1 for start in range(0, 120, 3))


@contextlib.contextmanager
def held(tmp_path: Path, *options: str, arguments: tuple[str, ...], script: str = "") -> Iterator[subprocess.Popen[str]]:
    """Each job says its number; the first one waits until the second's has been printed."""
    wait = f'[ "$0" != 0 ] || until [ -e {tmp_path}/go ]; do sleep 0.01; done'
    command = [*MAP, *options, "sh", "-c", f'{wait}; echo "$0"; {script}', ":::", *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "1\n"
        finally:
            (tmp_path / "go").touch()
        yield process


def test_keep_order(tmp_path: Path) -> None:
    """With -k in the order of the arguments; without, as jobs end."""
    assert output("-k", "-j4", "--shell", "sleep 0.{}; echo {}", ":::", "3", "2", "1", "0") == "3\n2\n1\n0\n"
    with held(tmp_path, "-j2", arguments=("0", "1")) as process:
        assert process.communicate() == ("0\n", None)
        assert process.returncode == 0


def test_tag() -> None:
    """Each line begins with the argument, as GNU parallel writes it."""
    result = run("-k", "--tag", "sh", "-c", r"printf 'x\ny\n'; printf 'no end' >&2", ":::", "a b", "c")
    assert result.stdout == "a b\tx\na b\ty\nc\tx\nc\ty\n"
    assert result.stderr == "a b\tno endc\tno end"


def test_tagstring() -> None:
    """A text of one's own, in which replacement strings are replaced."""
    assert (
        output("-k", "--tagstring", "{#}/{%} {/.}:", "echo", ":::", "/a/b.c", "/d e") == "1/1 b:\t/a/b.c\n2/2 d e:\t/d e\n"
    )
    assert output("-j1", "-k", "--tagstring", "plain", "echo", ":::", "a", "b") == "plain\ta\nplain\tb\n"


def test_line_buffer(tmp_path: Path) -> None:
    """A line of each job while both run, whole, though it was written in parts; the last line without an end as it is."""
    script = "printf a$0; printf 'b\\n'; while [ ! -e $1/go ]; do sleep 0.02; done; printf end"
    command = [
        *MAP,
        "-j2",
        "--line-buffer",
        "--tag",
        "--joblog",
        str(tmp_path / "log"),
        "sh",
        "-c",
        script,
        "{}",
        str(tmp_path),
    ]
    with subprocess.Popen([*command, ":::", "1", "2"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert sorted([process.stdout.readline(), process.stdout.readline()]) == ["1\ta1b\n", "2\ta2b\n"]
        finally:
            (tmp_path / "go").touch()
        assert process.communicate()[0] in ("1\tend2\tend", "2\tend1\tend")
    assert [line.split("\t")[5] for line in (tmp_path / "log").read_text().splitlines()[1:]] == ["7", "7"]


def test_line_buffer_in_order(tmp_path: Path) -> None:
    """With -k the first job's as it writes them, the second's behind them though it was faster; `--results` has all."""
    script = "echo $0; [ $0 = 2 ] || while [ ! -e $1/go ]; do sleep 0.02; done; echo end $0"
    command = [*MAP, "-j2", "-k", "--lb", "--results", str(tmp_path / "all"), "sh", "-c", script, "{}", str(tmp_path)]
    with subprocess.Popen([*command, ":::", "1", "2"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "1\n"
        finally:
            (tmp_path / "go").touch()
        assert process.communicate()[0] == "end 1\n2\nend 2\n"
    assert (tmp_path / "all" / "1" / "2" / "stdout").read_text() == "2\nend 2\n"


def test_big_output() -> None:
    """Far more than a pipe holds."""
    script = "head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2"
    result = subprocess.run([*MAP, "sh", "-c", script, ":::", "1"], capture_output=True, check=True)
    assert (len(result.stdout), len(result.stderr)) == (3_000_000, 1_000_000)


def test_ungrouped() -> None:
    """With -u jobs write themselves, before they have ended."""
    command = [*MAP, "-u", "sh", "-c", "echo $0; exec sleep 1000", ":::", "x"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"x\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 143


def test_results(tmp_path: Path) -> None:
    """The files are where GNU parallel puts them."""
    output("-k", "--results", str(tmp_path), "sh", "-c", 'echo "$0"', ":::", "a b", "c/d", "x\ty", "z\\w", "..")
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    jobs = ("a b", "c\\_d", "x\\ty", "z\\\\w", "\\..")
    assert names == {f"1/{job}/{name}" for job in jobs for name in ("stdout", "stderr", "seq")}
    assert (tmp_path / "1" / "c\\_d" / "stdout").read_text() == "c/d\n"
    assert (tmp_path / "1" / "c\\_d" / "seq").read_text() == "2"


def test_reader_gone() -> None:
    """A reader that has gone ends the map, without a traceback, and its jobs."""
    reader, writer = os.pipe()
    os.close(reader)
    script = 'if [ "$0" = 1 ]; then echo x; else exec sleep 1000; fi'
    try:
        result = subprocess.run(
            [*MAP, "-j2", "sh", "-c", script, ":::", "1", "2"], stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


def test_bar() -> None:
    """The bar is for a terminal; elsewhere nothing is drawn. It needs rich."""
    for options in (("--bar",), ("--eta",), ("--progress", "--total-jobs", "2")):
        said = run(*options, "-k", "echo", input="a\nb\n")
        assert (said.returncode, said.stdout) == (0, "a\nb\n")
        assert re.fullmatch(r"aiospawn map: 2 done, 0 failed, \d+\.\d s, [\d.e+]+ jobs/s\n", said.stderr)
    result = subprocess.run(
        prepared(NO_RICH, "map", "--bar", "touch", ":::", "/nonexistent/x"), capture_output=True, text=True, check=False
    )
    assert_refused(result, "rich", "aiospawn[cli]")
    assert "touch" not in result.stderr


def test_bar_on_a_terminal() -> None:
    """It is there while the first job runs, output goes above it, and a line stays."""
    terminal, stderr = pty.openpty()
    command = [*MAP, "--bar", "-j1", "--shell", "cat; echo said {}; exit {}", "--open-tty", ":::", "0", "1"]
    command.insert(len(MAP), "-o")
    command.remove("--open-tty")
    with subprocess.Popen(["setsid", "--ctty", *command], stdin=stderr, stdout=stderr, stderr=stderr) as process:
        os.close(stderr)
        drawn = b""
        for text in (b"1 running, 0 failed", b"said 0\r\n", b"1 running, 0 failed", b"said 1\r\n"):
            drawn = drawn.partition(text)[2]
            if text.startswith(b"said"):
                os.write(terminal, b"\x04")
            while text not in drawn:
                drawn += os.read(terminal, 10_000)
        with contextlib.suppress(OSError):  # EIO: nobody has it any more
            while chunk := os.read(terminal, 10_000):
                drawn += chunk
        assert process.wait() == 1
    os.close(terminal)
    assert b"2/2" in drawn
    assert re.search(rb"\raiospawn map: 2 done, 1 failed, \d+\.\d s, |\x1b\[2Kaiospawn map: 2 done, 1 failed, ", drawn)


def test_without_rich() -> None:
    """Nothing else does."""
    command = prepared(NO_RICH, "map", "echo", ":::", "a")
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "a\n"


# ---- exit status ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "arguments", "status"),
    [
        ([], "0 0", 0), ([], "0 3 5", 2), ([], "1 " * 100, 100), ([], "1 " * 102, 101), ([], "1 " * 150, 101),
        (["--halt", "now,fail=1"], "0 3 5", 3), (["--halt", "2"], "0 3 5", 3), (["--halt", "soon,fail=2"], "0 3 5 7", 2),
        (["--halt", "now,success=1"], "3 0 5", 0), (["--halt", "now,success=1"], "3 5", 2),
        (["--halt", "now,done=2"], "3 0 5", 1), (["--halt", "now,done=1"], "4 0", 4),
        (["--halt", "now,fail=50%"], "0 3 5 0 0 7", 50), (["--halt", "now,fail=90%"], "0 3 5 0 0 7", 50),
        (["--halt", "never"], "3 5", 2),
    ],
)  # fmt: skip
def test_status(options: list[str], arguments: str, status: int) -> None:
    """GNU parallel's: how many jobs failed, at most 101; what `--halt` says."""
    result = run("-j1", *options, *EXIT, ":::", *arguments.split())
    told = re.sub(r"aiospawn map: --halt \w+,fail=\d+%?: job \d, sh -c .*: exit status \d\n", "", result.stderr)
    assert (result.returncode, told) == (status, "")


def test_halt_names_the_job() -> None:
    """And the end of its standard error, without control characters; also of lines that were written before."""
    script = r"printf 'one\n\033[2Jtwo\n' >&2; exit $0"
    expected = "\naiospawn map: --halt now,fail=1: job 2, sh -c"
    for option in ("-k", "--line-buffer"):
        result = run(option, "-j1", "--halt", "now,fail=1", "sh", "-c", script, ":::", "0", "3", "0")
        assert expected in result.stderr
        assert result.stderr.endswith(": exit status 3\nIts standard error ended with:\n  one\n  \\x1b[2Jtwo\n")


def test_halted_by_a_signal() -> None:
    """The failing job's own status is a shell's."""
    assert run("--halt", "now,fail=1", "sh", "-c", "kill -TERM $$", ":::", "x").returncode == 143
    assert run("--halt", "now,fail=1", "/nonexistent", ":::", "x").returncode == 127
    assert run("--halt", "now,fail=1", "--timeout", "0.2", "sleep", ":::", "1000").returncode == 124


def test_halt_stops_what_runs(tmp_path: Path) -> None:
    """`now` does; `soon` waits for it, and starts nothing."""
    script = 'if [ "$0" = 0 ]; then exec sleep 1000; else exit "$0"; fi'
    assert run("-j2", "--halt", "now,fail=1", "sh", "-c", script, ":::", "0", "3").returncode == 3
    options = ("-j2", "--halt", "soon,fail=1")
    with held(tmp_path, *options, arguments=("0", "1", "2"), script='[ "$0" = 0 ]') as process:
        assert process.communicate() == ("0\n", None)
        assert process.returncode == 1


def test_jobs_that_cannot_be_run() -> None:
    """They fail, and a message names them."""
    result = run("-k", "/nonexistent", ":::", "a", "b c")
    assert result.returncode == 2
    assert [line.partition(": cannot be run: ")[0] for line in result.stderr.splitlines()] == [
        "aiospawn map: job 1, /nonexistent a", "aiospawn map: job 2, /nonexistent 'b c'",
    ]  # fmt: skip
    assert run("-0", "echo", input="a\0").stdout == "a\n"
    nul = run("echo", input="a\0b\n")
    assert nul.returncode == 1
    assert "null byte" in nul.stderr


def test_timeout(tmp_path: Path) -> None:
    """A job that takes too long has failed, its output is printed, and its line in the log is GNU parallel's."""
    log, begun = tmp_path / "log", tmp_path / "begun"
    for seconds in (0.3, 1, 3, 9, 27):
        job = f"echo begun; touch {begun}; exec sleep {{}}"
        result = run("--timeout", f"{seconds}s", "--joblog", str(log), "--shell", job, ":::", "1000")
        assert result.returncode == 1
        assert f"stopped after {seconds} s" in result.stderr
        assert log.read_text().splitlines()[1].split("\t")[6:8] == ["-1", "15"]
        if begun.exists():  # else the shell did not come to it in that time
            break
    assert result.stdout == "begun\n"


def test_retries(tmp_path: Path) -> None:
    """Up to so many times in all."""
    script = 'echo x >> "$1"; [ $(wc -l < "$1") -ge "$0" ]'
    assert run("--retries", "3", "sh", "-c", script, "3", ":::", str(tmp_path / "good")).returncode == 0
    assert run("--retries", "3", "sh", "-c", script, "4", ":::", str(tmp_path / "bad")).returncode == 1
    assert (tmp_path / "good").read_text() == (tmp_path / "bad").read_text() == "x\n" * 3


def test_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moments for a start are so far apart, and no job is started before its own; a busy machine starts it later."""
    log, moments = tmp_path / "log", tmp_path / "moments"
    keep = _pace.Pace.keep

    async def noted(pace: _pace.Pace, last_start: float | None) -> float:
        moment = await keep(pace, last_start)
        with moments.open("a") as file:
            print(moment, moment + time.time() - time.monotonic(), file=file)
        return moment

    monkeypatch.setattr(_pace.Pace, "keep", noted)
    output("-j4", "--delay", "0.2", "--joblog", str(log), "true", ":::", "1", "2", "3")
    noted_at = [[*map(float, line.split())] for line in moments.read_text().splitlines()[:3]]
    assert all(later - earlier > 0.199 for (earlier, _), (later, _) in itertools.pairwise(noted_at))
    started = sorted(float(line.split("\t")[2]) for line in log.read_text().splitlines()[1:])
    assert all(start > moment - 0.002 for (_, moment), start in zip(noted_at, started, strict=True))


def test_load() -> None:
    """A load that is never reached holds nothing up."""
    assert output("--load", "100000", "-k", "echo", ":::", "a", "b") == "a\nb\n"


def test_few_descriptors() -> None:
    """More jobs than the descriptors suffice for are run a few at a time."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))

    result = subprocess.run(
        [*MAP, "-j50", "sh", "-c", "sleep 0.1; echo $0", ":::", *map(str, range(60))],
        preexec_fn=limit, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(map(int, result.stdout.split())) == list(range(60))


# ---- the job log ------------------------------------------------------------------------------------------------------


def test_resume(tmp_path: Path) -> None:
    """Jobs that the log has are not run; with --resume-failed those that failed are."""
    log = tmp_path / "log"
    options = ("-k", "-j1", "--joblog", str(log))
    command = ("sh", "-c", 'echo $0; [ "$0" != 2 ]')
    assert run(*options, *command, ":::", "1", "2").stdout == "1\n2\n"
    assert run(*options, "--resume", *command, ":::", "1", "2", "3").stdout == "3\n"
    assert run(*options, "--resume-failed", *command, ":::", "1", "2", "3", "4").stdout == "2\n4\n"
    assert [(seq, value) for seq, value, _, _ in logged(log)] == [("1", "0"), ("2", "1"), ("3", "0"), ("2", "1"), ("4", "0")]
    assert logged(log)[0][3] == """sh -c 'echo $0; [ "$0" != 2 ]' 1"""
    assert output("--dry-run", "--joblog", str(log), "--resume", "-k", *command, ":::", "1", "2", "3", "4", "5").endswith(
        " 5\n"
    )


def test_log_of_another_map(tmp_path: Path) -> None:
    """It is refused: its jobs are others."""
    log = tmp_path / "log"
    output("--joblog", str(log), "echo", ":::", "a", "b")
    before = log.read_bytes()
    result = run("--joblog", str(log), "--resume", "echo", ":::", "a", "c")
    assert_refused(result, "another map", "'echo b'", "'echo c'")
    assert result.stdout == ""
    assert log.read_bytes() == before


def test_damaged_log(tmp_path: Path) -> None:
    """It is refused before anything runs, and left as it is."""
    log = tmp_path / "log"
    log.write_bytes(HEADER + b"nonsense\n")
    assert_refused(
        run("--joblog", str(log), "--resume", "touch", ":::", str(tmp_path / "x")), "usage: ", "line 2", "nonsense"
    )
    assert log.read_bytes() == HEADER + b"nonsense\n"
    assert not (tmp_path / "x").exists()


def test_killed_and_resumed(tmp_path: Path) -> None:
    """A map that is killed, again and again, and resumed: each job is once in the log, none is lost."""
    log = tmp_path / "log"
    count = 400
    # The jobs from LAST on wait while HELD is there: however late the kill comes, the map has not ended before.
    script = 'echo $0; [ $0 -lt $LAST ] || while [ -e "$HELD" ]; do sleep 0.01; done'
    command = [*MAP, "-j8", "--joblog", str(log), "--resume", "sh", "-c", script, ":::", *map(str, range(count))]
    told: collections.Counter[str] = collections.Counter()
    for kill_at in (20, 90, 150, 151, 300, None):
        held = tmp_path / f"held {kill_at}"
        environment = {**os.environ, "LAST": str(count if kill_at is None else kill_at + 60), "HELD": str(held)}
        held.touch()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            if kill_at is not None:
                until(lambda at=kill_at: log.exists() and log.read_bytes().count(b"\n") > at)
                process.kill()
            held.unlink()
            told.update(process.communicate()[0].split())
            assert process.returncode == (0 if kill_at is None else -signal.SIGKILL)
    assert sorted(int(seq) for seq, *_ in logged(log)) == list(range(1, count + 1))
    assert set(told) == set(map(str, range(count)))  # a job whose output was lost is not in the log


# ---- interruptions ----------------------------------------------------------------------------------------------------


def interrupted(tmp_path: Path, *script: str) -> subprocess.Popen[str]:
    """Two of a hundred jobs run."""
    command = [*MAP, "-j2", "--joblog", str(tmp_path / "log"), "--grace", "0.3", "sh", "-c", *script]
    process = subprocess.Popen(
        [*command, ":::", *(str(tmp_path / f"{number:02}") for number in range(100))],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: len(list(tmp_path.glob("[0-9]*"))) == 2)
    return process


def test_interrupted_once(tmp_path: Path) -> None:
    """No more jobs are started, and those that run end."""
    with interrupted(tmp_path, 'touch "$0"; while [ ! -e "${0%/*}/go" ]; do sleep 0.01; done; echo done') as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "2 may finish" in process.stderr.readline() + process.stderr.readline()
        (tmp_path / "go").touch()
        assert process.communicate() == ("done\n" * 2, "")
        assert process.returncode == 130
    assert [(seq, value) for seq, value, *_ in sorted(logged(tmp_path / "log"))] == [("1", "0"), ("2", "0")]


@pytest.mark.parametrize(
    ("signals", "status"),
    [([signal.SIGINT, signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGTERM], 130)],
)
def test_interrupted_for_good(signals: list[signal.Signals], status: int, tmp_path: Path) -> None:
    """What runs is stopped, if it has to be by SIGKILL, and is not in the log: it will be run again."""
    script = 'trap \'\' TERM; echo $$ > "${0%/*}/pid"; touch "$0"; while [ ! -e "${0%/*}/never" ]; do sleep 0.05; done'
    with interrupted(tmp_path, script) as process:
        process.send_signal(signals[0])
        if len(signals) > 1:
            assert process.stderr is not None
            process.stderr.readline()
            process.send_signal(signals[1])
        process.communicate()
        assert process.returncode == status
    assert logged(tmp_path / "log") == []
    assert len(list(tmp_path.glob("[0-9]*"))) == 2
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_hangup(tmp_path: Path) -> None:
    """SIGHUP lets the jobs that run finish, unless it is ignored."""
    with interrupted(tmp_path, 'touch "$0"; while [ ! -e "${0%/*}/go" ]; do sleep 0.01; done') as process:
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        process.stderr.readline()
        (tmp_path / "go").touch()
        process.communicate()
        assert process.returncode == 129
    nohup = [
        sys.executable,
        "-c",
        "import os, signal, sys; signal.signal(1, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])",
    ]
    with subprocess.Popen(
        [*nohup, *MAP, "sh", "-c", "kill -HUP $PPID; echo $0", ":::", "1", "2"], stdout=subprocess.PIPE
    ) as process:
        assert sorted(process.communicate()[0].split()) == [b"1", b"2"]
        assert process.returncode == 0


# ---- bad options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("-j 0", "0"), ("-j x", "x"), ("-j -", "-"), ("-j 0%", "0%"), ("-j +5%", "+5%"), ("--timeout -1", "--timeout"),
        ("--retries 0", "--retries"), ("--retries x", "--retries"), ("--backoff x", "--backoff"), ("--delay x", "--delay"),
        ("--load 0", "--load"), ("--halt sometimes", "sometimes"), ("--halt now,fail=0", "now,fail=0"),
        ("--resume", "--joblog"), ("--resume-failed", "--joblog"), ("--joblog /nonexistent/log", "/nonexistent/log"),
        ("--joblog /", "--joblog"), ("--results /dev/null/x", "--results"), ("-a /nonexistent", "-a"),
        ("-u --tag", "--tag"), ("-u --line-buffer", "--line-buffer"), ("--tag --tagstring x", "--tagstring"),
        ("--tagstring {3}", "{3}"), ("-u -k", "--keep-order"), ("-u --results x", "--results"), ("--nonsense", "--nonsense"),
        ("--nice 99", "99"), ("--user nobody-at-all", "nobody-at-all"), ("--rlimit x", "--rlimit"), ("--retr 3", "--retr"),
    ],
)  # fmt: skip
def test_bad_options(options: str, word: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are refused with the usage, before anything runs."""
    assert_refused_in_process(["map", *options.split(), "touch", ":::", str(tmp_path / "ran")], capfd, word)
    assert list(tmp_path.iterdir()) == []


def test_bad_sources(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, a directory; a shell's command without a shell."""
    for file in (str(tmp_path / "nonexistent"), str(tmp_path)):
        assert_refused_in_process(["map", "-a", file, "echo"], capfd, f"-a {file}: ")
    assert_refused_in_process(["map", "echo {} | wc", ":::", "a"], capfd, "--shell", "echo {} | wc")
