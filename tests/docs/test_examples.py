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


def test_each_example_has_a_test() -> None:
    """No example is forgotten here."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "checksums",
        "dropin",
        "uvloop_dropin",
        "server",
        "streaming",
        "native_hook",
        "words",
    }
