"""A descriptor passed under the highest number that RLIMIT_NOFILE allows: the launch raised EMFILE, asyncio's does not.

The child's ends of the pipes were put above the numbers that the child is to have, where there was no place any more.
"""

import fresh
import pytest

pytestmark = pytest.mark.once

_LIMIT = 64
_PROGRAM = """
import asyncio, os, resource, subprocess
import aiospawn, fresh

LIMIT = {limit}
LAST = LIMIT - 1
loop = fresh.new_event_loop()
resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def opened(number):
    "A file that tells its number."
    fd = os.memfd_create(f"file {{number}}")
    os.dup2(fd, number)
    os.close(fd)
    return number

async def links(wanted, **options):
    "The child has these files under these numbers, and no other descriptors."
    command = "".join(f"readlink /proc/$$/fd/{{number}} || echo none; " for number in wanted)
    process = await aiospawn.create_subprocess_exec(
        "sh", "-c", command + "cd /proc/$$/fd; echo *", stdin=-1, stdout=-1, stderr=-1, **options)
    output, error = await process.communicate()
    assert error == b"", error
    *found, numbers = output.decode().splitlines()
    there = dict(zip(wanted, [each.removeprefix("/memfd:").removesuffix(" (deleted)") for each in found], strict=True))
    assert there == wanted, (there, wanted)
    listing = next(number for number in range(3, LIMIT) if number not in wanted)  # the shell's own, of the directory
    assert {{int(number) for number in numbers.split()}} == {{0, 1, 2, listing, *wanted}}, numbers

async def main():
{body}

before = fresh.descriptors()
loop.run_until_complete(main())
now = {{number: file for number, file in fresh.descriptors().items() if not file.startswith("/memfd:file")}}
assert len(now) == len(before), (before, now)
loop.close()
"""

_BODIES = {
    "pass_fds": """
    assert subprocess.run(["true"], pass_fds=[opened(LAST)]).returncode == 0
    await links({LAST: f"file {LAST}"}, pass_fds=[LAST])
    numbers = [opened(number) for number in range(LAST, LAST - 8, -1)]
    await links({number: f"file {number}" for number in numbers}, pass_fds=numbers)
    """,
    "fds": """
    opened(LAST - 20)
    await links({LAST: f"file {LAST - 20}"}, fds={LAST: LAST - 20})
    numbers = range(LAST - 8, LIMIT)
    await links(dict.fromkeys(numbers, f"file {LAST - 20}"), fds=dict.fromkeys(numbers, LAST - 20))
    """,
    "fds that change places": """
    numbers = [opened(number) for number in range(LAST - 5, LIMIT)]
    turned = dict(zip(numbers, numbers[1:] + numbers[:1]))
    await links({number: f"file {source}" for number, source in turned.items()}, fds=turned)
    scattered = {number: LAST for number in range(25, LAST, 2)} | {LAST: LAST - 1}
    await links({number: f"file {source}" for number, source in scattered.items()}, fds=scattered)
    """,
    "open_fds": """
    await links({LAST: "/dev/zero"}, open_fds={LAST: ("/dev/zero", os.O_RDONLY)})
    """,
    "the launcher": """
    numbers = [opened(number) for number in (LAST - 1, LAST)]
    turned = {LAST: LAST - 1, LAST - 1: LAST}
    await links({LAST: f"file {LAST - 1}", LAST - 1: f"file {LAST}"}, fds=turned, via="launcher")
    await links({LAST: f"file {LAST}"}, pass_fds=[LAST], user=os.getuid())
    """,
    "a terminal": """
    opened(LAST)
    process = await aiospawn.create_subprocess_exec("sh", "-c", f"readlink /proc/$$/fd/{LAST}", pty=True, pass_fds=[LAST])
    output, _ = await process.communicate()
    assert output.startswith(f"/memfd:file {LAST}".encode()), output
    """,
    "none left": """
    opened(LAST)
    kept = []
    while True:
        try:
            kept.append(os.dup(0))
        except OSError:
            break
    for spare in range(4):
        try:
            await aiospawn.create_subprocess_exec("true", pass_fds=[LAST], stdout=-1)
        except OSError as error:
            assert error.errno == 24, error
        else:
            raise AssertionError(f"with {spare} descriptors")
        os.close(kept.pop())
    for fd in kept:
        os.close(fd)
    """,
}


@pytest.mark.parametrize("name", _BODIES)
def test_the_highest_number(variant: str, name: str) -> None:
    """The child has what it is to have under that number, and nothing else."""
    assert fresh.run(_PROGRAM.format(limit=_LIMIT, body=_BODIES[name]), variant) == ""
