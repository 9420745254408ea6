"""What GNU parallel's words do in `aiospawn map`, also where GNU parallel is not there to be compared with."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from command_line import assert_refused_in_process
from map_command import MAP, logged, output, run

from aiospawn.cli import _values

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = "".join(f"{number}\n" for number in range(1, 11))
CAT = ("sh", "-c", "cat; echo =")


def test_many_arguments_for_one_command() -> None:
    """They are spread over the jobs at the end, and words are repeated or not."""
    assert (
        output("-k", "-j2", "-X", "echo", "pre{}post", ":::", *"abcde") == "preapost prebpost precpost\npredpost preepost\n"
    )
    assert output("-k", "-j2", "-m", "echo", "pre{}post", ":::", *"abcde") == "prea b cpost\npred epost\n"
    assert output("-k", "-j2", "--xargs", "echo", "pre{}post", ":::", *"abcde") == "prea b c d epost\n"
    assert output("-k", "-j1", "-X", "-s", "16", "echo", "a{}", "{}b", ":::", *"12") == "a1 1b\na2 2b\n"
    assert_refused = run("-j1", "-X", "-s", "9", "echo", ":::", "aaaa")
    assert (assert_refused.returncode, assert_refused.stdout) == (2, "")
    assert "a command of more than 9 bytes" in assert_refused.stderr


def test_a_million_arguments() -> None:
    """No command is longer than the kernel takes."""
    numbers = "".join(f"{number}\n" for number in range(100_000))
    assert sum(map(int, output("-k", "-X", "sh", "-c", "echo $#", "x", input=numbers).split())) == 100_000


def test_headers() -> None:
    """Columns have names, for the command, the tag, the filter and the results."""
    said = output(
        "-k", "--header", ":", "--tagstring", "{a}", "--filter", "{b} > 3", "echo", "{b.}", ":::", *"a12", ":::", *"b34"
    )
    assert said == "1\t4\n2\t4\n"


def test_results_are_resumed(tmp_path: Path) -> None:
    """Without a log: jobs that have a directory are done."""
    results = ("--results", str(tmp_path / "out"), "--resume", "echo")
    assert output("-k", *results, ":::", "a") == "a\n"
    assert output("-k", *results, ":::", "a", "b") == "b\n"


def test_log_is_continued(tmp_path: Path) -> None:
    """With a + lines are added, also to a file that is not there yet."""
    log = tmp_path / "log"
    for argument in "ab":
        output("--joblog", f"+{log}", "true", ":::", argument)
    assert logged(log) == [["1", "0", "0", "true a"], ["1", "0", "0", "true b"]]


def test_shell_is_the_users(tmp_path: Path) -> None:
    """`$SHELL`, with the functions that are exported to it."""
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\necho "$1 $2"\n')
    shell.chmod(0o755)
    command = [*MAP, "--shell", "x {}", ":::", "a"]
    said = subprocess.run(command, env=os.environ | {"SHELL": str(shell)}, capture_output=True, check=True).stdout
    assert said == b"-c x a\n"


def test_timeout_by_the_median() -> None:
    """When three have succeeded, and that is known, a job may take so many times what they took."""
    said = run("-j1", "-k", "--timeout", "1000%", "sleep", ":::", *["0.05"] * 5, "1000")
    assert said.returncode == 1
    assert "job 6, sleep 1000: stopped after " in said.stderr


@pytest.mark.parametrize(
    ("options", "blocks"),
    [
        (["-N3"], ["1\n2\n3\n", "4\n5\n6\n", "7\n8\n9\n", "10\n"]),
        (["--block", "10"], ["1\n2\n3\n4\n5\n", "6\n7\n8\n9\n", "10\n"]),
        (["--block", "1"], [f"{number}\n" for number in range(1, 11)]),
        (["--header", ":", "-N5"], ["1\n2\n3\n4\n5\n6\n", "1\n7\n8\n9\n10\n"]),
        (["-L2", "-N2"], ["1\n2\n3\n4\n", "5\n6\n7\n8\n", "9\n10\n"]),
        (["--recend", "", "--block", "8"], ["1\n2\n3\n4\n", "5\n6\n7\n8\n", "9\n10\n"]),
        (["--recstart", "4"], [NUMBERS]),
        (["--recstart", "4", "-N1"], ["1\n2\n3\n", "4\n5\n6\n7\n8\n9\n10\n"]),
        (["--recend", "3\n", "--recstart", "4", "-N1", "--rrs"], ["1\n2\n", "\n5\n6\n7\n8\n9\n10\n"]),
        (["--regexp", "--recend", "[36]\n", "-N1"], ["1\n2\n3\n", "4\n5\n6\n", "7\n8\n9\n10\n"]),
        (["--retries", "2", "-N5"], ["1\n2\n3\n4\n5\n", "6\n7\n8\n9\n10\n"]),
    ],
)
def test_pipe(options: list[str], blocks: list[str]) -> None:
    """Each job has its block of whole records, and nothing is left or comes twice."""
    assert output("-k", "--pipe", *options, *CAT, input=NUMBERS) == "".join(f"{block}=\n" for block in blocks)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pipe", "--recend", "--", "-N1", *CAT], "a--=\nb--=\nc=\n"),
        (["--pipe", "--recstart", "--", "-N1", "--", *CAT], "a=\n--b=\n--c=\n"),
        (["-d", "--", "echo"], "a\nb\nc\n"),
        (["-d", "--b", "--", "echo"], "a\n--c\n"),
        (["-a", "-", "--tagstring", "--tag", "-E", "--", "echo"], "--tag\ta--b--c\n"),
        (["--tagstring", "-v", "echo"], "-v\ta--b--c\n"),
        (["-j", "-1", "-I", "-n", "echo", "x-n"], "xa--b--c\n"),
    ],
)
def test_values_with_dashes(options: list[str], said: str) -> None:
    """The next word is an option's value, whatever it begins with."""
    assert output("-k", *options, input="a--b--c") == said


def test_own_strings() -> None:
    """Those of places go with them: `{1}` is replaced by its own name only, where that has braces."""
    assert output("-k", "-I", "@", "echo", "@", "{1}", ":::", "a") == "a {1}\n"
    assert output("-k", "--er", "{e}", "echo", "{e}", "{-1e}", "{1.}", "{1}", ":::", "a.b") == "a a {1.} a.b\n"
    assert output("-k", "--seqreplace", "{n}", "echo", "{n}", "{#}", "{1n}", ":::", "a") == "1 {#} {1n}\n"


def test_command_that_is_an_argument() -> None:
    """What a shell's command begins with is not quoted, what follows is."""
    assert output("-k", "--shell", "{} | tr a b; echo {}", ":::", "echo a; echo c") == "a\nc\necho a; echo c\n"
    assert output("-k", "--shell", "-q", "echo", "{}", ":::", "a;b") == "a;b\n"


def test_commands_are_shown(tmp_path: Path) -> None:
    """With -v each is the first line of its job, also in order, tagged, and in its results; -t is beside that."""
    assert output("-k", "-v", "--tag", "--line-buffer", "echo", ":::", *"ab") == "a\techo a\na\ta\nb\techo b\nb\tb\n"
    assert output("-k", "-v", "--tagstring", "{#}", "--results", str(tmp_path), "echo", ":::", "a") == "1\techo a\n1\ta\n"
    assert (tmp_path / "1/a/stdout").read_text() == "echo a\na\n"
    assert output("-k", "--dry-run", "--tag", "echo", ":::", "a") == "a\techo a\n"
    log = tmp_path / "log"
    for options in (["-v"], ["-v", "--line-buffer"]):
        assert output(*options, "--joblog", str(log), "echo", ":::", "a") == "echo a\na\n"
        assert log.read_text().splitlines()[1].split("\t")[5] == "9"
    said = run("-t", "-v", "--silent", "echo", ":::", "a")
    assert (said.stdout, said.stderr) == ("a\n", "echo a\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-r", "echo", ":::", "a", "", ":::", "1", " "], "a 1\n"),
        (["-r", "--link", "echo", ":::", "a", "", "b", ":::", *"123"], "a 1\nb 2\na 3\n"),
        (["--trim", "l", "-C", ",", "echo", "[{1}{2}]", ":::", " a , b "], "[a b ]\n"),
        (["--trim", "lr", "echo", "[{}]", ":::", "\u00a0a "], "[\u00a0a]\n"),
        (["-d", ",", "echo", "[{}]", ":::", "a,", "b"], "[a]\n[]\n[b]\n"),
        (["-0", "echo", ":::", *"ab"], "a\nb\n"),
        (["-E", "", "echo", "[{}]", ":::", "a", "", "b"], "[a]\n[]\n[b]\n"),
        (["-N2", "-m", "echo", "x{}", ":::", *"abc"], "xa xb\nxc\n"),
        (["--tagstring", "", "echo", ":::", "a"], "a\n"),
        (["--tagstring", "x\\t{}", "echo", ":::", "\\t"], "x\t\\t\t\\t\n"),
        (["-x", "-j1", "-X", "-s", "12", "echo", ":::", *"abcd"], "a b c\nd\n"),
        (["-a", "-", "--pipe", "-L4", *CAT], "1\n2\n3\n4\n5\n6\n7\n8\n=\n9\n10\n=\n"),
    ],
)
def test_odd_shapes(options: list[str], said: str) -> None:
    """As GNU parallel has them."""
    assert output("-k", *options, input=NUMBERS) == said


@pytest.mark.parametrize(("text", "seconds"), [("1.5", 1.5), ("1d3.5h16.6m4s", 100_000), ("0.5m1s", 31), ("1m30", 90)])
def test_durations(text: str, seconds: float) -> None:
    """Parts with units are added."""
    assert _values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1ms", "1 2", "1.5.5", "-1s", "1e5", "9" * 400])
def test_no_duration(text: str) -> None:
    """What is no time is refused with its text."""
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(repr(text))):
        _values.duration(text)


def test_long_commands() -> None:
    """A message has the beginning of one."""
    said = run("wc", "-c", input="x" * 1_000_000)
    assert said.returncode == 1
    assert re.fullmatch("aiospawn map: job 1, wc -c x{400,500}[.]{3}: cannot be run: .*\\n", said.stderr)


def test_pipe_again() -> None:
    """A job that is run again has the same block again."""
    said = run("--pipe", "--retries", "3", "sh", "-c", "cat; exit 1", input="a\n")
    assert (said.returncode, said.stdout) == (1, "a\n")
    assert output("--pipe", "--retries", "2", "sh", "-c", "[ $(wc -c) = 2 ]", input="a\n") == ""


def test_pipe_from_a_slow_writer() -> None:
    """Records that come in pieces are whole; a job starts when its block is there."""
    script = "for piece in a 'b\\n' c '\\nd'; do printf \"$piece\"; sleep 0.05; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as writer:
        done = subprocess.run([*MAP, "-k", "--pipe", "-N1", *CAT], stdin=writer.stdout, capture_output=True, check=True)
    assert done.stdout == b"ab\n=\nc\n=\nd=\n"


def test_pipe_of_files(tmp_path: Path) -> None:
    """With -a they are cut, one after the other."""
    for name in "ab":
        (tmp_path / name).write_text(f"{name}1\n{name}2\n")
    options = ("-k", "--pipe-part", "-a", "a", "-a", "b", "-N3")
    assert output(*options, *CAT, cwd=tmp_path) == "a1\na2\nb1\n=\nb2\n=\n"


def test_interrupted_while_blocks_are_held(tmp_path: Path) -> None:
    """Stopped, it leaves no block open: there is no ResourceWarning, and the exit status is SIGTERM's."""
    command = [*MAP, "--pipe", "-j2", "-N1", "sh", "-c", "echo ready; sleep 1000"]
    with subprocess.Popen([*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"a\nb\nc\nd\n")
        process.stdin.flush()
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        while True:
            with open(children) as file:
                if len(file.read().split()) == 2:
                    break
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert b"stopping the 2 that run: SIGTERM, SIGKILL after 5 s" in said
    assert b"Warning" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--block 1k echo", "--block is for --pipe"),
        ("--pipe -X cat", "--pipe: jobs have no arguments, for --packs"),
        ("--pipe cat ::: a", "there are no arguments for :::"),
        ("--pipe", "--pipe needs a command"),
        ("--pipe --regexp --recend ( cat", "--regexp: '('"),
        ("--pipe --block 0 cat", "--block/--block-size: must be above 0, not '0'"),
        ("--block x cat", "must be a number of bytes, or one with K, M, G, T or P, not 'x'"),
        ("--header name echo ::: a", "--header: must be a colon"),
        ("--header 2 echo ::: a", "--header: the names of columns are one line"),
        ("-n 2 -N 2 echo ::: a", "-n, -N and -L: each says how many arguments a job gets"),
        ("--env A=b echo ::: a", "--setenv gives it a value"),
        ("--filter 1+ echo ::: a", "--filter '1+', for 'a': "),
        ("--timeout 0% echo ::: a", "% above 0%, not '0%'"),
        ("--resume echo ::: a", "--resume needs --joblog FILE or --results DIR"),
        ("--trim x echo ::: a", "--trim: invalid choice: 'x'"),
        ("-d= echo ::: a", "-d/--delimiter: must not be empty"),
        ("-j -- echo ::: a", "-j/--jobs/-P/--max-procs: must be a number, N% or +N or -N of the processors, not '--'"),
        ("-j --bar echo ::: a", "not '--bar'"),
        ("-kj", "-j/--jobs/-P/--max-procs: expected one argument"),
        ("--pipe --recend", "--recend: expected one argument"),
    ],
)
def test_refused(arguments: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    """With the usage, the option and the value."""
    assert_refused_in_process(["map", *arguments.split()], capfd, said)
