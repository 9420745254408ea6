"""`--sandbox` and its kin on the command line, for one command and for many, and the doctor's table of restrictions."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

import place
import pytest
from forked import aiospawn

import aiospawn as package

if TYPE_CHECKING:
    from pathlib import Path

enforced = pytest.mark.skipif(bool(place.lacks("sandbox")), reason="needs Landlock ABI 6 and seccomp")


@enforced
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--sandbox"], []),
        (["--sandbox-read", "{place}"], ["read"]),
        (["--sandbox", "--sandbox-write", "{place}"], ["read", "written"]),
        (["--sandbox-execute", "{place}"], ["read", "executed"]),
        ([], ["read", "written", "executed"]),
    ],
)
def test_run(options: list[str], told: list[str], tmp_path: Path) -> None:
    """Each option makes a sandbox, which allows what it names."""
    (tmp_path / "file").write_text("#!/bin/sh\n")
    (tmp_path / "file").chmod(0o755)
    script = "cat file >/dev/null && echo read; echo >>file && echo written; ./file && echo executed"
    given = [option.format(place=tmp_path) for option in options]
    assert aiospawn("run", *given, "--cwd", str(tmp_path), "--", "sh", "-c", script).stdout.split() == told


@enforced
def test_map(tmp_path: Path) -> None:
    """One sandbox for all of them."""
    (tmp_path / "a").write_text("text")
    result = aiospawn("map", "--sandbox-read", str(tmp_path / "a"), "cat", ":::", str(tmp_path / "a"), "/etc/passwd")
    assert (result.stdout, result.returncode) == ("text", 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sandbox-connect", "65536"], "a port in connect must be between 0 and 65535, got 65536"),
        (["--sandbox-bind", "http"], "--sandbox-bind"),
        (["--sandbox-network", "--sandbox-udp"], "--sandbox-network is the whole network"),
        (["--sandbox-at-least", "file"], "unknown restriction 'file'"),
        (["--sandbox-home"], "home=True needs hide=True"),
        (["--sandbox-loopback", "--sandbox-connect", "443"], "--sandbox-loopback is a network of its own"),
        (["--sandbox-deny", "execve"], "a launch needs 'execve'"),
        (["--sandbox-syscalls", "none"], "--sandbox-syscalls"),
        (["--sandbox-read", "/nonexistent/path"], "/nonexistent/path"),
    ],
)
def test_refused(options: list[str], said: str) -> None:
    """The error names a wrong value; nothing is run."""
    result = aiospawn("run", *options, "--", "echo", "ran")
    assert result.returncode in (2, 125)
    assert said in result.stderr
    assert result.stdout == ""


def test_doctor() -> None:
    """Each restriction, whether it is enforced, and by what."""
    found = json.loads(aiospawn("doctor", "--json").stdout)["sandbox"]
    assert found == {
        row.name: {"need": row.need, "have": row.have, "enforced": row.enforced} for row in package.Sandbox.restrictions()
    }


@enforced
def test_limits(tmp_path: Path) -> None:
    """The message names each, and so does the report."""
    report = tmp_path / "report"
    limits = ["--sandbox-limit", "wall=0.1s", "--sandbox-limit", "memory=1G"]
    result = aiospawn("run", "--json", str(report), *limits, "--", "sleep", "60")
    assert json.loads(report.read_text())["limit"] == "wall"
    assert result.returncode == 137
    refused = aiospawn("run", "--sandbox-limit", "space=5", "--", "true")
    assert "must be one of memory, file_size, processes, open_files, cpu_seconds, wall" in refused.stderr


@enforced
def test_system_calls() -> None:
    """Policy, names and answer make a sandbox, each by itself."""
    assert aiospawn("run", "--sandbox-deny", "getcwd", "--sandbox-answer", "kill", "--", "/bin/pwd").returncode == 128 + 31
    assert aiospawn("run", "--sandbox-deny", "getcwd", "--sandbox-allow", "keyctl", "--", "/bin/pwd").returncode == 1
    compute = ("--sandbox-syscalls", "compute", "--sandbox-execute", "/bin/dash")
    assert "fork" in aiospawn("run", *compute, "--", "/bin/dash", "-c", "(:)").stderr


def test_dry_run(tmp_path: Path) -> None:
    """What the command may do, as comments, and the command, for a shell; nothing is launched."""
    words = ("touch", f"{tmp_path}/a b")
    given = ("--sandbox-write", str(tmp_path))
    explained = [f"# {line}" for line in package.Sandbox(write=[tmp_path]).explain().splitlines()]
    assert f"# reads, makes, changes and removes: {tmp_path}" in explained
    shown = f"touch '{tmp_path}/a b'"
    assert aiospawn("run", "--dry-run", *given, "--", *words).stdout.splitlines() == [*explained, shown]
    assert aiospawn("map", "--dry-run", *given, *words[:1], ":::", *words[1:]).stdout.splitlines() == [*explained, shown]
    assert aiospawn("run", "--dry-run", "--", *words).stdout.splitlines() == [shown]
    refused = aiospawn("run", "--dry-run", "--json", "-", "--", *words)
    assert (refused.returncode, "--json reports on a command that has run" in refused.stderr) == (2, True)
    assert not [*tmp_path.iterdir()]


@enforced
def test_trace(tmp_path: Path) -> None:
    """What is found, as Python and as words: each lets the command run."""
    place = tmp_path.resolve()
    (place / "b").write_text("text")
    found = place / "found"
    command = ["sh", "-c", f"cat '{place}/b'; cat '{place}/b' >'{place}/a b'; exit 3"]
    traced = aiospawn("sandbox", "trace", "--output", str(found), "--", *command)
    assert (traced.stdout, traced.returncode) == ("text", 3)
    _, python, words = re.split(r"^# .*\n", found.read_text(), flags=re.MULTILINE)
    value = eval(python, {"aiospawn": package})
    assert [*value.write] == [str(place)]
    (place / "a b").unlink()
    program, *arguments = shlex.split(words)
    assert program == "aiospawn"
    again = aiospawn(*arguments)
    assert (again.stdout, again.returncode) == ("text", 3)
    assert (place / "a b").exists()
    (place / "a b").unlink()
    alone = aiospawn("sandbox", "trace", "--", "true")
    assert alone.stderr.endswith("# on the command line\naiospawn run --sandbox -- true\n") or "--sandbox-" in alone.stderr


@enforced
def test_trace_in_a_sandbox(tmp_path: Path) -> None:
    """What is refused, and by which word it is allowed."""
    place = tmp_path.resolve()
    (place / "a").write_text("text")
    denied = aiospawn("sandbox", "trace", "--sandbox", "--", "sh", "-c", f"cat {place}/a {place}/a; echo >{place}/b")
    assert f"# refused: read {place}/a (2 times); allowed by --sandbox-read {place}/a\n" in denied.stderr
    assert f"# refused: write {place} (once); allowed by --sandbox-write {place}\n" in denied.stderr
    python = ["--sandbox-execute", sys.prefix, "--sandbox-execute", sys.base_prefix, "--", sys.executable, "-ISc"]
    program = "import socket, ctypes; ctypes.CDLL(None).unshare(1 << 28); socket.socket()"
    denied = aiospawn("sandbox", "trace", *python, program)
    assert "# refused: network a socket (once); allowed by --sandbox-network\n" in denied.stderr
    assert "# refused: syscalls unshare (once); allowed by --sandbox-allow unshare\n" in denied.stderr
    ports = ("--sandbox-connect", "443")
    denied = aiospawn("sandbox", "trace", *ports, *python, "import socket; socket.socket().connect(('127.0.0.1', 1))")
    assert "# refused: connect 1 127.0.0.1 (once); allowed by --sandbox-connect 1\n" in denied.stderr
    assert aiospawn("sandbox", "trace", "--sandbox-read", "/", "--", "cat", "/dev/null").stderr == "# nothing was refused\n"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "the following arguments are required: ACTION"),
        (("watch",), 2, "invalid choice: 'watch'"),
        (("trace",), 2, "COMMAND is missing"),
        (("trace", "--sandbox-raed", "a", "true"), 2, "there is no option --sandbox-raed, did you mean --sandbox-read?"),
        (("trace", "--sandbox-hide", "true"), 2, "a sandbox with hide=True cannot be traced"),
        (("trace", "--output", "/nonexistent/file", "true"), 2, "--output: "),
        (("trace", "no such program"), 127, "No such file or directory: 'no such program'"),
    ],
)
def test_trace_refused(words: tuple[str, ...], status: int, said: str) -> None:
    """Told by name; nothing is run."""
    result = aiospawn("sandbox", *words)
    assert result.returncode == status
    assert said in result.stderr


@enforced
def test_temporary_files() -> None:
    """A directory of its own, that is gone."""
    result = aiospawn("run", "--sandbox-tmp", "--", "sh", "-c", "echo >$TMPDIR/file && echo $TMPDIR")
    assert result.returncode == 0
    assert result.stdout.strip()
    assert not os.path.exists(result.stdout.strip())


@enforced
def test_view(tmp_path: Path) -> None:
    """What is named, with places of its own."""
    if not next(row for row in package.Sandbox.restrictions() if row.name == "view").enforced:
        pytest.skip("needs namespaces")
    given = ("--sandbox-hide", "--sandbox-tmp", "--sandbox-home", "--sandbox-loopback", "--sandbox-read", str(tmp_path))
    result = aiospawn("run", *given, "--", "sh", "-c", f"ls -A {tmp_path.parent}; ls -A /tmp ~; echo $$")
    assert result.stdout.split() == [tmp_path.name, "/home/user:", "/tmp:", tmp_path.parts[2], "2"]
