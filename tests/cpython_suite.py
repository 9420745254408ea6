"""Runs CPython's own subprocess tests for asyncio on our loops, as a program: prints the outcomes as JSON.

    python cpython_suite.py stdlib|uvloop|stock

`stock` is asyncio's own loop, for comparison.
"""

from __future__ import annotations

import asyncio
import json
import sys
import unittest
import warnings
from typing import Any

from test.test_asyncio import test_events, test_subprocess
from test.test_asyncio import utils as test_utils


def _factory(kind: str) -> Any:
    if kind == "stock":
        return asyncio.new_event_loop
    import aiospawn

    assert aiospawn.supported(), aiospawn.supported().reasons
    return aiospawn.new_uvloop_event_loop if kind == "uvloop" else aiospawn.new_event_loop


class _OnOurLoop(test_utils.TestCase):  # type: ignore[misc]
    """What the test classes of CPython do themselves for each loop and watcher."""

    new_event_loop: Any

    def setUp(self) -> None:
        super().setUp()
        self.loop = type(self).new_event_loop()
        asyncio.set_event_loop(None)
        self.addCleanup(self.loop.close)


def _cases(factory: Any) -> list[type[unittest.TestCase]]:
    attributes = {"new_event_loop": staticmethod(factory)}
    return [
        type("SubprocessMixin", (test_subprocess.SubprocessMixin, _OnOurLoop), dict(attributes)),
        type("SubprocessTestsMixin", (test_events.SubprocessTestsMixin, _OnOurLoop), dict(attributes)),
    ]


class _Outcomes(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}

    def _note(self, test: unittest.TestCase, outcome: str) -> None:
        self.outcomes[f"{type(test).__name__}.{test._testMethodName}"] = outcome

    def addSuccess(self, test: Any) -> None:
        self._note(test, "passed")

    def addSkip(self, test: Any, reason: str) -> None:
        self._note(test, f"skipped: {reason}")

    def addFailure(self, test: Any, err: Any) -> None:
        self._note(test, "failed: " + self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    addError = addFailure  # type: ignore[assignment]  # noqa: N815 - unittest's name


def main(kind: str) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    suite = unittest.TestSuite()
    for case in _cases(_factory(kind)):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    result = _Outcomes()
    suite.run(result)
    print(json.dumps(result.outcomes))


if __name__ == "__main__":
    main(sys.argv[1])
