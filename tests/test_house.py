"""The fixture that looks for what a test leaves behind does find it."""

from __future__ import annotations

import pathlib

import pytest

_TESTS = pathlib.Path(__file__).parent

_LEAKS = {
    "descriptor": "import os\ndef test_leak():\n    os.dup(0)\n",
    "zombie": "import os\ndef test_leak():\n    pid = os.fork()\n    if not pid:\n        os._exit(0)\n",
    "child": "import subprocess\nkept = []\ndef test_leak():\n    kept.append(subprocess.Popen(['sleep', '2']))\n",
    "task": "import asyncio\nasync def test_leak():\n    asyncio.create_task(asyncio.sleep(60))\n",
}


@pytest.mark.parametrize("kind", _LEAKS)
def test_leak_is_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A test that leaves a descriptor, a zombie, a child or a task is reported."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nasyncio_mode = 'auto'\n")
    pytester.makeconftest((_TESTS / "conftest.py").read_text())
    monkeypatch.setenv("PYTHONPATH", str(_TESTS), prepend=":")
    pytester.makepyfile(_LEAKS[kind])
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcomes = result.parseoutcomes()
    assert outcomes.get("errors"), outcomes
    assert outcomes.get("passed") == outcomes["errors"]
    result.stdout.fnmatch_lines(["*left:*" if kind != "descriptor" else "*descriptors before and after*"])
