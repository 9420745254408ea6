"""After unshare(CLONE_NEWPID) the child that tries the kernel was the new namespace's first process, and its end."""

import pathlib
import sys

import fresh
import pytest
from place import lacks

pytestmark = pytest.mark.once


_FRAME = """
import asyncio, ctypes, errno, os, signal
import aiospawn, fresh

async def shown(launch, **options):
    process = await launch("sh", "-c", "echo $$; id -u", stdout=-1, **options)
    output, _ = await process.communicate()
    return (*map(int, output.split()), process.returncode)

async def fails(launch):
    try:
        await launch("true")
    except OSError as error:
        return errno.errorcode[error.errno]
    raise AssertionError("launched")

{definitions}

assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID, of the children to come
loop = {loop}  # an aiospawn loop tries the kernel
loop.run_until_complete(main())
loop.close()
"""


def _run(definitions: str, variant: str, loop: str = "fresh.new_event_loop()") -> str:
    if missing := lacks("sys_admin"):
        pytest.skip(f"needs {', '.join(missing)}")
    return fresh.run(_FRAME.format(definitions=definitions, loop=loop), variant)


_ORDINARY = """
async def main():
    first = await asyncio.create_subprocess_exec("cat", stdin=-1)
    print(await shown(asyncio.create_subprocess_exec))
    first.stdin.close()
    print(await first.wait())
    print(await fails(asyncio.create_subprocess_exec))
"""


def test_like_asyncio(variant: str) -> None:
    """The first launch is the first process; others work while that one lives, and none when it has ended."""
    expected = "(2, 0, 0)\n0\nENOMEM\n"
    assert _run(_ORDINARY, variant) == expected
    if sys.version_info >= (3, 12):  # before, asyncio needs a thread, which there cannot be
        assert _run(_ORDINARY, variant, "asyncio.SelectorEventLoop()") == expected


@pytest.mark.parametrize(
    "options",
    [
        "{}",
        "{'oom_score_adj': 500}",
        "{'via': 'launcher'}",
        "{'unshare': 0x10000000, 'uid_map': [(0, 0, 1)]}",
        "{'pdeathsig': 9}",
    ],
    ids=["direct", "launcher", "asked for", "maps", "death"],
)
def test_every_way(options: str, variant: str) -> None:
    """Each way to launch works for the first process and for those behind it; numbers are those of the namespace."""
    definitions = f"""
async def main():
    first = await aiospawn.create_subprocess_exec("sh", "-c", "echo $$; id -u; read line", stdin=-1, stdout=-1, **{options})
    print(int(await first.stdout.readline()), int(await first.stdout.readline()))
    for options in ({{}}, {options}):
        number, user, status = await shown(aiospawn.create_subprocess_exec, **options)
        print(1 < number < 100, user, status)
    process = await aiospawn.create_subprocess_exec("sleep", "1000", start_new_session=True, **{options})
    print(await process.stop())
    first.stdin.write_eof()
    print(await first.wait() in (0, 1))
"""
    assert _run(definitions, variant) == "1 0\nTrue 0 0\nTrue 0 0\n-15\nTrue\n"


def test_parent_outside_that_is_gone(variant: str, tmp_path: pathlib.Path) -> None:
    """A parent in another namespace has no number here: /proc shows that it is gone, and `pdeathsig` void."""
    if missing := lacks("sys_admin"):
        pytest.skip(f"needs {', '.join(missing)}")
    program = """
import ctypes, os, pathlib, sys, time
import fresh

FIFO, FILE = os.environ["DIRECTORY"] + "/fifo", os.environ["DIRECTORY"] + "/file"

async def launch():
    await aiospawn.create_subprocess_exec("touch", FILE, open_fds={9: (FIFO, os.O_RDONLY)}, pdeathsig=15)

def child_of(pid):
    "Held by the FIFO: its death's signal is not yet asked for."
    while True:
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if pathlib.Path(f"/proc/{child}/wchan").read_text() == "wait_for_partner":
                return int(child)
        time.sleep(0.001)

os.mkfifo(FIFO)
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
parent = os.fork()
if parent == 0:
    import aiospawn
    ctypes.CDLL(None).unshare(0x20000000)
    fresh.new_event_loop().run_until_complete(launch())
child = child_of(parent)
os.kill(parent, 9)
os.waitpid(parent, 0)
os.close(os.open(FIFO, os.O_RDWR))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.path.exists(FILE))
"""
    assert fresh.run(program, variant, DIRECTORY=str(tmp_path)) == "127 False\n"
