"""The acceptance suites: CPython's own tests of asyncio's subprocesses, unchanged, on our loops."""

from __future__ import annotations

import importlib.util
import json
import sys

import fresh
import loops
import pytest

_POPEN = "mocks subprocess.Popen, which is not called"
_PIPES = "mocks loop.connect_read_pipe or connect_write_pipe; the pipes do not come from there"
_WATCHER = "mocks a child watcher or looks into one; none is used"

# Tests that look inside asyncio's own implementation, so they cannot pass on another one; with the minor versions of CPython
# that must have the test. Others may get it by a backport.
EXCLUDED = {
    "SubprocessMixin.test_pause_reading": (_PIPES, range(11, 16)),
    "SubprocessMixin.test_popen_error": (_POPEN, range(11, 16)),
    "SubprocessMixin.test_popen_error_with_stdin_pipe": (_POPEN, range(11, 16)),
    "SubprocessMixin.test_subprocess_read_pipe_cancelled": (_PIPES, range(14, 16)),
    "SubprocessMixin.test_subprocess_write_pipe_cancelled": (_PIPES, range(14, 16)),
    "SubprocessMixin.test_subprocess_read_write_pipe_cancelled": (_PIPES, range(14, 16)),
    "SubprocessWatcherMixin.test_watcher_implementation": (_WATCHER, range(14, 16)),
    "SubprocessThreadedWatcherTests.test_pid_not_reaped_before_exit_published": (_WATCHER, range(14, 16)),
    "GenericWatcherTests.test_create_subprocess_fails_with_inactive_watcher": (_WATCHER, range(11, 14)),
}
# Passes, and closes its loop while a grandchild may hold the pipe, from when wait() waited for that. Where asyncio's wait()
# no longer does, the test has no pipe.
UNTIDY = {"SubprocessMixin.test_kill_issue43884"}

# The tables may shrink, not grow. LEAST_PASSED is what CPython 3.11 has besides.
EXCLUSIONS, EXCUSES, LEAST_PASSED = 9, 1, 40


def _has_suites() -> bool:
    return importlib.util.find_spec("test") is not None and importlib.util.find_spec("test.test_asyncio") is not None


@pytest.mark.skipif(not _has_suites(), reason="this Python comes without its test package")
@pytest.mark.parametrize(
    ("variant", "crowd"),
    [
        *((variant, 0) for variant in loops.VARIANTS),
        *(pytest.param(variant, 300, marks=pytest.mark.once) for variant in loops.CONCURRENT),
    ],
    ids=lambda value: value if isinstance(value, str) else "crowded" if value else "few",
)
def test_suites(variant: str, crowd: int) -> None:
    """All pass and leave nothing behind, but those named above, which fail."""
    if variant.startswith("uvloop"):
        pytest.importorskip("uvloop")
    program = """
        import aiospawn, cpython_suite, fresh
        assert aiospawn.supported(), aiospawn.supported().reasons
        loop = fresh.new_event_loop()
        loop.close()
        cpython_suite.main(type(loop))
    """
    outcomes: dict[str, str] = json.loads(fresh.run(program, variant, crowd).splitlines()[-1])
    rest = {name: outcome for name, outcome in outcomes.items() if outcome != "passed"}
    unexpected = [
        f"{name} {outcome}"
        for name, outcome in rest.items()
        if name not in EXCLUDED and not (name in UNTIDY and outcome.startswith("untidy"))
    ]
    assert not unexpected, "\n\n".join(unexpected)
    assert len(outcomes) - len(rest) >= LEAST_PASSED - len(UNTIDY)

    passed_or_gone = [
        name
        for name, (_, versions) in EXCLUDED.items()
        if outcomes.get(name) == "passed" or (name not in outcomes and sys.version_info.minor in versions)
    ]
    assert passed_or_gone == []


def test_tables() -> None:
    """No test was added to those that may fail, or may leave something behind."""
    assert (len(EXCLUDED), len(UNTIDY)) == (EXCLUSIONS, EXCUSES)
