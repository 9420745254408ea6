"""A child that waits on its way to the program (for a FIFO, a slow directory) held every descriptor of its parent meanwhile.

Another child's standard input never ended, nor did a socket for its peer, and with many descriptors the launch of another
child never returned: the end of its status pipe was in the copied table. subprocess has the first two, with a child that is
slow to execute its program.
"""

import fresh
import pytest

pytestmark = pytest.mark.once

_FRAME = """
import asyncio, os, pathlib, socket, subprocess, tempfile, threading, time
import aiospawn, fresh, seccomp

NULL = {"stdin": -3, "stdout": -3, "stderr": -3}

class AtFifo:
    "Children wait for the other side of a FIFO."

    def __init__(self, directory):
        self.path = os.path.join(directory, "fifo")
        os.mkfifo(self.path)
        self.options = {"open_fds": {9: (self.path, os.O_RDONLY)}}

    def wait(self):
        while True:
            for pid in fresh.children():
                try:
                    if pathlib.Path(f"/proc/{pid}/wchan").read_text() == "wait_for_partner":
                        return
                except OSError:
                    pass
            time.sleep(0.001)

    def let_go(self):
        os.close(os.open(self.path, os.O_WRONLY))

class AtDirectory:
    "Children wait in chdir."

    def __init__(self, directory):
        self.gate = seccomp.Gate(seccomp.CHDIR)
        self.options = {"cwd": directory}

    def wait(self):
        self.identity, _ = self.gate.arrival()

    def let_go(self):
        self.gate.let_through(self.identity)
"""

_LOOKED_AT_BY_A_THREAD = (
    _FRAME
    + """
def act(place, others):
    place.wait()
    try:
        for close, is_over in others:
            close()
            is_over()
    finally:
        place.let_go()

ours, peer = socket.socketpair()  # of low numbers, which are copied also from a shared table
ours.set_inheritable(True)
peer.settimeout(60)

async def main(place, **way):
    cat = subprocess.Popen("cat", stdin=subprocess.PIPE)
    kept, end = os.pipe()
    os.set_blocking(kept, False)
    if "pass_fds" in way:
        way["pass_fds"] = [kept]
    failed = []
    def watch():
        try:
            act(place, [(ours.close, lambda: peer.recv(1)), (cat.stdin.close, lambda: cat.wait(60))])
        except Exception as error:
            failed.append(repr(error))
    thread = threading.Thread(target=watch)
    thread.start()
    process = await aiospawn.create_subprocess_exec("true", **NULL, **place.options, **way)
    assert await process.wait() == 0
    thread.join()
    cat.kill()
    assert not failed, failed

loop = fresh.new_event_loop()
assert aiospawn.supported()
with tempfile.TemporaryDirectory() as directory:
    loop.run_until_complete(main(%(place)s(directory), **%(way)s))
loop.close()
"""
)


@pytest.mark.parametrize("crowd", [0, 600])
@pytest.mark.parametrize(
    ("way", "without"),
    [({}, ""), ({"via": "launcher"}, ""), ({"pass_fds": []}, ""), ({}, "close_range")],
    ids=["direct", "launcher", "pass_fds", "one by one"],
)
@pytest.mark.parametrize("place", ["AtFifo", "AtDirectory"])
def test_what_the_parent_closes_is_closed(
    variant: str, place: str, way: dict[str, object], without: str, crowd: int
) -> None:
    """The peer of a socket, and another child that reads from a pipe, see the end that the parent has made."""
    program = _LOOKED_AT_BY_A_THREAD % {"place": place, "way": way}
    assert fresh.run(program, variant, crowd, AIOSPAWN_WITHOUT=without) == ""


_ANOTHER_LAUNCH = (
    _FRAME
    + """
def open_gate(gate, both_cloned):
    both_cloned.wait()
    while True:
        gate.let_through(gate.arrival()[0])

async def main(place, **way):
    gate = seccomp.Gate(seccomp.CLOSE_RANGE)
    both_cloned = threading.Event()
    threading.Thread(target=open_gate, args=(gate, both_cloned), daemon=True).start()
    other = asyncio.create_task(aiospawn.create_subprocess_exec("cat", stdin=-1, stdout=-3, stderr=-3))
    lingers = asyncio.create_task(aiospawn.create_subprocess_exec("true", **NULL, **place.options, **way))
    await asyncio.sleep(0)
    both_cloned.set()  # until then the other child is in the shared table: its ends are in the copy that the second got
    try:
        cat = await asyncio.wait_for(asyncio.shield(other), 60)
        assert not lingers.done()
        if way.get("close_fds", True):
            cat.stdin.close()
            assert await asyncio.wait_for(cat.wait(), 60) == 0
    finally:
        await asyncio.to_thread(place.let_go)
    assert await (await lingers).wait() == 0
    (await other).stdin.close()
    assert await (await other).wait() == 0
    await asyncio.get_running_loop().shutdown_default_executor()

loop = fresh.new_event_loop()
assert aiospawn.supported()
with tempfile.TemporaryDirectory() as directory:
    loop.run_until_complete(main(AtFifo(directory), **%(way)s))
loop.close()
"""
)


@pytest.mark.parametrize(
    "way", [{}, {"via": "launcher"}, {"pass_fds": [1]}, {"close_fds": False}], ids=["direct", "launcher", "pass_fds", "all"]
)
@pytest.mark.loops("concurrent")
def test_another_launch_returns(variant: str, way: dict[str, object]) -> None:
    """A child that shares the table for a moment is launched while one with a copy of it is: both see to their own."""
    assert fresh.run(_ANOTHER_LAUNCH % {"way": way}, variant, 600) == ""
