"""The test suite beside busy processes, several times in a row: no test may depend on a quiet machine.

    python tests/long/beside_hogs.py [--hogs 8] [--rounds 3] [-- pytest's arguments]

The hogs are loops of the same priority as the tests (nice 0). Prints the time of each round; the status is 1 if one failed.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHECKOUT = pathlib.Path(__file__).parents[2]
_HOG = [sys.executable, "-c", "while True: pass"]
_QUICK = ["-n", "auto", "-m", "not slow"]  # the README's


@contextlib.contextmanager
def _hogs(number: int) -> Iterator[None]:
    hogs = [subprocess.Popen(_HOG, stdin=subprocess.DEVNULL) for _ in range(number)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
        for hog in hogs:
            hog.wait()


def _round(arguments: list[str]) -> tuple[int, float]:
    """The tests' exit status, and how many seconds they took."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], cwd=_CHECKOUT, check=False)
    return done.returncode, time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hogs", type=int, default=8, help="busy processes (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of the suite (default: 3)")
    parser.add_argument("arguments", nargs="*", help=f"pytest's arguments (default: {' '.join(_QUICK)!r})")
    options = parser.parse_args()
    failed = 0
    with _hogs(options.hogs):
        for number in range(1, options.rounds + 1):
            status, seconds = _round(options.arguments or _QUICK)
            failed += status != 0
            print(f"round {number}: {'passed' if status == 0 else f'FAILED ({status})'} in {seconds:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
