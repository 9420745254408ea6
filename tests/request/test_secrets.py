"""What the parent knows stays with the parent, also while the launcher does its work."""

from __future__ import annotations

import fresh
import pytest

pytestmark = pytest.mark.once

# The launcher is held at its execve, and all of its memory is read.
_PROGRAM = """
import asyncio, contextlib, os, threading
import aiospawn, fresh, seccomp

SECRET = bytes.fromhex("aa55") * 8  # here in this form only
parts = [bytearray(SECRET) for _ in range(1000)]  # on the heap
stack = bytes(SECRET)

def memory(pid):
    with open(f"/proc/{{pid}}/maps") as maps, open(f"/proc/{{pid}}/mem", "rb", 0) as mem:
        for line in maps.readlines():  # all at once: what is read makes mappings of its own, in flight there too
            start, end = (int(place, 16) for place in line.split()[0].split("-"))
            if line.split()[1][0] == "r" and "[v" not in line:
                for page in range(start, end, 4096):
                    mem.seek(page)
                    with contextlib.suppress(OSError):  # a guard page in a stack (Linux 6.13)
                        yield mem.read(4096)

def look():
    identity, pid = gate.arrival()
    while os.path.exists(f"/proc/self/task/{{pid}}"):
        gate.let_through(identity)
        identity, pid = gate.arrival()
    found.append(b"".join(memory(pid)))
    gate.let_through(identity)

async def main():
    process = await aiospawn.create_subprocess_exec("/bin/true", "an argument", **{options})
    assert await process.wait() == 0

found = []
assert aiospawn.supported().features["launcher"]
loop = fresh.new_event_loop()
ready = threading.Event()
looker = threading.Thread(target=lambda: (ready.wait(), look()))
looker.start()
gate = seccomp.Gate()
ready.set()
loop.run_until_complete(main())
loop.close()
looker.join()
assert b"an argument" in found[0]
print(SECRET in found[0])
"""


def test_launcher_has_none_of_the_memory(variant: str) -> None:
    """The launcher's memory holds the request and nothing of the parent's."""
    options = '{"via": "launcher", "umask": 0o22}'
    assert fresh.run(_PROGRAM.format(options=options), variant) == "False\n"


def test_child_in_flight_has_all_of_it() -> None:
    """A child that shares the memory does see it until its execve: the look does find what is there."""
    assert fresh.run(_PROGRAM.format(options="{}")) == "True\n"
