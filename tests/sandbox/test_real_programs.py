"""Programs as people run them, in a sandbox of Landlock and in one with a view of its own: recipes of docs/sandbox.md."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import place
import pytest

import aiospawn
from aiospawn import IfExists, Limits, Sandbox
from aiospawn._sandbox import restrictions

if TYPE_CHECKING:
    import pathlib

pytestmark = [pytest.mark.once, pytest.mark.loops("one")]

_PYTHON = {"execute": [sys.prefix, sys.base_prefix]}
_COMMIT = "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x"
_GIT = f"git init -q r && cd r && {_COMMIT} && git clone -q . ../c && ls ../c/.git/HEAD"
_SOURCE = "echo 'int main(void) {return 0;}' >a.c"
_MAKE = rf"printf 'all: a\na: a.c\n\tcc -o a a.c\n' >Makefile; {_SOURCE}; make -s && ./a && echo built"
_PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider test_a.py"

# The program that has to be there, the script, what it prints, and what the sandbox allows besides writing to its directory.
_RECIPES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "a snippet of Python": (sys.executable, f"{sys.executable} -I -c 'print(sum(range(10)))'", "45", _PYTHON),
    "a test suite without network": (
        sys.executable,
        f"echo 'def test(): assert 1' >test_a.py; {_PYTEST} | tail -1 | cut -c1-8",
        "1 passed",
        {**_PYTHON, "network": "loopback"},
    ),
    "node": ("node", "node -e 'console.log(6 * 7)'", "42", {"read": [IfExists("/etc/ssl/openssl.cnf")]}),
    "a compiler": ("gcc", f"{_SOURCE}; gcc -O1 -o a a.c && ls a", "a", {}),
    "make": ("make", _MAKE, "built", {"execute": ["."]}),
    "git": ("git", _GIT, "../c/.git/HEAD", {"read": [IfExists("/etc/gitconfig")]}),
    "tar and gzip": ("tar", "echo text >a; tar czf a.tgz a; rm a; tar xzf a.tgz; cat a", "text", {}),
    "perl": ("perl", "perl -e 'print join(q(,), sort qw(b a))'", "a,b", {}),
    "curl": ("curl", "echo text >a; curl -s file://$PWD/a; curl -s http://127.0.0.1:1 || echo refused", "text\nrefused", {}),
    "sqlite3": ("sqlite3", "sqlite3 a.db 'create table a(b); insert into a values (5); select b from a'", "5", {}),
    "sox": ("sox", "sox -n -r 8000 a.wav synth 0.1 sine 440 && sox a.wav b.flac && ls b.flac", "b.flac", {}),
    "ffmpeg": (
        "ffmpeg",
        "ffmpeg -v error -f lavfi -i sine=duration=0.1 a.wav && ffmpeg -v error -i a.wav b.flac && ls b.flac",
        "b.flac",
        {},
    ),
    "pdftotext": ("pdftotext", "pdftotext -v 2>&1 | head -1 | cut -d' ' -f1", "pdftotext", {}),
}


# Each beside its script: what the others take to run is in the sandbox of the trace.
_TRACED = {name: recipe for name, recipe in _RECIPES.items() if name != "a test suite without network"} | {
    "tar": ("tar", "echo text >a; tar cf a.tar a; tar tf a.tar", "a", {}),
    "gzip": ("gzip", "echo text >a; gzip a; gzip -dc a.gz", "text", {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", _TRACED)
async def test_traced(recipe: str, tmp_path: pathlib.Path) -> None:
    """It does the same in the sandbox that a trace of it has found."""
    program, script, shown, _ = _TRACED[recipe]
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    if lacks := place.lacks("sandbox"):
        pytest.skip(f"needs {lacks}")
    work = tmp_path / "work"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(work), "TMPDIR": str(work)}
    work.mkdir()
    with (tmp_path / "shown").open("wb") as output:
        trace = await aiospawn.trace_sandbox(["sh", "-c", script], cwd=work, env=env, stdout=output)
    assert (trace.returncode, (tmp_path / "shown").read_text().strip()) == (0, shown)
    for path in work.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = await aiospawn.run(
        ["sh", "-c", script], sandbox=trace.sandbox, capture_output=True, text=True, cwd=work, env=env
    )
    assert (result.returncode, result.stdout.strip()) == (0, shown), (result.stderr, trace.sandbox)


@pytest.mark.parametrize("hide", [False, True], ids=["landlock", "view"])
@pytest.mark.parametrize("recipe", _RECIPES)
async def test_recipe(recipe: str, hide: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does what it is for, and reads nothing of outside."""
    program, script, shown, allowed = _RECIPES[recipe]
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    if (lacks := place.lacks("sandbox")) or not restrictions.found().views:
        pytest.skip(f"needs {lacks or 'namespaces'}")
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "secret").write_text("secret")
    monkeypatch.chdir(work)
    limits = Limits(memory=2**30, processes=50, cpu_seconds=60, wall=100)
    own: dict[str, Any] = {"hide": True, "tmp": True, "home": True} if hide else {}
    value = Sandbox(write=[work], limits=limits, **own, **allowed)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(work), "TMPDIR": str(work), "OPENSSL_CONF": "/dev/null"}
    command = f"cat ../secret 2>/dev/null; {script}"
    result = await aiospawn.run(["sh", "-c", command], sandbox=value, capture_output=True, text=True, env=env)
    assert (result.stdout.strip(), result.limit) == (shown, None), result.stderr
