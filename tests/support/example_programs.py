"""The programs of examples/, run as a reader would."""

import re
import subprocess
import sys

from paths import ROOT

__all__ = ["EXAMPLES", "run"]

EXAMPLES = ROOT / "examples"

_HELD_UP = re.compile(r"Executing <.*> took \d+\.\d{3} seconds\n")  # asyncio, where the machine is busy with others


def run(name: str, *arguments: str, status: int = 0) -> str:
    """What the example prints. Development mode: every warning is an error, and asyncio warns."""
    completed = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", EXAMPLES / name, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert _HELD_UP.sub("", completed.stderr) == ""
    assert completed.returncode == status
    return completed.stdout
