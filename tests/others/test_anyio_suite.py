"""anyio's own tests of its subprocesses, from its source distribution, while `install()` replaces what launches."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import pathlib

pytestmark = pytest.mark.once

# What anyio's conftest.py imports for tests of TLS, which are not run here.
_TRUSTME = "class CA: pass\n"

# Loaded into anyio's pytest: every launch of its loops is ours, or the run fails; and how many there were.
_PLUGIN = """
import json, os
import aiospawn
from aiospawn._asyncio.transport import SubprocessTransport

aiospawn.install()
launches = 0
start = SubprocessTransport.start

async def counted(self, *args):
    global launches
    launches += 1
    return await start(self, *args)

SubprocessTransport.start = counted
outcomes = {}

def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        outcomes[report.nodeid.rpartition("::")[2]] = report.outcome

def pytest_sessionfinish():
    with open(os.environ["OUTCOMES"], "w") as file:
        json.dump({"launches": launches, "outcomes": outcomes}, file)
"""


@pytest.fixture(scope="module")
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The source distribution of the anyio that is installed, unpacked. It is downloaded once."""
    version = importlib.metadata.version("anyio")
    directory = tmp_path_factory.mktemp("anyio")
    archive = request.config.cache.mkdir("anyio") / f"anyio-{version}.tar.gz"
    if not archive.exists():
        _download(f"anyio=={version}", directory)
        shutil.move(directory / archive.name, archive)
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    return directory / f"anyio-{version}"


def _download(what: str, directory: pathlib.Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary=:all:",
        "--dest",
        str(directory),
        what,
    ]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if "(from versions: none)" in done.stderr:
        pytest.skip(f"no package index can be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.loops("spawns")
def test_subprocesses(suite: pathlib.Path, tmp_path: pathlib.Path, variant: str) -> None:
    """All pass: on asyncio's loop, with eager tasks, and on uvloop's; as many as anyio has for them, and ours launch."""
    (tmp_path / "trustme.py").write_text(_TRUSTME)
    (tmp_path / "launches_are_ours.py").write_text(_PLUGIN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "launches_are_ours", "-p", "no:asyncio", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [
            *command,
            "-k",
            "not trio",
            "--rootdir",
            str(suite),
            "-c",
            str(suite / "pyproject.toml"),
            "tests/test_subprocesses.py",
        ],
        cwd=suite,
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "OUTCOMES": str(tmp_path / "outcomes"),
            "AIOSPAWN_SPAWN": variant.partition("-")[2],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "outcomes").read_text())
    outcomes = told["outcomes"]
    for loop in ("asyncio", "asyncio+uvloop", *(["asyncio+eager"] if sys.version_info >= (3, 12) else [])):
        ran = [name for name, outcome in outcomes.items() if f"[{loop}" in name and outcome == "passed"]
        assert len(ran) >= 15, (loop, outcomes)
    assert told["launches"] > 40
