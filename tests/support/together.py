"""Every option that goes with the others, in one launch: for tests, and for programs of `fresh`."""

import os
import resource
import signal
from collections.abc import Callable
from typing import Any

from every_option import made
from place import NEW_USER, NEW_UTS, UNAME, Place, refusing
from readings import FOREGROUND, GROUP, NICE, POLICY, TERMINAL, bits, device, leads, limit, signals, stat, status, words

import aiospawn

__all__ = ["shown_together", "together"]


def together(place: Place) -> dict[str, Any]:
    """Every option that goes with the others, in one launch of `head`."""
    return {
        "executable": place.head,
        "cwd": place.room,
        "chroot": "/",
        "env": {"NAME": "value"},
        "start_new_session": True,
        "controlling_terminal": place.terminal,
        "foreground": place.terminal,
        "pass_fds": [place.reader],
        "fds": {3: place.other_reader},
        "open_fds": {4: (place.file, os.O_RDONLY)},
        "umask": 0o027,
        "sigmask": {signal.SIGUSR1},
        "sigdefault": {place.ignored},
        "sigignore": {signal.SIGHUP},
        "rlimits": {resource.RLIMIT_NOFILE: (100, 200)},
        "nice": 5,
        "scheduler": (os.SCHED_BATCH, 0),
        "affinity": {max(os.sched_getaffinity(0))},
        "ioprio": (2, 3),
        "oom_score_adj": 321,
        "timer_slack_ns": 123456,
        "pdeathsig": signal.SIGUSR1,
        "cgroup": place.cgroup,
        "setns": [place.namespaces[1]],
        "unshare": NEW_USER | NEW_UTS,
        "uid_map": [(0, 0, 1), (1000, 2000, 10)],
        "gid_map": [(0, 0, 1), (1000, 2000, 10)],
        "user": 1000,
        "group": 1001,
        "extra_groups": [1002, 1003],
        "capabilities": {"drop": ["net_raw"], "ambient": ["kill"]},
        "no_new_privs": True,
        "thp_disable": True,
        "landlock": place.ruleset,
        "seccomp": refusing(UNAME, 13),
    }


# What `together` shows of itself: a file, how it is read, what it says.
TOGETHER: tuple[tuple[str, Callable[[str], Any], Any], ...] = (
    ("stat", stat(NICE, POLICY), lambda _: (os.getpriority(os.PRIO_PROCESS, 0) + 5, os.SCHED_BATCH)),
    ("stat", leads, (True, True)),
    ("stat", stat(TERMINAL), lambda place: (device(place.terminal),)),
    ("stat", lambda output: stat(FOREGROUND)(output) == stat(GROUP)(output), True),
    ("status", status("Uid"), "1000\t1000\t1000\t1000"),
    ("status", status("Gid"), "1001\t1001\t1001\t1001"),
    ("status", status("Groups"), "1002 1003"),
    ("status", status("Umask"), "0027"),
    ("status", status("NoNewPrivs"), "1"),
    ("status", status("Seccomp"), "2"),
    ("status", status("CapEff"), f"{1 << 5:016x}"),
    ("status", bits("CapBnd", 13), [False]),
    ("status", status("SigBlk"), f"{1 << 9:016x}"),
    ("status", signals("SigIgn", signal.SIGUSR2, signal.SIGHUP), [False, True]),
    ("status", status("Cpus_allowed_list"), lambda _: str(max(os.sched_getaffinity(0)))),
    ("limits", limit("Max open files"), ["100", "200"]),
    ("oom_score_adj", words, "321"),
    ("timerslack_ns", words, "123456"),
    ("cgroup", lambda output: output.strip().rpartition("/")[2], lambda place: place.cgroup.name),
    ("uid_map", str.split, ["0", "0", "1", "1000", "2000", "10"]),
    ("gid_map", str.split, ["0", "0", "1", "1000", "2000", "10"]),
    ("environ", words, "NAME=value"),
    ("fd/3", words, "of another"),
    ("fd/4", words, "of a file"),
)


async def shown_together(place: Place, **more: Any) -> list[tuple[str, Any, Any]]:
    """What `together` shows, and what it should."""
    files = [f"/proc/self/{name}" for name in dict.fromkeys(name for name, *_ in TOGETHER)]
    options = together(place)
    if "init" in more:
        del options["pdeathsig"]  # refused together with it
    process = await aiospawn.create_subprocess_exec(
        "head", "-n", "100", *files, stdin=aiospawn.DEVNULL, stdout=aiospawn.PIPE, **options, **more
    )
    output, _ = await process.communicate()
    assert await process.wait() == 0
    parts = output.decode().replace("\0", "").split("==> /proc/self/")
    told = dict(part.rstrip("\n").split(" <==\n") for part in parts if part)
    return [(name, reading(told[name]), made(shows, place)) for name, reading, shows in TOGETHER]
