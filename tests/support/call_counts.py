"""What a launch takes, as stored for each version of CPython. As a program it counts, and stores for its own version."""

import json
import subprocess
import sys
from typing import Any

from paths import SUPPORT

__all__ = ["SCENARIOS", "counted", "stored"]

SCENARIOS = ("create", "read", "communicate", "run", "map")
_FILE = SUPPORT / "call_counts.json"
_LAUNCHES = 24
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def counted(scenario: str) -> dict[str, float]:
    """In a process of its own, where nothing else has been called."""
    spec = {"kind": "calls", "loop": "aiospawn", "program": [], "way": scenario, "total": _LAUNCHES}
    command = [sys.executable, "-P", "-m", "aiospawn.cli._bench._worker", json.dumps(spec)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def stored() -> dict[str, dict[str, float]]:
    """By scenario, for this version of CPython or else the newest that is known."""
    found: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found.get(_VERSION) or found[max(found, key=lambda version: int(version.split(".")[1]))]


def _store() -> None:
    known = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else {}
    known[_VERSION] = {scenario: counted(scenario) for scenario in SCENARIOS}
    _FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _store()
