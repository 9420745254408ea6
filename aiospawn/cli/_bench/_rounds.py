"""Measuring: round after round, each case in a process of its own, the cases of a group in turn and in a rotating order."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn.cli._errors import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._cases import Case, Group

__all__ = ["Measurement", "check_descriptors", "hard_limit", "measured"]

_TICKS = os.sysconf("SC_CLK_TCK")
_TIMEOUT_S = 600


class Measurement(NamedTuple):
    """One case in one round. `foreign` is the share of the processors that others used meanwhile."""

    benchmark: str
    method: str
    parameters: dict[str, int | str]
    round: int
    load: float
    foreign: float
    figures: dict[str, Any]


def measured(groups: Sequence[Group], rounds: int, announce: Callable[[Group, Case], None]) -> Iterator[Measurement]:
    """All rounds of all groups. `announce` is called before each measurement.

    Raises OSError where a measurement fails and its failure is not its result.
    """
    for number in range(rounds):
        for group in groups:
            start = number % len(group.cases)
            for case in group.cases[start:] + group.cases[:start]:
                announce(group, case)
                yield _measured(group, case, number)


def _measured(group: Group, case: Case, number: int) -> Measurement:
    load, busy, own, started = os.getloadavg()[0], _busy_s(), _own_s(), perf_counter()
    with _descriptor_limit(group.descriptors):
        try:
            result = subprocess.run(
                case.command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S,
                env=os.environ | case.environment, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise OSError(f"{_told(group, case)} took more than {_TIMEOUT_S:g} s") from None
    elapsed = perf_counter() - started
    foreign = (_busy_s() - busy - (_own_s() - own)) / (elapsed * (os.cpu_count() or 1))
    if result.returncode == 0:
        figures = json.loads(result.stdout)
    elif case.may_fail:
        figures = {"launched": 0, "error": result.stderr.strip().splitlines()[-1]}
    else:
        raise OSError(f"{_told(group, case)} failed:\n{result.stderr.strip()}")
    return Measurement(
        group.benchmark,
        case.method,
        group.parameters,
        number,
        round(load, 2),
        round(min(1.0, max(0.0, foreign)), 3),
        figures,
    )


def _told(group: Group, case: Case) -> str:
    parameters = ", ".join(f"{name} {value}" for name, value in group.parameters.items())
    return f"{group.benchmark} ({parameters}): {case.method}"


def _busy_s() -> float:
    """Processor time that the machine has spent, without idling and waiting for discs; counted late, in ticks."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS


def _own_s() -> float:
    usages = resource.getrusage(resource.RUSAGE_CHILDREN), resource.getrusage(resource.RUSAGE_SELF)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def hard_limit() -> int:
    """Of descriptors: what this process may raise its soft RLIMIT_NOFILE to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    nr_open = int(Path("/proc/sys/fs/nr_open").read_text())
    if hard == resource.RLIM_INFINITY:
        return nr_open
    try:  # a privileged process may raise the hard one as well
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, nr_open))
    except (ValueError, OSError):
        return hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return nr_open


def check_descriptors(groups: Sequence[Group]) -> None:
    """Raises CannotRunError where the hard limit is in the way."""
    for group in groups:
        with _descriptor_limit(group.descriptors):
            pass


@contextmanager
def _descriptor_limit(needed: int) -> Iterator[None]:
    """Raises the soft RLIMIT_NOFILE as needed; the hard one too, where this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        yield
        return
    if needed <= hard or hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    else:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
        except (ValueError, OSError):
            raise CannotRunError(
                f"{needed:,} descriptors are needed and the hard RLIMIT_NOFILE is {hard:,}: raise it (ulimit -Hn), "
                "or choose other benchmarks"
            ) from None
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
