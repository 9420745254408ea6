"""`hook=`: a C function runs in the child, and whatever it does is the child's business alone."""

import ctypes
import pathlib
import platform
import shutil
import signal
from collections.abc import Callable
from typing import Any

import fresh
import pytest
from example_programs import run
from place import Place, lacks

import aiospawn
from aiospawn import NativeHook


def test_the_example_runs() -> None:
    """The hook that a reader is shown does what it says."""
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    assert run("native_hook.py") == "without the hook: 00000000\nwith it: 00040000\n"


async def _ends(hook: NativeHook, **options: Any) -> int:
    process = await aiospawn.create_subprocess_exec("true", hook=hook, **options)
    return await process.wait()


async def test_success(hook: Callable[..., NativeHook]) -> None:
    """Zero means that the program runs."""
    assert await _ends(hook("give", 0)) == 0


@pytest.mark.parametrize("number", [13, -13 & 0xFFFFFFFF])
async def test_error(hook: Callable[..., NativeHook], number: int) -> None:
    """Anything else is an errno, of either sign."""
    with pytest.raises(PermissionError, match="hook") as caught:
        await _ends(hook("give", number))
    assert caught.value.step == "hook"  # type: ignore[attr-defined]
    assert caught.value.filename is None


_TRAP = {"x86_64": signal.SIGILL, "aarch64": signal.SIGTRAP}[platform.machine()]


@pytest.mark.parametrize(("name", "number"), [("crash", signal.SIGSEGV), ("trap", _TRAP)])
async def test_crash(hook: Callable[..., NativeHook], name: str, number: signal.Signals) -> None:
    """A crash is the child's end, and nobody else's: the next launch works."""
    with pytest.raises(ChildProcessError, match=number.name):
        await _ends(hook(name, 16))
    assert await _ends(hook("give", 0)) == 0


async def test_stack(hook: Callable[..., NativeHook]) -> None:
    """Of 64 KiB of stack nearly all is the hook's; behind them is a page that nobody may touch."""
    assert await _ends(hook("use_stack", 56 * 1024)) == 0
    with pytest.raises(ChildProcessError, match="SIGSEGV"):
        await _ends(hook("use_stack", 1024 * 1024))
    assert await _ends(hook("give", 0)) == 0


async def test_signals_are_blocked(hook: Callable[..., NativeHook]) -> None:
    """No signal comes in while the hook runs."""
    assert await _ends(hook("signals_are_blocked")) == 0


async def test_descriptors_are_open(hook: Callable[..., NativeHook], tmp_path: pathlib.Path) -> None:
    """What the parent has open, the hook may use; it is closed afterwards."""
    with Place(tmp_path) as place:
        assert await _ends(hook("has_descriptor", place.reader), pass_fds=[0]) == 0
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        await _ends(hook("has_descriptor", 987), pass_fds=[0])
    assert caught.value.step == "hook"  # type: ignore[attr-defined]


async def test_place_in_the_order(hook: Callable[..., NativeHook]) -> None:
    """The hook runs as the user that the program will be, in memory that is not the parent's then."""
    if missing := lacks("setuid"):
        pytest.skip(f"needs {', '.join(missing)}")
    memory = ctypes.create_string_buffer(1)
    assert await _ends(hook("user_is", 1000), user=1000) == 0
    assert await _ends(hook("write_one", ctypes.addressof(memory)), user=1000) == 0
    assert memory.raw == b"\0"


# ---- a core dump ------------------------------------------------------------------------------------------------------

_DUMPED = """
import asyncio, ctypes, os, resource, signal
import aiospawn, fresh

async def main():
    loaded = ctypes.CDLL(os.environ["LIBRARY"])
    hook = aiospawn.NativeHook(ctypes.cast(loaded.crash, ctypes.c_void_p).value, 16)
    for limit in (0, resource.RLIM_INFINITY):
        for _ in range(3):
            try:
                await aiospawn.create_subprocess_exec("true", hook=hook, rlimits={resource.RLIMIT_CORE: (limit, limit)})
            except ChildProcessError as error:
                assert "SIGSEGV" in str(error)
            else:
                raise AssertionError("launched")
        if limit == 0:
            assert os.listdir() == [], os.listdir()
    process = await aiospawn.create_subprocess_exec("true")
    assert await process.wait() == 0

os.chdir(os.environ["DIRECTORY"])
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
print("alive")
"""


def test_core_dump(library: str, variant: str, tmp_path: pathlib.Path) -> None:
    """A hook that crashes while cores are dumped ends the child only; with a limit of zero there is no core."""
    assert fresh.run(_DUMPED, variant, LIBRARY=library, DIRECTORY=str(tmp_path)) == "alive\n"
