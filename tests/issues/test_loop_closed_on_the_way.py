"""A loop closed while its children were on their way never gave their reserved descriptors back.

They kept the ends of the children's pipes, and copies of the program's own streams, open for good. A later fork took
whatever was on the numbers by then for theirs, and closed it.
"""

import fresh
import pytest

_FRAME = """
import asyncio, os, threading
import aiospawn, fresh, seccomp

CHILDREN = 8
assert aiospawn.supported()  # before any system call is held: it is tried

async def launch():
    "Children that are cloned, of which the loop has not heard."
    creations = [
        asyncio.create_task(aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1, stderr=-1)) for _ in range(CHILDREN)
    ]
    await asyncio.sleep(0)
    assert len(fresh.children()) >= CHILDREN
    return creations

def closed_on_the_way():
    "The tasks are told of nothing any more, and are not to complain."
    loop = fresh.new_event_loop()
    creations = loop.run_until_complete(launch())
    loop.close()
    for creation in creations:
        creation._log_destroy_pending = False
    return creations

async def works():
    process = await aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    assert (await process.communicate(b"text"))[0] == b"text"

def run(main):
    loop = fresh.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
"""


def test_numbers_are_given_back(variant: str) -> None:
    """When the loop is closed, the block is whole, and no end of a pipe is left."""
    program = """
run(works)
whole, before = fresh.reserved(), fresh.descriptors()
creations = closed_on_the_way()
os.environ["FRESH_CROWD"] = "0"
after = fresh.descriptors()
assert fresh.reserved() == whole
assert not [after[fd] for fd in after if after[fd].startswith("pipe:") and after[fd] not in before.values()]
run(works)
os._exit(0)
"""
    assert fresh.run(_FRAME + program, variant, 400) == ""


@pytest.mark.loops("concurrent")
def test_fork_after_it(variant: str) -> None:
    """Where the children have not left in time, a fork leaves alone what the program has put on the numbers since."""
    program = """
gate = seccomp.Gate(seccomp.CLOSE_RANGE)
creations = closed_on_the_way()
for fd in fresh.descriptors():
    if fd > 2 and fd != gate._listener:
        os.close(fd)
own = [os.open("/", os.O_RDONLY) for _ in range(600)]
if not (child := os.fork()):
    os._exit(sum(os.path.exists(f"/proc/self/fd/{fd}") for fd in own) != len(own))
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
for pid in fresh.children():
    os.kill(pid, 9)
print(status, sum(os.path.exists(f"/proc/self/fd/{fd}") for fd in own), flush=True)
os._exit(0)
"""
    assert fresh.run(_FRAME + program, variant, 400) == "0 600\n"


@pytest.mark.loops("concurrent")
def test_given_back_later(variant: str) -> None:
    """Children that did not leave in time give the numbers back when they have: the next loop finds the block whole."""
    program = """
import time

run(works)
whole = fresh.reserved()
gate = seccomp.Gate(seccomp.CLOSE_RANGE)
creations = closed_on_the_way()
os.environ["FRESH_CROWD"] = "0"
assert len(fresh.reserved()) < len(whole)
for _ in range(CHILDREN):
    gate.let_through(gate.arrival()[0])  # out of the table
for _ in range(CHILDREN):
    gate.arrival()

def open_gate():
    while True:
        gate.let_through(gate.arrival()[0])

threading.Thread(target=open_gate, daemon=True).start()
run(works)
assert fresh.reserved() == whole
os._exit(0)
"""
    assert fresh.run(_FRAME + program, variant, 400) == ""
