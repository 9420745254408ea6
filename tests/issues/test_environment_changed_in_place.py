"""Children that inherit the environment have it as it is, in whatever way it was changed.

The process crashed where `environ` had become a shorter array, and did not see a string that had been changed in place.
"""

import fresh
import pytest

_PROGRAM = """
import asyncio, ctypes, mmap, os, subprocess
import aiospawn, fresh

libc = ctypes.CDLL(None)
environ = ctypes.c_void_p.in_dll(libc, "environ")
PAGE = mmap.PAGESIZE
kept = []

def at_the_end_of_a_page(data):
    "Its address; whoever reads beyond it crashes."
    size = (len(data) // PAGE + 1) * PAGE
    memory = mmap.mmap(-1, size + PAGE)
    kept.append(memory)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert libc.mprotect(ctypes.c_void_p(start + size), PAGE, 0) == 0
    ctypes.memmove(start + size - len(data), data, len(data))
    return start + size - len(data)

def array(*strings):
    pointers = [at_the_end_of_a_page(string + b"\\0") for string in strings]
    return at_the_end_of_a_page(bytes((ctypes.c_void_p * (len(strings) + 1))(*pointers)))

async def ours():
    process = await aiospawn.create_subprocess_exec("/usr/bin/env", "-0", stdout=-1)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output

def stock():
    return subprocess.run(["/usr/bin/env", "-0"], stdout=-1, check=True, cwd="/").stdout  # cwd: not by posix_spawn

async def same():
    output = await ours()
    assert output == stock(), (output, stock())
    return output

async def main():
{body}

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""

_ARRAYS = """
    whole = await same()
    assert whole.count(b"\\0") > 2
    before = environ.value
    for strings in ([b"A=1"], [], [b"A=1", b"B=2"], [b"A=2", b"B=2"], [b"no equals sign", b"A="]):
        environ.value = array(*strings)
        assert await same() == b"".join(string + b"\\0" for string in strings)
    environ.value = None
    assert await ours() == b""
    environ.value = before
    assert await same() == whole
"""
_STRINGS = """
    text = ctypes.create_string_buffer(b"CHANGED=before")
    assert libc.putenv(text) == 0
    for value in (b"before", b"behind", b"x", b""):
        text.value = b"CHANGED=" + value
        assert b"CHANGED=" + value + b"\\0" in await same()
    text.value = b"OTHER=name"
    assert b"OTHER=name\\0" in await same()
    os.unsetenv("OTHER")
"""
_FUNCTIONS = """
    for change, shown in (
        (lambda: os.putenv("A", "1"), b"A=1\\0"),
        (lambda: os.putenv("A", "1" * 5000), b"A=" + b"1" * 5000 + b"\\0"),
        (lambda: os.environ.update({f"A{number}": "x" for number in range(500)}), b"A499=x\\0"),
        (lambda: os.unsetenv("A"), b"A0=x\\0"),
        (libc.clearenv, b""),
        (lambda: os.putenv("A", "2"), b"A=2\\0"),
    ):
        change()
        for _ in range(2):
            assert shown in await same()
"""


@pytest.mark.parametrize("body", [_ARRAYS, _STRINGS, _FUNCTIONS], ids=["arrays", "strings", "functions"])
def test_inherited(variant: str, body: str) -> None:
    """As `subprocess`'s children have it: another array, none, strings written to, the C library's functions."""
    assert fresh.run(_PROGRAM.format(body=body), variant) == ""


def test_beside_a_thread_that_changes_it() -> None:
    """A thread's os.putenv() moves the array while launches read it."""
    body = """
    import threading
    stop = threading.Event()

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            os.putenv(f"N{number % 3000}", "x" * (number % 50))
            if number % 3000 == 0:
                libc.clearenv()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(100):
            variables = (await ours()).split(b"\\0")[:-1]
            assert all(b"=" in variable for variable in variables), variables
    finally:
        stop.set()
        thread.join()
"""
    assert fresh.run(_PROGRAM.format(body=body)) == ""
