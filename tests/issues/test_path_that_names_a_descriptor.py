"""A directory named by a descriptor (`/proc/self/fd/7`) was not found from about 256 descriptors on, nor by the launcher.

The descriptor has to be there when the child takes the step. subprocess closes descriptors behind the directory.
"""

import fresh
import pytest

pytestmark = pytest.mark.once

_PROGRAM = """
import asyncio, os, tempfile
import aiospawn, fresh

async def output(**options):
    command = ("sh", "-c", "pwd; ls -l /proc/self/fd | wc -l")
    process = await aiospawn.create_subprocess_exec(*command, stdin=-3, stdout=-1, **options)
    return (await process.communicate())[0].decode().split("\\n")[:2]

async def main(directory):
    os.mkdir(os.path.join(directory, "sub"))
    with open(os.path.join(directory, "file"), "w") as file:
        file.write("text")
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    _, few = await output()
    for via in (None, "launcher"):
        for path in (f"/proc/self/fd/{fd}", f"/dev/fd/{fd}/", f"//proc/thread-self/./fd//{fd}"):
            assert await output(cwd=path, via=via) == [directory, few], path
            assert await output(cwd=path.encode() + b"/sub", via=via) == [directory + "/sub", few], path
        process = await aiospawn.create_subprocess_exec(
            "cat", stdout=-1, open_fds={0: (f"/proc/self/fd/{fd}/file", os.O_RDONLY)}, via=via
        )
        assert (await process.communicate())[0] == b"text"

loop = fresh.new_event_loop()
assert aiospawn.supported()
with tempfile.TemporaryDirectory() as directory:
    loop.run_until_complete(main(os.path.realpath(directory)))
loop.close()
"""


@pytest.mark.parametrize("crowd", [0, 600])
def test_it_is_found(variant: str, crowd: int) -> None:
    """By the directory and by files that the child opens; and no program gets it."""
    assert fresh.run(_PROGRAM, variant, crowd) == ""
