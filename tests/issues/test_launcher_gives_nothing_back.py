"""The launcher's execve gave back what this process had given up, so `user=` worked where it must be refused."""

import os
import pathlib
import shutil

import fresh
import pytest
from place import lacks

pytestmark = pytest.mark.once


_FRAME = """
import asyncio, ctypes, os, pathlib, struct, sys
import aiospawn, fresh
from aiospawn._binding import library
from readings import status

libc = ctypes.CDLL(None)
REFUSED = {"group": 0} if os.environ.get("OPTION") == "group" else {"user": 1001}
FULL, SETUID = int(status("CapPrm")(pathlib.Path("/proc/self/status").read_text()), 16), 1 << 7

def capabilities(effective, permitted, inheritable=0):
    header, sets = struct.pack("=Ii", 0x20080522, 0), (effective, permitted, inheritable)
    words = [part >> 32 * half & 0xFFFFFFFF for half in (0, 1) for part in sets]
    assert libc.capset(header, struct.pack("=6I", *words)) == 0

def none():
    capabilities(0, 0)

def none_without_new_privileges():
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    capabilities(0, 0)

def one_less():
    capabilities(FULL & ~SETUID, FULL & ~SETUID)

def not_effective():
    capabilities(0, FULL)

def inheritable_only():
    capabilities(FULL, FULL, SETUID)
    assert libc.prctl(24, 7, 0, 0, 0) == 0  # PR_CAPBSET_DROP, CAP_SETUID
    capabilities(FULL & ~SETUID, FULL & ~SETUID, SETUID)

def ambient_not_effective():
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setresuid(1000, 1000, 1000)
    capabilities(SETUID, SETUID, SETUID)
    assert libc.prctl(47, 2, 7, 0, 0) == 0  # PR_CAP_AMBIENT_RAISE
    capabilities(0, SETUID, SETUID)

def a_user():
    os.setgroups([])
    os.setresgid(1000, 1000, 1000)
    os.setresuid(1000, 1000, 1000)

async def refused(launch, **options):
    try:
        process = await launch("id", "-u", stdout=-1, **REFUSED, **options)
    except PermissionError as error:
        print(getattr(error, "step", None))
    else:
        raise AssertionError(await process.communicate())

async def main():
    await refused(aiospawn.create_subprocess_exec)
    await refused(aiospawn.create_subprocess_exec, via="launcher", capabilities={})
    print("asyncio:")

async def stock():
    await refused(asyncio.create_subprocess_exec)

if path := os.environ.get("LAUNCHER"):
    print(library.lib.aiospawn_launcher_open(os.fsencode(path)))
assert aiospawn.supported()
loop, other = fresh.new_event_loop(), asyncio.SelectorEventLoop()
locals()[os.environ["WHAT"]]()
loop.run_until_complete(main())
other.run_until_complete(stock())
loop.close()
other.close()
"""

_REFUSED = "setresuid\nsetresuid\nasyncio:\nNone\n"


def _needs(*capabilities: str) -> None:
    if missing := lacks(*capabilities):
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.mark.parametrize(
    "what",
    [
        "none",
        "none_without_new_privileges",
        "one_less",
        "not_effective",
        "inheritable_only",
        "ambient_not_effective",
    ],
)
def test_capabilities_that_were_given_up(what: str, variant: str) -> None:
    """What a process has given up its child does not have, as on asyncio, though an execve would give it back to root."""
    _needs("setuid", "setpcap")
    assert fresh.run(_FRAME, variant, WHAT=what) == _REFUSED


@pytest.fixture
def copied(tmp_path: pathlib.Path) -> pathlib.Path:
    """The launcher in a place that every user can get at."""
    (path,) = (target for target in fresh.descriptors().values() if target.endswith("/_launcher"))
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    return pathlib.Path(shutil.copy(path, tmp_path))


@pytest.mark.parametrize(("mode", "option"), [(0o4755, "user"), (0o2755, "group")])
def test_launcher_with_a_mode_bit(mode: int, option: str, variant: str, copied: pathlib.Path) -> None:
    """A launcher whose file is set-user-ID or set-group-ID is not used."""
    _needs("setuid", "setgid")
    copied.chmod(mode)
    refused = _REFUSED if option == "user" else _REFUSED.replace("setresuid", "setresgid")
    assert fresh.run(_FRAME, variant, WHAT="a_user", LAUNCHER=str(copied), OPTION=option) == f"0\n{refused}"


def test_launcher_with_capabilities(variant: str, copied: pathlib.Path) -> None:
    """Neither is one whose file has capabilities."""
    _needs("setuid", "setgid")
    setuid = (0x02000001).to_bytes(4, "little") + (1 << 7).to_bytes(4, "little") + bytes(12)  # VFS_CAP_REVISION_2, effective
    try:
        os.setxattr(copied, "security.capability", setuid)
    except OSError as error:
        pytest.skip(f"no file capabilities here: {error}")
    assert fresh.run(_FRAME, variant, WHAT="a_user", LAUNCHER=str(copied)) == f"-1\n{_REFUSED}"


_GROUP = """
import asyncio, ctypes, os
import aiospawn, fresh

async def main():
    files = {9: (os.environ["DIRECTORY"] + "/file", os.O_WRONLY | os.O_CREAT)}
    process = await aiospawn.create_subprocess_exec("true", open_fds=files, oom_score_adj=500)
    assert await process.wait() == 0
    print(os.stat(files[9][0]).st_gid)

assert aiospawn.supported()
loop = fresh.new_event_loop()
ctypes.CDLL(None).setfsgid(1000)
loop.run_until_complete(main())
loop.close()
"""


def test_group_for_files(variant: str, tmp_path: pathlib.Path) -> None:
    """The ids for file systems, which an execve sets to the effective ones, are in force while the child opens its files."""
    _needs("setgid")
    assert fresh.run(_GROUP, variant, DIRECTORY=str(tmp_path)) == "1000\n"
