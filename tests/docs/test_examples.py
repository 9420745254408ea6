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


def test_each_example_has_a_test() -> None:
    """No example is forgotten here."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "checksums",
        "ci",
        "dropin",
        "uvloop_dropin",
        "server",
        "streaming",
        "native_hook",
        "ninja",
        "web",
        "words",
    }
