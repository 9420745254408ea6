"""A launch with a file as a stream waited without limit for its child to leave the shared descriptor table.

A debugger, or SIGSTOP, stops a child there; the loop stood still until it went on. Now another child takes its place.
"""

import fresh
import pytest

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, os, tempfile, threading
import aiospawn, fresh, seccomp

STREAMS = {streams}

def open_gate(gate, held):
    held.append(gate.arrival())  # is never let through
    while True:
        gate.let_through(gate.arrival()[0])

async def main():
    held, gate = [], seccomp.Gate(seccomp.CLOSE_RANGE)
    threading.Thread(target=open_gate, args=(gate, held), daemon=True).start()
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 1)
        before = len(fresh.descriptors())
        process = await aiospawn.create_subprocess_exec("sh", "-c", "echo $$; cat >&2", stdin=-1, **STREAMS)
        assert len(fresh.children()) == 1
        _, error = await process.communicate(b"text")
        assert (error, process.returncode) == (b"text", 0)
        output.seek(0)
        assert output.read() == b"%d\\n" % process.pid
        assert held[0][1] != process.pid
        assert fresh.children() == []
        assert len(fresh.descriptors()) == before
        process = await aiospawn.create_subprocess_exec("true")
        assert await process.wait() == 0

loop = fresh.new_event_loop()
assert aiospawn.supported()
loop.run_until_complete(asyncio.sleep(0))
loop.run_until_complete(main())
loop.close()
"""


@pytest.mark.parametrize("streams", [{"stderr": -1}, {"stderr": -1, "via": "launcher"}], ids=["direct", "launcher"])
@pytest.mark.loops("concurrent")
def test_stopped_before_it_left(variant: str, streams: dict[str, object]) -> None:
    """The child that was stopped is killed and reaped, and the launch succeeds with another; the block is whole again."""
    assert fresh.run(_PROGRAM.format(streams=streams), variant, 1500) == ""
