"""Where things lie in a checkout."""

import pathlib

__all__ = ["NATIVE", "ROOT", "SUPPORT", "TESTS"]

SUPPORT = pathlib.Path(__file__).parent  # the helpers: what programs of tests find
TESTS = SUPPORT.parent
ROOT = TESTS.parent
NATIVE = ROOT / "_native"
