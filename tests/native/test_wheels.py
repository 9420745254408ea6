"""What is built by .ci/wheels, and what cibuildwheel would build, are the same wheels."""

from __future__ import annotations

import fnmatch
import importlib.machinery
import importlib.util
import itertools
import sys
import tomllib
from typing import Any

import pytest
from paths import ROOT

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
