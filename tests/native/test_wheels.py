"""What is built by .ci/wheels, and what cibuildwheel would build, are the same wheels."""

from __future__ import annotations

import fnmatch
import importlib.machinery
import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from paths import ROOT

if TYPE_CHECKING:
    import pathlib

pytestmark = pytest.mark.once

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]


@pytest.fixture(scope="module")
def wheels() -> Any:
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("wheels_script", str(ROOT / ".ci" / "wheels"))
    spec = importlib.util.spec_from_loader("wheels_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["wheels_script"] = module  # its NamedTuple asks for it
    loader.exec_module(module)
    return module


def test_the_same_platforms(wheels: Any) -> None:
    """A C library and a processor each."""
    (prefix,) = (SETTINGS["build"].removesuffix("*"),)
    possible = itertools.product(("manylinux", "musllinux"), SETTINGS["archs"])
    skipped = [pattern.replace("{", "").replace("}", "") for pattern in _expanded(SETTINGS["skip"])]
    chosen = {
        f"{libc}_{processor}"
        for libc, processor in possible
        if not any(fnmatch.fnmatch(f"{prefix}{libc}_{processor}", pattern) for pattern in skipped)
    }
    assert chosen == {f"{each.tag.split('_')[0]}_{each.machine}" for each in wheels.PLATFORMS}


def _expanded(patterns: list[str]) -> list[str]:
    """Shell braces, one pair in each."""
    expanded = []
    for pattern in patterns:
        start, _, rest = pattern.partition("{")
        words, _, end = rest.partition("}")
        expanded += [f"{start}{word}{end}" for word in words.split(",")]
    return expanded


def test_no_older_c_library(wheels: Any) -> None:
    """The image in which cibuildwheel builds has a glibc no older than the tag of the script's wheel."""
    names = {"manylinux2014": (2, 17), "musllinux_1_2": (1, 2)}
    for platform in wheels.PLATFORMS:
        libc, major, minor, *_ = platform.tag.split("_")
        image = SETTINGS["linux"][f"{libc}-{platform.machine}-image"]
        version = names.get(image) or tuple(map(int, image.split("_")[1:]))
        assert version >= (int(major), int(minor)), platform


def test_the_same_audits(wheels: Any) -> None:
    """Each tool that the script runs on a wheel, and warnings as errors."""
    for requirement in wheels.AUDITORS:
        if not requirement.startswith("auditwheel"):  # cibuildwheel's own repair command runs it
            assert requirement in SETTINGS["audit-requires"]
    assert SETTINGS["config-settings"] == {"cmake.define.AIOSPAWN_WERROR": "ON"}


def test_one_wheel_for_every_python(wheels: Any) -> None:
    """Built with the oldest that is supported, for its stable ABI."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert SETTINGS["build"] == f"{settings['tool']['scikit-build']['wheel']['py-api']}-*"
    assert settings["project"]["requires-python"] == ">=3.11"
    assert wheels.LIMIT < 1 << 20


@pytest.mark.parametrize(("lacking", "what"), [("compiler", "A C compiler"), ("headers", "The file Python.h for {python}")])
def test_what_a_build_lacks(lacking: str, what: str, tmp_path: pathlib.Path) -> None:
    """An installation from source says in one sentence what is missing, and what to install."""
    cmake, ninja = shutil.which("cmake"), shutil.which("ninja")
    if cmake is None or ninja is None or (lacking == "headers" and shutil.which("cc") is None):
        pytest.skip("cmake, ninja and cc are not all installed")
    command = [cmake, "-G", "Ninja", "-S", ROOT / "_native", "-B", tmp_path / "build"]
    command.append(f"-DPython_EXECUTABLE={sys.executable}")
    environment = {name: value for name, value in os.environ.items() if name != "CC"}
    if lacking == "compiler":
        (tmp_path / "ninja").symlink_to(ninja)
        environment["PATH"] = str(tmp_path)
    else:
        command.append(f"-DPython_INCLUDE_DIR={tmp_path}")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    wanted = f"{what.format(python=sys.executable)} is needed to install aiospawn from source; on Debian: apt install gcc"
    assert f"{wanted} python3-dev. A wheel needs neither." in " ".join(done.stderr.split())
