"""In a container whose first process reaps no orphans a stop lasted all of its grace: zombies are members of their group."""

import shutil
import subprocess
import sys

import pytest
from place import lacks

pytestmark = pytest.mark.once

# The interpreter is the first process of its PID namespace, which inherits the orphans.
_SCRIPT = """
import asyncio, os, signal, sys
import aiospawn

ORPHAN = "sleep 1000 & "
TRAP = 'exec 2>/dev/null; trap "sleep 0.5; echo had its time; exit" TERM; echo ready; while :; do sleep 0.01; done'
SLOW = f"sh -c '{TRAP}' & "
# Its first thread ends at once, and looks like a zombie; it goes on when the shell is gone.
THREAD = '''
import ctypes, os, threading, time
def work():
    parent = os.getppid()
    os.write(1, b"ready\\\\n")
    while os.getppid() == parent:
        time.sleep(0.01)
    time.sleep(0.5)
    os.write(1, b"had its time\\\\n")
    os._exit(0)
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
'''
THREADED = f"(trap '' TERM; exec {sys.executable} -c '{THREAD}') & "
PROGRAMS = {'none': '', 'slow': SLOW, 'threaded': THREADED}

async def stopped(program):
    process = await aiospawn.create_subprocess_exec(
        "/bin/sh", "-c", f"{program}{ORPHAN}echo ready; wait", stdout=aiospawn.PIPE, process_group=0
    )
    for _ in range(program.count("ready") + 1):
        assert await process.stdout.readline() == b"ready\\n"
    status = await process.stop(grace=1000)
    print(-status == signal.SIGTERM, (await process.stdout.read()).decode(), end="")

assert os.getpid() == 1
asyncio.Runner(loop_factory=getattr(aiospawn, sys.argv[1])).run(stopped(PROGRAMS[sys.argv[2]]))
"""


@pytest.mark.parametrize(("member", "said"), [("none", ""), ("slow", "had its time\n"), ("threaded", "had its time\n")])
@pytest.mark.parametrize("loop", ["new_event_loop", "new_uvloop_event_loop"])
def test_zombies_are_not_waited_for(loop: str, member: str, said: str) -> None:
    """A group of which only the dead are left has ended; a member that lives has its grace."""
    if lacks("sys_admin") or shutil.which("unshare") is None:
        pytest.skip("needs a PID namespace")
    if "uvloop" in loop:
        pytest.importorskip("uvloop")
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [*namespace, sys.executable, "-c", _SCRIPT, loop, member]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"True {said}", "")
