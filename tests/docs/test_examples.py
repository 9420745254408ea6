"""Each program of examples/ runs, says what it is to say, and leaves no warning behind."""

import hashlib
import os
import re
from pathlib import Path

import pytest
from example_programs import EXAMPLES, run


def test_dropin() -> None:
    """asyncio's own functions launch, on our loop."""
    system = os.uname()
    assert run("dropin.py").startswith(f"{system.sysname} {system.release}, {len(os.sched_getaffinity(0))} processors, ")


def test_uvloop_dropin() -> None:
    """On uvloop the child opens its standard input by name."""
    pytest.importorskip("uvloop", reason="uvloop is not installed")
    assert run("uvloop_dropin.py") == "UVLoop: exec fork pipe wait\n"


def test_server() -> None:
    """Each request is answered by a command of its own, and nonsense is refused."""
    replies = run("server.py", "--self-test").splitlines()
    assert replies[6] == "2026: 2 1013"
    assert replies[10] == "not a number"
    assert len(replies) == 11


def test_streaming() -> None:
    """All of it comes back, and no more than a block ever waits."""
    sent, received = run("streaming.py").splitlines()
    assert re.fullmatch(r"sent 32 MiB, at most (0\.\d|1\.0) MiB waiting", sent)
    assert received.endswith(" MiB packed, 32 MiB unpacked")


def test_checksums(tmp_path: Path) -> None:
    """Each file has its checksum."""
    for name in ("one", "two words", "three"):
        (tmp_path / name).write_text(name)
    lines = run("checksums.py", str(tmp_path)).splitlines()
    assert lines.pop() == "3 checksums, 0 failures"
    sums = {hashlib.sha256(name.encode()).hexdigest(): str(tmp_path / name) for name in ("one", "two words", "three")}
    assert dict(line.split("  ", 1) for line in lines) == sums


def test_words(tmp_path: Path) -> None:
    """Three words, two lines with the first, and how many lines there are."""
    text = tmp_path / "text"
    text.write_text("apples pears\napples\napples plums plums\n" + "pears pears pears plums\n")
    often, first, second, counted = run("words.py", str(text)).splitlines()
    assert often == "often: pears apples plums"
    assert [first, second] == ["  apples pears", "  pears pears pears plums"]
    assert re.fullmatch(r"4 lines, counted in \d+\.\d s", counted)


def test_ci() -> None:
    """Lines have their job's name, a job that failed is tried again, and stages come one after the other."""
    lines = run("ci.py").splitlines()
    assert lines[:2] == ["checkout | fetching", "prepare/checkout: ok"]
    assert sorted(lines[2:6]) == [
        "flaky    | second try",
        "lint     ! level strict",
        "unit     | 1.2",
        "unit     | collected 3 tests",
    ]
    assert lines[6:] == ["test/unit: ok", "test/lint: ok", "test/flaky: ok", "publish  | 1.2", "release/publish: ok"]


def test_web() -> None:
    """Events of both streams, and the end."""
    events = run("web.py", "--self-test").split("\n\n")
    assert [event.replace("\ndata", "") for event in events if "stdout" in event] == [
        f"event: stdout: {text}" for text in ("begun", "step 1", "step 2", "step 3")
    ]
    assert "event: stderr\ndata: a warning" in events
    assert "event: end\ndata:" in events


def test_ninja(tmp_path: Path) -> None:
    """Everything is built after what it is made of; what is not older is not built again."""
    for name in ("a.c", "b.c"):
        (tmp_path / name).write_text(name)
    built = [line.partition(":")[0] for line in run("ninja.py", str(tmp_path)).splitlines()]
    assert (sorted(built[:2]), built[2:]) == (["a.o", "b.o"], ["program", "program.sum"])
    assert (tmp_path / "program").read_text() == "A.CB.C"
    assert run("ninja.py", str(tmp_path)) == ""
    (tmp_path / "a.o").unlink()
    assert [line.partition(":")[0] for line in run("ninja.py", str(tmp_path)).splitlines()] == [
        "a.o",
        "program",
        "program.sum",
    ]


def test_supervisor() -> None:
    """What crashed is started again; SIGTERM stops all."""
    lines = run("supervisor.py", "--self-test").splitlines()
    assert lines[:2] == ["worker: ended with 3", "worker: exit-code, restart 1"]
    assert sorted(lines[2:4]) == ["web: ended with -15", "worker: ended with -15"]
    assert lines[4:] == ["all are stopped"]


def test_conversation() -> None:
    """A wrong password, the right one, a terminal that becomes wider, Ctrl-C."""
    assert run("conversation.py").splitlines() == ["refused", "42", "24 132", "exit status 0", "stopped"]


def test_batch(tmp_path: Path) -> None:
    """Each file is packed once and logged once; the blocks lose no line."""
    (tmp_path / "many.txt").write_text("".join(f"{number}\n" for number in range(50_000)))
    (tmp_path / "two words.txt").write_text("one\n")
    assert run("batch.py", str(tmp_path)) == "2 packed\n50001 lines\n"
    assert run("batch.py", str(tmp_path)) == "0 packed\n50001 lines\n"
    logged = [line.split("\t")[2:] for line in (tmp_path / "joblog").read_text().splitlines()]
    assert sorted(logged) == [["0", "many.txt"], ["0", "two words.txt"]]


def test_remote() -> None:
    """Each request has its own answer."""
    hello, exits, missing = run("remote.py").splitlines()
    assert (hello, exits) == ("echo hello -> 0 hello", "sh -c sleep 0.1; exit 3 -> 3 ")
    assert missing.startswith("no-such-program -> None [Errno 2] No such file or directory")


def test_suite(tmp_path: Path) -> None:
    """What failed comes once more at the end, with its output; a program that ends by a signal is named as such."""
    (tmp_path / "test_good.sh").write_text("echo fine")
    (tmp_path / "test_bad.sh").write_text("echo broken $TEST >&2; exit 3")
    (tmp_path / "test_left_out.sh").write_text("exit 77")
    (tmp_path / "test_killed.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    lines = run("suite.py", str(tmp_path), "-j", "2", status=1).splitlines()
    assert sorted(line.rpartition(" in ")[0] for line in lines[:4]) == [
        "test_bad.sh: failed (3)",
        "test_good.sh: ok",
        "test_killed.py: killed by SIGKILL",
        "test_left_out.sh: skipped",
    ]
    assert lines[4:] == [
        "--- test_bad.sh: failed (3)",
        "broken test_bad",
        "--- test_killed.py: killed by SIGKILL",
        "4 tests, 2 failed",
    ]


def test_each_example_has_a_test() -> None:
    """No example is forgotten here."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "batch",
        "checksums",
        "ci",
        "cluster",  # tests/cluster/test_cluster_example.py
        "conversation",
        "dropin",
        "uvloop_dropin",
        "server",
        "streaming",
        "native_hook",
        "ninja",
        "remote",
        "suite",
        "supervisor",
        "web",
        "words",
    }
