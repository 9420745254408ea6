"""The launcher: the program in between, for the steps that must not share memory with the parent."""

import pathlib
from typing import Any

import fresh
import pytest
from place import lacks

import aiospawn

pytestmark = pytest.mark.once

crowds = pytest.mark.parametrize("crowd", [0, 700], ids=["few", "crowded"])


def require(*capabilities: str) -> None:
    if missing := lacks(*capabilities):
        pytest.skip(f"needs {', '.join(missing)}")


_HELD = """
import asyncio, pathlib, threading
import aiospawn, fresh, seccomp

async def main(gate):
    names = []
    def let_through():
        identity, pid = gate.arrival()
        names.append(pathlib.Path(f"/proc/{pid}/comm").read_text().strip())
        gate.let_through(identity)
    for options in ({}, {"via": "launcher"}, {"oom_score_adj": 500}):
        thread = threading.Thread(target=let_through)
        thread.start()
        process = await aiospawn.create_subprocess_exec("true", **options, executable="/bin/true")
        assert await process.wait() == 0
        thread.join()
    mine = pathlib.Path("/proc/self/comm").read_text().strip()
    print(*("-" if name == mine else name for name in names))

assert aiospawn.supported().features["launcher"]
loop = fresh.new_event_loop()
loop.run_until_complete(main(seccomp.Gate()))
loop.close()
"""


@crowds
def test_is_in_between(variant: str, crowd: int) -> None:
    """Where it is asked for or needed, it is the launcher that executes the program; else it is not there."""
    assert fresh.run(_HELD, variant, crowd) == "- aiospawn:launch aiospawn:launch\n"


# ---- a launcher that cannot be executed -------------------------------------------------------------------------------

_MOVED = """
import asyncio, ctypes, os, pathlib, shutil, subprocess, sys, time
import aiospawn, fresh
from aiospawn._binding import library

def moved(directory):
    (path,) = (target for target in fresh.descriptors().values() if target.endswith("/_launcher"))
    copy = shutil.copy(path, directory)
    assert library.lib.aiospawn_launcher_open(os.fsencode(copy)) == 0
    return pathlib.Path(copy)

def unlinked(directory):
    moved(directory).unlink()

def not_executable(directory):
    moved(directory).chmod(0o644)

def on_a_noexec_mount(directory):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "none", directory], check=True)
    moved(directory)

def closed(directory):
    for fd, target in fresh.descriptors().items():
        if target.endswith("/_launcher"):
            os.close(fd)

def replaced(directory):
    for fd, target in fresh.descriptors().items():
        if target.endswith("/_launcher"):
            other = os.open("/bin/false", os.O_PATH)
            os.dup2(other, fd)
            os.close(other)

async def main():
    process = await aiospawn.create_subprocess_exec("cat", "/proc/self/oom_score_adj", stdout=-1, oom_score_adj=432)
    output, _ = await process.communicate()
    return output == b"432\\n", pathlib.Path("/proc/self/oom_score_adj").read_text() != "432\\n"

ctypes.CDLL(None).unshare(0x00020000)  # the mount is this process's
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
locals()[os.environ["WHAT"]](os.environ["DIRECTORY"])
loop = fresh.new_event_loop()
print(aiospawn.supported().features["launcher"], aiospawn.supported().missing.get("launcher") is not None)
print(*loop.run_until_complete(main()))
loop.close()
"""


@crowds
@pytest.mark.parametrize(
    ("what", "usable"),
    [("unlinked", True), ("not_executable", False), ("on_a_noexec_mount", False), ("closed", False), ("replaced", False)],
)
def test_where_it_is(what: str, usable: bool, variant: str, crowd: int, tmp_path: pathlib.Path) -> None:
    """It needs its descriptor only; where it cannot be executed the steps run all the same, and never on the parent."""
    require("sys_admin")
    output = fresh.run(_MOVED, variant, crowd, WHAT=what, DIRECTORY=str(tmp_path))
    assert output == f"{usable} {not usable}\nTrue True\n"


# ---- privileges that an execve would drop -----------------------------------------------------------------------------

_KEPT = """
import asyncio, ctypes, os, pathlib, struct
import aiospawn, fresh

libc = ctypes.CDLL(None)

def permitted_capabilities():
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setresuid(1000, 1000, 1000)
    wanted = 1 << 6 | 1 << 7  # setgid, setuid: permitted, not ambient
    header, data = struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", wanted, wanted, 0, 0, 0, 0)
    assert libc.capset(header, data) == 0

def saved_user():
    os.setresuid(1000, 1000, 0)

def locked_securebits():
    assert libc.prctl(28, 1 << 3, 0, 0, 0) == 0  # PR_SET_SECUREBITS, NO_SETUID_FIXUP_LOCKED

async def main():
    user = 0 if os.environ["WHAT"] == "saved_user" else 1001
    for more in ({}, {"via": "launcher"}):
        process = await aiospawn.create_subprocess_exec("id", "-u", stdout=-1, user=user, **more)
        output, _ = await process.communicate()
        assert output == b"%d\\n" % user, output

assert aiospawn.supported().features["launcher"]
loop = fresh.new_event_loop()
locals()[os.environ["WHAT"]]()
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.parametrize("what", ["permitted_capabilities", "saved_user", "locked_securebits"])
def test_privileges_that_an_execve_drops(what: str, variant: str) -> None:
    """Where the launcher would have less than this process, the steps run in a clone that shares no memory instead."""
    require("setuid", "setgid", "setpcap")
    fresh.run(_KEPT, variant, WHAT=what)


# ---- namespaces -------------------------------------------------------------------------------------------------------

_NO_CHILDREN_TOLD = """
import asyncio, os, signal
import aiospawn, fresh

async def shown(**options):
    try:
        process = await aiospawn.create_subprocess_exec(
            "cat", "/proc/self/uid_map", stdout=-1, unshare=0x10000000, **options)
    except OSError as error:
        return error.errno, error.step
    output, _ = await process.communicate()
    return output.split()

async def main():
    print(await shown(uid_map=[(0, 0, 1)]), await shown(uid_map=[(0, 0, 1), (0, 1, 1)]))

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_maps_with_sigchld_ignored(variant: str) -> None:
    """A map that cannot be written fails the launch, also where this process ignores SIGCHLD: nobody runs unmapped."""
    require("setuid")
    assert fresh.run(_NO_CHILDREN_TOLD, variant) == "[b'0', b'0', b'1'] (22, 'unshare')\n"


_UNPRIVILEGED = """
import asyncio, ctypes, os
import aiospawn, fresh

async def main():
    options = {"unshare": 0x10000000 | 0x00020000, "uid_map": [(0, 1000, 1)], "gid_map": [(0, 1000, 1)]}
    process = await aiospawn.create_subprocess_exec(
        "/bin/sh", "-c", "id -u; id -g; cat /proc/self/setgroups", stdout=-1, **options)
    output, _ = await process.communicate()
    print(*output.decode().split())

loop = fresh.new_event_loop()
os.setgroups([])
os.setresgid(1000, 1000, 1000)
os.setresuid(1000, 1000, 1000)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE
loop.run_until_complete(main())
loop.close()
"""


def test_user_namespace_of_a_user(variant: str) -> None:
    """Without any privilege a child can be root in a namespace of its own; setgroups is given up for that."""
    require("setuid", "setgid")
    assert fresh.run(_UNPRIVILEGED, variant) == "0 0 deny\n"


async def test_maps_of_any_length() -> None:
    """As many lines of a map as the kernel takes."""
    require("setuid")
    lines: list[Any] = [(number, number, 1) for number in range(300)]
    process = await aiospawn.create_subprocess_exec(
        *("wc", "-l", "/proc/self/uid_map"), stdout=aiospawn.PIPE, unshare=0x10000000, uid_map=lines
    )
    output, _ = await process.communicate()
    assert output.split()[0] == b"300"
