"""Where the native part is not, or not allowed: the package is a guest that does no harm."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import fresh
import pytest
from paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# What other systems lack, taken away before the import.
_ELSEWHERE = """
import asyncio, os, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in ("aiospawn._binding._ffi", "resource", "termios", "pwd", "grp", "fcntl"):
            raise ImportError(name + " is not on this system")

for name in ("resource", "termios", "fcntl", "pwd", "grp"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Blocked())
del os.setsid, os.setpgrp
import aiospawn
"""


def _run(program: str, **environment: str) -> str:
    import os

    done = subprocess.run(
        fresh.command(program), capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_without_native_part() -> None:
    """The import works, and `supported()` says what is missing."""
    shown = _run(_ELSEWHERE + "s = aiospawn.supported()\nprint(bool(s), s.variant, s.reasons[0])")
    assert shown.startswith("False none the native part is not there")


@pytest.mark.once
def test_source_that_is_not_built(tmp_path: Path) -> None:
    """A checkout without its native part says what to run, in `supported()` and in the error of an option."""
    shutil.copytree(ROOT / "aiospawn", tmp_path / "aiospawn", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (tmp_path / "_native").mkdir()
    (tmp_path / "_native/CMakeLists.txt").touch()
    program = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import aiospawn
print(*aiospawn.supported().reasons)
try:
    asyncio.run(aiospawn.create_subprocess_exec("true", nice=5))
except NotImplementedError as error:
    print(error)
"""
    command = fresh.command(program, str(tmp_path), flags=["-S"])  # without the site's packages, where it may be installed
    reasons, error = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert reasons == f"the native part is not built in {tmp_path}; built from source: run pip install -e . there"
    assert error == f"nice needs the native spawner, which does not run here: {reasons}"


@pytest.mark.parametrize("without", ["pidfd", "shared_memory"])
def test_hands_over(without: str) -> None:
    """Without a feature that launching needs, every drop-in function hands over to the loop's own implementation."""
    program = """
import asyncio, aiospawn
async def main():
    a = await aiospawn.create_subprocess_exec("echo", "exec", stdout=-1)
    b = await asyncio.create_subprocess_shell("echo shell", stdout=-1)
    print((await a.communicate())[0], (await b.communicate())[0], type(a._transport).__module__, a.pidfd, a.rusage)
with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
    runner.run(main())
"""
    assert _run(program, AIOSPAWN_WITHOUT=without) == r"b'exec\n' b'shell\n' asyncio.unix_events None None"


def test_own_options_are_refused() -> None:
    """An option that only the native spawner has is a clear error there, not ignored."""
    program = """
import asyncio, aiospawn
async def main():
    try:
        await aiospawn.create_subprocess_exec("true", nice=5)
    except NotImplementedError as error:
        print(error)
asyncio.run(main())
"""
    shown = _run(program, AIOSPAWN_WITHOUT="pidfd")
    assert shown.startswith("nice needs the native spawner, which does not run here: no pidfd")
