"""systemd's rules of restarting, without a process."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from aiospawn._commands.restart import Backoff, StartLimit, rules

# The table of exit causes in systemd.service(5), at Restart=.
_CAUSES = {
    "clean exit code": ("success", 0), "clean signal": ("success", -signal.SIGTERM), "unclean exit code": ("exit-code", 1),
    "unclean signal": ("signal", -signal.SIGKILL), "core dump": ("core-dump", -signal.SIGSEGV), "timeout": ("timeout", -15),
    "watchdog": ("watchdog", -15), "launch": ("resources", None),
}  # fmt: skip
_EFFECTS = {
    "no": set(),
    "always": {*_CAUSES},
    "on-success": {"clean exit code", "clean signal"},
    "on-failure": {"unclean exit code", "unclean signal", "core dump", "timeout", "watchdog", "launch"},
    "on-abnormal": {"unclean signal", "core dump", "timeout", "watchdog"},
    "on-abort": {"unclean signal", "core dump"},
    "on-watchdog": {"watchdog"},
}


@pytest.mark.parametrize("restart", _EFFECTS)
def test_table(restart: str) -> None:
    """Each policy restarts after what systemd's table says."""
    policy = rules(restart, (), (), ())
    assert {cause for cause, (result, code) in _CAUSES.items() if policy.restarts(result, code)} == _EFFECTS[restart]  # type: ignore[arg-type]


def test_results() -> None:
    """Of an end by itself: the table's causes again, and the return codes that are named."""
    policy = rules("on-failure", (), (), ())
    for cause, (result, code) in _CAUSES.items():
        if code is not None and cause not in ("timeout", "watchdog"):
            assert policy.result(code) == result
    assert rules("no", ("KILL", "sighup"), (), ()).success == {-signal.SIGKILL, -signal.SIGHUP}
    policy = rules("on-failure", (3, -signal.SIGKILL), (4,), (0,))
    assert [policy.result(code) for code in (3, -9, 4)] == ["success", "success", "exit-code"]
    assert not policy.restarts("exit-code", 4)
    assert policy.restarts("success", 0)


def test_delays() -> None:
    """Geometric steps up to the longest; jitter is added."""
    backoff = Backoff(1, 3, 8, 0.0)
    assert [round(backoff.delay(restarts), 6) for restarts in (1, 2, 3, 4, 5, 100)] == [1, 2, 4, 8, 8, 8]
    assert [Backoff(0, 2, 8, 0).delay(restarts) for restarts in (1, 2, 3)] == [0, 4, 8]
    delays = {Backoff(1, 0, None, 0.5).delay(1) for _ in range(50)}
    assert len(delays) > 1
    assert all(1 <= delay <= 1.5 for delay in delays)


def test_start_limit() -> None:
    """So many within the interval, which slides; zero is no limit."""
    limit = StartLimit(10, 2)
    assert [limit.allows(now) for now in (0, 1, 2, 9.9, 10, 10.5, 11)] == [True, True, False, False, True, False, True]
    for none in (StartLimit(0, 1), StartLimit(10, 0)):
        assert all(none.allows(0) for _ in range(5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: rules("on_failure", (), (), ()), ValueError, "restart must be one of 'no', .*, got 'on_failure'"),
        (lambda: rules("no", 3, (), ()), TypeError, "success_exit_status must be a collection of return codes, got 3"),
        (lambda: rules("no", (), (256,), ()), ValueError, "restart_prevent_exit_status must be between -64 and 255"),
        (lambda: Backoff(-1, 0, None, 0), ValueError, "restart_sec must not be negative, got -1"),
        (lambda: Backoff(float("inf"), 0, None, 0), ValueError, "restart_sec must be finite, got inf"),
        (lambda: Backoff(1, 3, None, 0), ValueError, "restart_steps=3 and restart_max_delay_sec=None: each needs the other"),
        (lambda: Backoff(2, 3, 1, 0), ValueError, "restart_max_delay_sec=1 is below restart_sec=2"),
        (lambda: Backoff(1, 0, None, 2), ValueError, "restart_jitter must be between 0 and 1, got 2"),
        (lambda: StartLimit("1", 0), TypeError, "start_limit_interval_sec must be a number of seconds, got '1'"),
        (lambda: StartLimit(1, -1), ValueError, "start_limit_burst must be between 0 and .*, got -1"),
    ],
)  # fmt: skip
def test_bad_values(make: Any, error: type[Exception], message: str) -> None:
    """By name and value."""
    with pytest.raises(error, match=message):
        make()
