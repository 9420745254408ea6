"""Python programs for what needs a process of its own: limits, signal dispositions, seccomp filters; and forks of a test.

`run`, `command`, `environment` and `in_fork` are for the test, the rest for the program as well.
"""

import asyncio
import os
import pathlib
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from paths import SUPPORT

__all__ = [
    "RESERVED",
    "children",
    "command",
    "descriptors",
    "environment",
    "in_fork",
    "new_event_loop",
    "reserved",
    "run",
    "signal_set",
]


def run(program: str, variant: str = "stdlib", crowd: int = 0, **variables: str) -> str:
    """Runs the program, which finds this module; it must succeed and print no error. Returns what it printed.

    `crowd`: so many descriptors are open there. Above 512 or so, launches share the descriptor table for a moment.
    """
    completed = subprocess.run(
        command(program, flags=["-X", "faulthandler"]),
        env=environment(variant, crowd, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stderr == "", completed.stderr
    assert completed.returncode == 0, completed
    return completed.stdout


def command(program: str, *arguments: Any, flags: Iterable[str] = ()) -> list[Any]:
    """The command that runs such a program, for tests that start it by themselves; `flags` are the interpreter's."""
    return [sys.executable, *flags, "-c", textwrap.dedent(program), *arguments]


def environment(variant: str = "stdlib", crowd: int = 0, **variables: str) -> dict[str, str]:
    """The environment of such a program, for tests that start one by themselves: to signal it, or under another program."""
    search = [str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    loop, _, spawn = variant.partition("-")
    own = {"PYTHONPATH": ":".join(search), "FRESH_LOOP": loop, "AIOSPAWN_SPAWN": spawn, "FRESH_CROWD": str(crowd)}
    return {**os.environ, **own, **variables}


def in_fork(body: Callable[[], object]) -> None:
    """Runs it in a forked process, which must end well."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        except BaseException:  # noqa: BLE001 - a failed assertion, an interrupt: the parent reports it
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The loop of the variant that the program was run for."""
    import aiospawn

    for _ in range(int(os.environ["FRESH_CROWD"])):
        os.dup(0)
    return aiospawn.new_uvloop_event_loop() if os.environ["FRESH_LOOP"] == "uvloop" else aiospawn.new_event_loop()


def descriptors() -> dict[int, str]:
    """The open descriptors of this process and what they are, but for the reserved ones, which come and go."""
    return {number: target for number, target in _open_now().items() if not target.startswith(RESERVED)}


def reserved() -> list[int]:
    """The reserved descriptors that nothing has been put on, and the placeholder that is duplicated onto them."""
    return sorted(number for number, target in _open_now().items() if target.startswith(RESERVED))


RESERVED = "/memfd:aiospawn "


def _open_now() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the listing's own
            continue
    return found


def children() -> list[int]:
    """The children of this process, zombies included."""
    tasks = pathlib.Path("/proc/self/task")
    while True:  # a thread that ends meanwhile hands its children to another
        threads = sorted(tasks.iterdir())
        try:
            found = [int(pid) for thread in threads for pid in (thread / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if sorted(tasks.iterdir()) == threads:
            return found


def signal_set(name: str, status: str | None = None) -> set[int]:
    """The signals that a line of /proc/PID/status has, such as "SigIgn"; of this process if no text is given.

    What is ignored is inherited, also signals that no shell and no Python can name: the C library's own.
    """
    if status is None:
        status = pathlib.Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(f"{name}:"))
    mask = int(line.split()[1], 16)
    return {number for number in range(1, 65) if mask >> number - 1 & 1}
