"""CPython's own tests of asyncio's subprocesses, as they are, on a loop class of your choice; prints the outcomes as JSON.

`python tests/support/cpython_suite.py asyncio:new_event_loop` runs them on asyncio's own loop, for comparison.
"""

# ruff: noqa: N802 - unittest's names

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import io
import json
import os
import pkgutil
import signal
import sys
import unittest
import warnings
from typing import Any

import fresh
from test import support
from test.test_asyncio import test_events, test_subprocess
from test.test_asyncio import utils as test_utils

PATIENCE = 30.0  # seconds for one test, then the stacks are printed

# Not every version has all of them. The tests of child watchers have some among them that any launcher should pass; the last
# class leaves a child watcher behind that refuses everything.
_SOURCES = (
    (test_subprocess, "SubprocessMixin"),
    (test_events, "SubprocessTestsMixin"),
    (test_subprocess, "SubprocessWatcherMixin"),
    (test_subprocess, "SubprocessThreadedWatcherTests"),
    (test_subprocess, "GenericWatcherTests"),
)


class _OnTheLoop(test_utils.TestCase):  # type: ignore[misc]
    """What CPython's classes do for each kind of child watcher, without one."""

    def setUp(self) -> None:
        test_utils.TestCase.setUp(self)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(None)
        self.addCleanup(self._close, self.loop)

    def tearDown(self) -> None:
        test_utils.TestCase.tearDown(self)

    @staticmethod
    def _close(loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _tests() -> unittest.TestSuite:
    """Each test once, from the class that defines it."""
    suite = unittest.TestSuite()
    for module, class_name in _SOURCES:
        if source := getattr(module, class_name, None):
            case = type(class_name, (_OnTheLoop, source), {})
            suite.addTests(case(name) for name in vars(source) if name.startswith("test"))
    return suite


class _Outcomes(unittest.TestResult):
    """By name: "passed", "untidy: what it left or printed", "launched nothing", "skipped: why" or "failed: why"."""

    def __init__(self, loop_class: type[Any]) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}
        self._launches: list[str] = []
        self._complaints = io.StringIO()
        for name in ("subprocess_exec", "subprocess_shell"):
            setattr(loop_class, name, self._noting(getattr(loop_class, name)))

    def _noting(self, original: Any) -> Any:
        async def launch(loop: Any, *args: Any, **keywords: Any) -> Any:
            self._launches.append("a launch")
            return await original(loop, *args, **keywords)

        return launch

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        self._launches.clear()
        self._complaints = io.StringIO()
        self._stderr, sys.stderr = sys.stderr, self._complaints
        support.print_warning.orig_stderr = self._complaints  # type: ignore[attr-defined]
        self._descriptors, self._children = fresh.descriptors(), fresh.children()

    def stopTest(self, test: unittest.TestCase) -> None:
        gc.collect()
        left = [f"a child: {pid}" for pid in self._kill_children()]
        left += [f"a descriptor: {item}" for item in fresh.descriptors().items() - self._descriptors.items()]
        sys.stderr = self._stderr
        faulthandler.cancel_dump_traceback_later()
        if self.outcomes[_name(test)] == "passed":
            if left or self._complaints.getvalue():
                self._note(test, f"untidy: left {left}, printed: {self._complaints.getvalue()}")
            elif not self._launches:
                self._note(test, "launched nothing")
        super().stopTest(test)

    def _kill_children(self) -> list[int]:
        """A test that fails may leave a child that would run for an hour."""
        left = [pid for pid in fresh.children() if pid not in self._children]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return left

    def _note(self, test: unittest.TestCase, outcome: str) -> None:
        self.outcomes[_name(test)] = outcome

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._note(test, "passed")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._note(test, f"skipped: {reason}")

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self._note(test, "failed: " + self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.addError(test, err)

    addFailure = addError  # noqa: N815


def _name(test: unittest.TestCase) -> str:
    return f"{type(test).__name__}.{test._testMethodName}"


def main(loop_class: type[Any]) -> None:
    """Every loop that a test makes, by whatever way, is of this class."""
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DeprecationWarning)  # child watchers and policies, in the tests themselves
    asyncio.new_event_loop = asyncio.events.new_event_loop = loop_class
    loop_class().close()  # opens what uvloop opens once and keeps
    result = _Outcomes(loop_class)
    _tests().run(result)
    print(json.dumps(result.outcomes))


if __name__ == "__main__":
    with contextlib.closing(pkgutil.resolve_name(sys.argv[1])()) as loop:
        chosen = type(loop)
    main(chosen)
