"""The fixture that looks for what a test leaves behind does find it; and no part of the test house is unused."""

from __future__ import annotations

import ast
import pathlib
import re
from typing import TYPE_CHECKING

import child

if TYPE_CHECKING:
    import pytest

_TESTS = pathlib.Path(__file__).parent
_SUPPORT = _TESTS / "support"

_LEAVING = """
import asyncio, os, subprocess, threading
import pytest
import aiospawn

kept = []
opened = os.dup(0)

def test_descriptor():
    os.dup(0)

async def test_descriptor_of_a_coroutine():
    os.dup(0)

def test_descriptor_closed():
    os.close(opened)

def test_descriptor_replaced():
    with open(__file__) as file:
        os.dup2(file.fileno(), 0)

def test_zombie():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

def test_child():
    kept.append(subprocess.Popen(["sleep", "1000"]))

def test_child_of_a_thread():
    launched, over = threading.Event(), threading.Event()
    def launch():
        kept.append(subprocess.Popen(["sleep", "1000"]))
        launched.set()
        over.wait()
    thread = threading.Thread(target=launch)
    kept.append((thread, over))
    thread.start()
    launched.wait()

@pytest.mark.loops("one")
async def test_child_of_a_loop():
    kept.append(await asyncio.create_subprocess_exec("sleep", "1000"))
    kept[-1]._transport._closed = True  # else its finalizer warns of it

async def test_task():
    asyncio.create_task(asyncio.sleep(1000))

def test_nothing():
    pass

async def test_nothing_of_a_coroutine():
    await (await asyncio.create_subprocess_exec("true")).wait()

@pytest.mark.loops("one")
async def test_nothing_once_the_loop_is_closed():
    loop, descriptor = asyncio.get_running_loop(), os.dup(0)
    close = loop.close
    loop.close = lambda: (os.close(descriptor), close())

def test_last_of_all():
    for each in kept:
        if isinstance(each, tuple):
            each[1].set()
            each[0].join()
        elif isinstance(each, subprocess.Popen):
            each.kill()
            each.wait()
        else:
            os.kill(each.pid, 9)
            os.waitpid(each.pid, 0)
"""

_FOUND = {
    "test_descriptor": "descriptors before and after",
    "test_descriptor_of_a_coroutine": "descriptors before and after",
    "test_descriptor_closed": "descriptors before and after",
    "test_descriptor_replaced": "descriptors before and after",
    "test_zombie": "children left",
    "test_child": "children left",
    "test_child_of_a_thread": "children left",
    "test_child_of_a_loop": "children left",
    "test_task": "tasks left",
}


def test_what_is_left_is_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that leave a descriptor, a zombie, a child or a task fail, on every loop, and others do not."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nasyncio_mode = 'auto'\n")
    pytester.makeconftest((_TESTS / "conftest.py").read_text())
    monkeypatch.setenv("PYTHONPATH", str(_SUPPORT), prepend=":")
    monkeypatch.setenv("COLUMNS", "200")
    pytester.makepyfile(_LEAVING)
    lines = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rEf", "--loops=stdlib,stdlib-vfork").outlines
    found = [
        match.groups() for line in lines if (match := re.match(r"(ERROR|FAILED) .*::(\w+)(\[.*\])? - .*?: ([\w ]+)", line))
    ]
    assert {(kind, name, text) for kind, name, _, text in found} == {("ERROR", name, text) for name, text in _FOUND.items()}
    loops = {name: [loop for _, found_name, loop, _ in found if found_name == name] for name in _FOUND}
    assert len(loops["test_descriptor_of_a_coroutine"]) == len(loops["test_task"]) == 2


def test_every_command_of_the_child_is_used() -> None:
    """Each command of the helper program is launched by some test, and none is asked for that is not there."""
    used = set()
    for path in _TESTS.glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "child":
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}: the command must be written out"
                used.add(node.args[0].value)
    assert used == set(child.COMMANDS)
