"""A map that was closed while a `halt` rule stopped its commands killed them at once: it counted as a second reason."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

import aiospawn

if TYPE_CHECKING:
    import pathlib

_CLEANS = 'trap "sleep 0.2; echo clean >>{0}; exit" TERM; echo ready >>{0}; while :; do sleep 0.05; done'
_FAILS = "while ! grep -q ready {0}; do sleep 0.01; done 2>/dev/null; exit 1"


@pytest.mark.parametrize("halt", ["now,fail=1", None])
async def test_has_its_time(tmp_path: pathlib.Path, halt: str | None) -> None:
    """`check` raises for the failure by which the map halts; what runs is stopped once, and has its grace."""
    said = tmp_path / "said"
    commands = [["sh", "-c", script.format(said)] for script in (_FAILS, _CLEANS)]
    with pytest.raises(subprocess.CalledProcessError):
        async for _ in aiospawn.map(commands, concurrency=2, check=True, halt=halt, grace=1000):
            pass
    assert said.read_text().split() == ["ready", "clean"]
