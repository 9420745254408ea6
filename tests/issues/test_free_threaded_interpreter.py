"""On a free-threaded CPython the build failed in the middle of the compilation, at a macro of CPython's."""

import os
import pathlib
import shutil
import subprocess
import sys

import fresh
import pytest
from paths import NATIVE

_SENTENCE = (
    "aiospawn needs a CPython with the global interpreter lock: free-threaded builds (such as python3.14t) are not supported"
)
_SIMULATED = "import sysconfig\nsysconfig.get_config_vars()['Py_GIL_DISABLED'] = {value}\n"


def _with(value: int | None, directory: pathlib.Path) -> dict[str, str]:
    """An environment in which every interpreter has this for sysconfig's Py_GIL_DISABLED."""
    (directory / "sitecustomize.py").write_text(_SIMULATED.format(value=value))
    return {**os.environ, "PYTHONPATH": str(directory), "COLUMNS": "1000"}


@pytest.mark.parametrize("value", [1, 0, None])
def test_the_check(value: int | None, tmp_path: pathlib.Path) -> None:
    """The build's check refuses such an interpreter, and no other: builds with the lock have 0 there, or nothing."""
    command = [sys.executable, NATIVE / "interpreter.py"]
    done = subprocess.run(command, env=_with(value, tmp_path), capture_output=True, text=True, check=False)
    assert bool(done.returncode) == bool(value)
    assert (_SENTENCE in done.stderr) == bool(value)


@pytest.mark.slow
def test_the_build(tmp_path: pathlib.Path) -> None:
    """CMake ends with that sentence, before anything is compiled."""
    if not (cmake := shutil.which("cmake")):
        pytest.skip("no cmake")
    command = [cmake, "-S", NATIVE, "-B", tmp_path / "build", f"-DPython_EXECUTABLE={sys.executable}"]
    done = subprocess.run(command, env=_with(1, tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert _SENTENCE in " ".join(done.stderr.split())


def test_without_the_native_part(tmp_path: pathlib.Path) -> None:
    """Where the package is imported all the same, `supported()` says what it would need and what this is."""
    program = (
        "import sys\nsys.modules['aiospawn._binding._ffi'] = None\nimport aiospawn\nprint(aiospawn.supported().reasons[0])"
    )
    shown = subprocess.run(fresh.command(program), env=_with(1, tmp_path), capture_output=True, text=True, check=True)
    assert "for a CPython with the global interpreter lock, this is linux, free-threaded" in shown.stdout
