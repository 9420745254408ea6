"""A signal goes to the child it is meant for, however soon its process id is somebody else's."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from place import lacks

pytestmark = pytest.mark.once

SCRIPT = pathlib.Path(__file__).with_name("recycled_pids.py")


def _may_lower_pid_max() -> bool:
    """Of a PID namespace by itself: Linux 6.14. An older kernel has one for all, which is not ours to try."""
    release = tuple(map(int, os.uname().release.split(".")[:2]))
    if release < (6, 14) or lacks("sys_admin") or shutil.which("unshare") is None:
        return False
    script = "echo 400 >/proc/sys/kernel/pid_max"
    return subprocess.run([*NAMESPACE, "/bin/sh", "-c", script], capture_output=True, check=False).returncode == 0


NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.mark.parametrize("loop", ["aiospawn", "aiospawn-uvloop"])
def test_nobody_else_is_hit(loop: str) -> None:
    """With 16 process ids for 20 children at a time, no signal strays and no status is lost."""
    if not _may_lower_pid_max():
        pytest.skip("needs a PID namespace with a pid_max of its own")
    command = [*NAMESPACE, sys.executable, SCRIPT, loop, "--ids", "500", "--signals", "150", "--bystanders", "80"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert told["recycled ids"] >= 500
    assert told["signals"] >= 150
    assert told["bystanders"] >= 80
    assert (told["bystanders hit"], told["lost statuses"]) == (0, 0)
