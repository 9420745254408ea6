"""`aiospawn map` with several sources, columns and places, as a program: as GNU parallel, where it can be compared."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from command_line import assert_refused, assert_refused_in_process
from map_command import MAP, logged, output, run

pytestmark = pytest.mark.once


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with files of arguments."""
    (tmp_path / "n").write_text("1\n2\n3\n")
    (tmp_path / "l").write_text("x\ny\n")
    (tmp_path / "csv").write_text("a,b\nc,d,e\nf\n")
    (tmp_path / "nul").write_bytes(b"a b\0c\nd\0")
    return tmp_path


# ---- like GNU parallel ------------------------------------------------------------------------------------------------


RECORDED = [  # of `parallel -k -j1`, 20221122; a bar stands between lines
    ("echo {1} {2} ::: a b ::: c d", "a c|a d|b c|b d"),
    ("echo ::: a b ::: c d", "a c|a d|b c|b d"),
    ("echo ::: a b :::: n l", "a 1 x|a 1 y|a 2 x|a 2 y|a 3 x|a 3 y|b 1 x|b 1 y|b 2 x|b 2 y|b 3 x|b 3 y"),
    ("echo :::: n ::: a b", "1 a|1 b|2 a|2 b|3 a|3 b"),
    ("-a n echo ::: a b", "1 a|1 b|2 a|2 b|3 a|3 b"),
    ("-a n -a l echo", "1 x|1 y|2 x|2 y|3 x|3 y"),
    ("-a l echo {1}{2} ::: p q", "xp|xq|yp|yq"),
    ("-0 echo :::: nul ::: x", "a b x|c|d x"),
    ("echo ::: a b c :::+ 1 2", "a 1|b 2"),
    ("echo ::: a b :::+ 1 2 3", "a 1|b 2"),
    ("echo ::: a b :::+ 1 2 ::: x y", "a 1 x|a 1 y|b 2 x|b 2 y"),
    ("echo ::: x y ::: a b :::+ 1 2", "x a 1|x b 2|y a 1|y b 2"),
    ("echo ::: x y :::+ 3 4 :::+ 5 6", "x 3 5|y 4 6"),
    ("echo ::: x y ::::+ n l", "x 1 x|y 2 y"),
    ("echo ::: x y z ::::+ n ::: l", "x 1 l|y 2 l|z 3 l"),
    ("echo :::: l n ::::+ n l", "x 1 1 x|x 2 2 y|y 1 1 x|y 2 2 y"),
    ("echo {2} :::: n ::::+ l", "x|y"),
    ("--link echo ::: a b c ::: 1 2", "a 1|b 2|c 1"),
    ("--link echo ::: a b :::: n", "a 1|b 2|a 3"),
    ("--link echo ::: a b ::: 1 2 3 :::+ 7 8", "a 1 7|b 2 8|a 3 7"),
    ("--link -a n -a l echo {2} {1}", "x 1|y 2|x 3"),
    ("--link --colsep , echo  ::: a,b c,d e,f ::: 1 2", "a b 1|c d 2|e f 1"),
    ("echo {-1} {-2} ::: a ::: b", "b a"),
    ("echo {1.} {2/} {1//} {1/.} {-1/.} ::: a/b.c ::: d/e.f.g", "a/b e.f.g a b e.f"),
    ("echo {/} {2//} {-1/.} ::: /usr/lib/ld.so ::: a/b.c", "ld.so b.c a b"),
    ("echo pre{}post {.} {/} {//} {/.} ::: a/b.c ::: d/e.f.g", "prea/b.c d/e.f.gpost a/b d/e.f b.c e.f.g a d b e.f"),
    ("echo pre{1}post ::: a ::: b", "preapost"),
    ("""echo {1}{2}  {1/.}{} ::: 'a b' ::: "it's" """, "a bit's a ba b it's"),
    ("""echo ::: 'a b' "it's" :::+ '*' '$HOME'""", "a b *|it's $HOME"),
    ("-n2 echo pre{}post {1} {2} ::: a b c", "prea bpost a b|precpost c"),
    ("-n2 echo {.} ::: a.x b.y c", "a b|c"),
    ("-n2 echo {} ::: a b c ::: 1 2 3", "a 1 a 2|a 3 b 1|b 2 b 3|c 1 c 2|c 3"),
    ("-n2 --link echo ::: a b c ::: 1 2 3", "a 1 b 2|c 3"),
    ("-N2 echo {1}-{2} ::: a b c", "a-b|c-"),
    ("-N0 echo x ::: a b c", "x|x|x"),
    ("-n0 echo [{}] ::: a b", "[]|[]"),
    ("--colsep , echo {2} {1} {3}. :::: csv", "b a .|d c e.|f ."),
    ("--colsep , echo {} :::: csv", "a b|c d e|f"),
    ("--colsep , echo {1} {2} {3} {4} ::: a,b c,d ::: 1,2 3", "a b 1 2|a b 3|c d 1 2|c d 3"),
    ("--colsep ' +' echo {1}-{2} ::: 'a   b' ' c d '", "a-b|-c"),
    ("--colsep '(,)' echo {1}-{2}-{3} ::: 'a,b'", "a-,-b"),
    ("--colsep ',|(;)' echo ::: 'a,b;c'", "a  b ; c"),
    ("--colsep , echo {1}-{2}-{3} ::: ',b,'", "-b-"),
    ("--colsep , echo {-1} ::: 'a,,'  ',,b' a,b,c", "|b|c"),
    ("--colsep , echo '[{1}]' '[{2}]' '[{3}]' ::: ' a , b ,c d '", "[a] [b] [c d]"),
    ("--colsep , echo '[{}]' ::: '' ','", "[]|[ ]"),
    ("--colsep '\\t' echo {1}-{2} ::: 'a\tb'", "a-b"),
    ("--colsep , -n 2 echo {1}-{2}-{3}-{4} ::: a,b c,d e,f", "a-b-c-d|e-f--"),
    ("--colsep , -n 2 echo {1} {2} {3} {4} ::: a,b c d,e", "a b c|d e"),
    ("--tag echo ::: 'a b' ::: c", "a b c\ta b c"),
    ("--tag -n2 echo ::: 'a b' d ::: c", "a b c d c\ta b c d c"),
    ("--tag --colsep , echo {-1} :::: csv", "a b\tb|c d e\te|f\tf"),
    ("--tag -n0 echo x ::: a b", "\tx|\tx"),
    ("echo {%} {#} ::: a b c", "1 1|1 2|1 3"),
    ("--dry-run echo {%} {#} ::: a b", "echo 1 1|echo 1 2"),
    ("--dry-run echo {1} {2} {} ::: 'a b' ::: c 'd$'", "echo 'a b' c 'a b' c|echo 'a b' 'd$' 'a b' 'd$'"),
    ("--dry-run touch {} :::: l ::: 'a b'", "touch x 'a b'|touch y 'a b'"),
    ("::: 'echo a' 'echo  z' ::: 'b c' d", "a b c|a d|z b c|z d"),
    ("-n2 ::: 'echo a' 'echo  z' 'echo b'", "a echo z|b"),
    ("--colsep , ::: 'echo a,b c,d'", "a b c d"),
]


@pytest.mark.parametrize(("line", "printed"), RECORDED)
def test_like_parallel(line: str, printed: str, place: Path) -> None:
    """The same command line prints the same."""
    assert output("-k", "-j1", *shlex.split(line), cwd=place) == printed.replace("|", "\n") + "\n"


def test_words() -> None:
    """Without a shell an argument is a word, whatever is in it; with one, it is quoted to be one."""
    printed = "printf [%s]"
    for command in (printed.split(), ["--shell", printed]):
        assert output("-k", *command, ":::", "a b", ":::", "*", "it's") == "[a b][*][a b][it's]"
        assert output("-k", "-n2", *command, "{2}", "{}", ":::", "a b", "c", "d") == "[c][a b][c][d]"
    assert output("-k", "-n2", *printed.split(), "x{}y", ":::", "a b", "c", "d") == "[xa b cy][xdy]"
    assert output("-k", "-n2", "--shell", f"{printed} x{{}}y", ":::", "a b", "c", "d") == "[xa b][cy][xdy]"


def test_nothing_to_combine(place: Path) -> None:
    """Where a source is empty there is no job. GNU parallel takes it for an empty argument: `rm -r {1}/{2}` shall not."""
    (place / "none").touch()
    for line in (
        "echo :::: none n",
        "echo :::: n none",
        "echo ::: a b :::",
        "echo ::: a :::+",
        "--link echo ::: a ::::+ none",
    ):
        assert output(*line.split(), cwd=place) == ""


# ---- as arguments come ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("echo :::: - ::: a b", [b"one a\n", b"one b\n"]), ("echo ::: a ::: b :::: -", [b"a b one\n"]),
        ("echo ::: a b ::::+ -", [b"a one\n"]), ("-n 2 echo ::: a :::: - ::: x y", [b"a one x a one y\n"]),
        ("--colsep : echo {2}{1} :::: -", [b"one\n"]), ("--link echo :::: - ::: a b c", [b"one a\n"]),
    ],
)  # fmt: skip
def test_slow_source(words: str, lines: list[bytes]) -> None:
    """Jobs are started as soon as their arguments are there."""
    with subprocess.Popen([*MAP, "-j1", *words.split()], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        for line in lines:
            assert process.stdout.readline() == line
        process.stdin.close()
        process.stdout.read()
        assert process.wait() == 0


def test_long_source() -> None:
    """Of the first source nothing is kept: 30 MB of arguments pass through."""

    def peak(process: subprocess.Popen[bytes]) -> int:
        found = re.search(r"VmHWM:\s*([0-9]+) kB", Path(f"/proc/{process.pid}/status").read_text())
        assert found is not None
        return int(found[1])

    command = [*MAP, "--dry-run", "-a", "-", "true", "{1}{2}", ":::", "a", "b"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        lines = [b"%03000d\n" % number for number in range(10_000)]
        process.stdin.writelines(lines[:100])  # more than the pipe holds: it has begun when this is written
        process.stdin.flush()
        before = peak(process)
        process.stdin.writelines(lines[100:])
        process.stdin.flush()
        assert peak(process) - before < 10_000
        process.stdin.close()
        assert process.wait() == 0


# ---- slots ------------------------------------------------------------------------------------------------------------


def _together(directory: Path, number: str, count: int) -> str:
    """Shell script: so many jobs wait for one another, so that all of them run at a time; the others do not wait."""
    all_here = " && ".join(f"[ -e {directory}/here-{each} ]" for each in range(count))
    return f"touch {directory}/here-{number}; until {all_here}; do sleep 0.01; done"


@pytest.mark.parametrize("options", [[], ["-k"], ["-k", "--retries", "2"], ["-u"]])
def test_slots(options: list[str], tmp_path: Path) -> None:
    """No two jobs that run have the same one, and there are as many as jobs may run."""
    script = f'mkdir "$0" && {{ {_together(tmp_path, "$1", 3)}; }} && sleep 0.0$(($1 % 5)) && rmdir "$0" && echo "$0"'
    places = output(*options, "-j3", "sh", "-c", script, f"{tmp_path}/{{%}}", "{}", ":::", *map(str, range(30))).split()
    assert len(places) == 30
    assert set(places) == {f"{tmp_path}/{slot}" for slot in (1, 2, 3)}


def test_slot_of_a_job_that_was_logged(tmp_path: Path) -> None:
    """The job log is gone on with, whatever the slots were."""
    log = tmp_path / "log"
    job = f"{_together(tmp_path, '{}', 2)}; echo {{%}} {{}}"
    options = ("-k", "-j2", "--joblog", str(log), "--resume", "--shell", job, ":::", "0", "1", "2")
    first = output(*options).splitlines()
    assert [line.split()[1] for line in first] == ["0", "1", "2"]
    assert {command.split()[-2] for *_, command in logged(log)} == {"1", "2"}
    assert output("-j1", *options[2:], "3") == "1 3\n"


# ---- what is written --------------------------------------------------------------------------------------------------


def written(directory: Path) -> set[str]:
    return {str(path.parent.relative_to(directory)) for path in directory.rglob("stdout")}


def test_results(place: Path) -> None:
    """A directory for each argument in that of the one before, as GNU parallel's."""
    results = place / "results"
    output("--results", "results", "echo", ":::", "a b", ":::", "c/d", "..", cwd=place)
    assert written(results) == {"1/a b/2/c\\_d", "1/a b/2/\\.."}
    assert (results / "1" / "a b" / "2" / "c\\_d" / "stdout").read_text() == "a b c/d\n"
    assert (results / "1" / "a b" / "2" / "\\.." / "seq").read_text() == "2"
    output("--results", "columns", "--colsep", ",", "echo", "{1}", "::::", "csv", cwd=place)
    assert written(place / "columns") == {"1/a/2/b", "1/c/2/d/3/e", "1/f"}
    deep = run("--results", "deep", "--colsep", ",", "echo", "{1}", ":::", 100 * ",", 99 * ",", cwd=place)
    assert (deep.returncode, deep.stderr) == (
        1, "aiospawn map: [Errno 36] --results: job 1 has 101 arguments, a directory for each\n",
    )  # fmt: skip
    output("--results", "pairs", "-n2", "echo", ":::", "a", "b", "c", cwd=place)
    assert written(place / "pairs") == {"1/a/2/b", "1/c"}


def test_resumed(place: Path) -> None:
    """Combinations that the log has are not run."""
    options = ("-k", "-j1", "--joblog", "log")
    command = ("sh", "-c", 'echo "$0$1"; [ "$0$1" != 2x ]', "::::", "n", ":::", "x", "y")
    assert run(*options, "--halt", "now,fail=1", *command, cwd=place).stdout == "1x\n1y\n2x\n"
    assert run(*options, "--resume", *command, cwd=place).stdout == "2y\n3x\n3y\n"
    assert_refused(run(*options, "--resume", *command, "z", cwd=place), "job 3 was", "now is")
    assert run(*options, "--resume-failed", *command, cwd=place).stdout == "2x\n"
    assert [command.split()[-2:] for *_, command in logged(place / "log")[:3]] == [["1", "x"], ["1", "y"], ["2", "x"]]


def test_counted(place: Path) -> None:
    """A percentage is of all combinations."""
    command = ("sh", "-c", 'exit "$0"', "{2}", "::::", "n", ":::", "0", "1")
    assert run("-j1", "--halt", "now,fail=50%", *command, cwd=place).returncode == 50


# ---- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("touch {} {3} ::: ran ::: b", "{3}: a job has 2 arguments"), ("touch {} {2} ::: ran", "{2}: a job has 1 argument"),
        ("touch {-3.} ::: ran :::+ b", "{-3.}: a job has 2 arguments"),
        ("-n 2 touch {} {3} ::: ran", "{3}: a job has 2 arguments"),
        ("-n 0 touch ran{1} ::: a", "{1}: a job has no arguments"),
        ("touch ::: ran :::: nowhere", ":::: nowhere: No such file or directory"),
        ("touch ::: ran ::::+ n nowhere", "::::+ nowhere: No such file or directory"),
        ("-a n -a nowhere touch ::: ran", "-a nowhere: No such file or directory"),
        ("touch ::: ran :::: .", ":::: .: Is a directory"), ("touch ran ::::", ":::: needs the name of a file"),
        ("touch ran ::: a ::::+", "::::+ needs the name of a file"), ("touch ran :::+ a", ":::+ links to"),
        ("touch ran :::: - -", "- is named twice"), ("-a - touch ran ::::+ n", "::::+ links to"),
        ("-a - touch ran :::: -", "- is named twice"),
        ("--colsep '(' touch ran ::: a", "--colsep: must be a regular expression, not '(': missing )"),
        ("--colsep ,* touch ran ::: a", "--colsep: must be a regular expression that does not match an empty text"),
        ("--colsep '' touch ran ::: a", "--colsep: must be a regular expression that does not match an empty text, not ''"),
        ("-n x touch ran ::: a", "-n/--max-args: must be a whole number"),
        ("-n 0 --results out touch ran ::: a", "-n 0 and --results"),
        ("-n 51 --results out touch ran ::: a :::+ b", "--results: a directory for each argument"),
        ("-n 0 ::: touch", "-n 0 without a command"),
        ("-a n --joblog nowhere/log touch ran", "nowhere/log"), ("touch ran" + 101 * " ::: a", "101 sources"),
    ],
)  # fmt: skip
def test_refused(
    line: str, told: str, place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what is wrong, with the usage, and nothing runs."""
    monkeypatch.chdir(place)
    before = sorted(os.listdir(place))
    assert_refused_in_process(["map", *shlex.split(line)], capfd, told)
    assert sorted(os.listdir(place)) == before
