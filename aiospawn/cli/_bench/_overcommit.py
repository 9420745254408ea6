"""Strict overcommit, for a while: the kernel promises no more memory than it has (vm.overcommit_memory=2)."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aiospawn.cli._errors import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check", "strict_overcommit"]

_SETTING = Path("/proc/sys/vm/overcommit_memory")
_STRICT = "2"
# Puts the setting back when its standard input ends, which it does however the other process ends.
_RESTORER = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.read()
with open(sys.argv[1], "w") as file:
    file.write(sys.argv[2])
"""
_SHARE = 0.6  # of what can still be promised: once it can be, twice not


def check() -> None:
    """Raises CannotRunError where the setting cannot be changed, or strict promises would not hold what is in use."""
    if os.geteuid() != 0 or not os.access(_SETTING, os.W_OK):
        raise CannotRunError(f"--overcommit sets {_SETTING}, which needs root")
    left, limit = _left_mib()
    if left < limit / 2:
        raise CannotRunError(
            f"--overcommit: {limit - left:,} MiB are promised already, and strict overcommit promises {limit:,} MiB in all"
        )


def _left_mib() -> tuple[int, int]:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    limit, promised = (int(lines[name].split()[0]) >> 10 for name in ("CommitLimit", "Committed_AS"))
    return limit - promised, limit


@contextmanager
def strict_overcommit() -> Iterator[int]:
    """Sets it, and puts back what was. The value is how many MiB a process must have for its fork to fail."""
    check()
    before = _SETTING.read_text().strip()
    command = [sys.executable, "-I", "-c", _RESTORER, str(_SETTING), before]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as restorer:
        assert restorer.stdout is not None
        if restorer.stdout.readline() != b"ready\n":
            raise CannotRunError("--overcommit: the process that puts the setting back did not start")
        _SETTING.write_text(_STRICT)
        yield int(_left_mib()[0] * _SHARE)
    if (now := _SETTING.read_text().strip()) != before:
        raise OSError(f"{_SETTING} is {now}, and was not put back to {before}")
