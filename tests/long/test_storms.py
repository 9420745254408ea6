"""Short forms of the long runs: a soak of launches of every kind, and launches while other threads fork."""

import pathlib
import re
import subprocess
import sys

import fresh
import pytest
import soak

pytestmark = pytest.mark.once

HERE = pathlib.Path(__file__).parent


def _told(script: str, *arguments: str) -> str:
    command = [sys.executable, "-X", "faulthandler", HERE / script, *arguments]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.slow
def test_soak() -> None:
    """Nothing is lost, and descriptors, children, slots and memory stay what they were."""
    told = _told("soak.py", "--seconds", "15")
    (launches,) = re.findall(r"^(\d+) launches", told, re.MULTILINE)  # a fast machine prints its progress before
    assert int(launches) >= 2 * soak.ROUND


@pytest.mark.slow
def test_storm() -> None:
    """Four loops launch while eight threads fork: every child ends with its own status, and nothing hangs."""
    told = _told("storm.py", "--launches", "1000", "--forks", "101")
    launches, forks = map(int, re.findall(r"(\d+) (?:launches|forks)", told))
    assert launches >= 1000
    assert forks > 100


# ---- what a soak would find -------------------------------------------------------------------------------------------


def _sample(launches: int, resident: int = 30 << 20) -> soak.Sample:
    return soak.Sample(launches, resident, descriptors=9, reserved=9, children=0, stacks=3)


@pytest.mark.parametrize("changed", [{"descriptors": 10}, {"reserved": 8}, {"children": 1}, {"stacks": 65}], ids=str)
def test_leaks_are_found(changed: dict[str, int]) -> None:
    first = _sample(100)
    soak.check(first, first)
    with pytest.raises(soak.WrongError, match=next(iter(changed))):
        soak.check(first, first._replace(**changed))


@pytest.mark.parametrize(("a_launch", "wrong"), [(0.9, False), (1.1, True)])
def test_growth_is_found(a_launch: float, *, wrong: bool) -> None:
    samples = [_sample(count, int((30 << 20) + a_launch * count)) for count in range(0, 3_000_001, 10_000)]
    assert soak.slope(samples) == pytest.approx(a_launch, abs=1e-3)
    if wrong:
        with pytest.raises(soak.WrongError, match="grown"):
            soak.check_growth(samples)
    else:
        soak.check_growth(samples)


_LOST = """
import sys
import aiospawn, soak

async def wait(process):
    return 7 * bool(await original(process))

original = aiospawn.Process.wait
aiospawn.Process.wait = wait
sys.exit(soak.main(["--launches", "1"]))
"""


def test_a_lost_status_is_found() -> None:
    command = fresh.command(_LOST, flags=["-W", "ignore"])
    ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "exit status: 7, not" in ended.stderr or "status of the killed: 7, not" in ended.stderr
