"""What the project holds itself to, each figure against another of the same run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._methods import COMMUNICATE, LIMIT, MAP, RUN, THEIR_COMMUNICATE
from ._tables import busiest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._results import Results, Series

__all__ = ["Verdict", "verdicts"]

_OURS, _OURS_ON_UVLOOP = "aiospawn", "aiospawn on uvloop"


class _Bounds(NamedTuple):
    rates: tuple[float, float]  # of `true` and of the no-op, times the C limit's
    cpu: float  # the loop thread's, times the C limit's
    cpu_of_asyncio: float


_WAYS = (
    (_OURS, "none", "create + wait", _Bounds((0.90, 0.70), 3.0, 0.35)),
    (COMMUNICATE, "pipe", "create + communicate", _Bounds((0.88, 0.65), 3.0, 0.35)),
    (RUN, "none", "aiospawn.run", _Bounds((0.90, 0.75), 2.5, 0.30)),
    (RUN, "pipe", "aiospawn.run, piped", _Bounds((0.90, 0.75), 2.5, 0.30)),
    (MAP, "none", "aiospawn.map", _Bounds((0.95, 0.85), 1.7, 0.20)),
    (MAP, "pipe", "aiospawn.map, piped", _Bounds((0.95, 0.85), 1.7, 0.20)),
)


class Verdict(NamedTuple):
    """One target: what was found, and what it was to be."""

    what: str
    value: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        side = "at least" if self.at_least else "at most"
        return f"{'met   ' if self.met else 'MISSED'}  {self.what}: {self.value:,.2f}, {side} {self.bound:g}"


class _Of:
    """Looks figures up; None where something was not measured."""

    def __init__(self, results: Results, benchmark: str, figure: str, **where: Any) -> None:
        self.series: Callable[[str], Series | None] = lambda method: results.series(benchmark, where, method, figure)

    def __getitem__(self, method: str) -> float | None:
        series = self.series(method)
        return None if series is None else series.median

    def ratio(self, method: str, other: str, of: _Of | None = None) -> float | None:
        """Round by round; `of` is where the other one is looked up."""
        ours, theirs = self.series(method), (of or self).series(other)
        return None if ours is None or theirs is None else ours.over(theirs)


def verdicts(results: Results) -> Iterator[Verdict]:
    """All targets whose figures were measured."""
    for what, value, bound, at_least in _targets(results):
        if value is not None:
            yield Verdict(what, value, bound, at_least)


_Target = tuple[str, float | None, float, bool]


def _targets(results: Results) -> Iterator[_Target]:
    yield from _rates(results)
    yield from _flatness(results)
    yield from _loop(results)
    yield from _live(results)
    yield from _pipes(results)


def _rates(results: Results) -> Iterator[_Target]:
    window = busiest(results.scale)

    def of(figure: str, program: str, capture: str) -> _Of:
        return _Of(results, "throughput", figure, program=program, capture=capture, window=window)

    plain, piped = of("per_s", "true", "none"), of("per_s", "true", "pipe")
    for name, rate, against in (
        ("create + wait", plain, (("Go os/exec", 1.0), ("asyncio", 1.4), ("uvloop", 6.0))),
        ("create + read + wait", piped, (("asyncio", 1.6), ("uvloop", 6.0))),
    ):
        for other, bound in against:
            yield f"{name}, {window} at a time, times {other}", rate.ratio(_OURS, other), bound, True
    for method, capture, words, bounds in _WAYS:
        for program, bound in zip(("true", "noop"), bounds.rates, strict=True):
            rate = of("per_s", program, capture)
            yield f"{words} of {program}, {window} at a time, times C limit", rate.ratio(method, LIMIT), bound, True
        cpu, theirs = of("loop_cpu_us", "true", capture), THEIR_COMMUNICATE if capture == "pipe" else "asyncio"
        yield f"loop thread's CPU, {words}, times C limit", cpu.ratio(method, LIMIT), bounds.cpu, False
        yield f"loop thread's CPU, {words}, times {theirs}", cpu.ratio(method, theirs), bounds.cpu_of_asyncio, False
    latency = _Of(results, "latency", "mean_us", program="true")
    yield "one at a time, times C posix_spawn + wait", latency.ratio(_OURS, "C posix_spawn"), 1.15, False


def _flatness(results: Results) -> Iterator[_Target]:
    for benchmark, parameter, sizes, share in (
        ("memory", "ballast", results.scale.ballast, 0.90),
        ("descriptors", "descriptors", results.scale.descriptors, 0.85),
    ):
        slices = [_Of(results, benchmark, "slice_us", window=1, **{parameter: size}) for size in sizes]
        rates = [_Of(results, benchmark, "per_s", window=64, **{parameter: size}) for size in sizes]
        if benchmark == "memory":
            yield "synchronous slice of a create, times asyncio", slices[0].ratio(_OURS, "asyncio"), 0.25, False
        for size, slice_, rate in list(zip(sizes, slices, rates, strict=True))[1:]:
            if benchmark == "descriptors" or size >= 1024:
                load = f"{size:,} {'MiB in use' if benchmark == 'memory' else 'descriptors'}"
                yield f"slice with {load}, times without", slice_.ratio(_OURS, _OURS, slices[0]), 1.15, False
                yield f"children/s with {load}, times without", rate.ratio(_OURS, _OURS, rates[0]), share, True
            if benchmark == "memory" and size == 1024:
                yield "children/s with 1,024 MiB in use, times uvloop", rate.ratio(_OURS, "uvloop"), 100, True
            if benchmark == "descriptors" and size == 15_000:
                yield "children/s with 15,000 descriptors, times asyncio", rate.ratio(_OURS, "asyncio"), 5, True


def _loop(results: Results) -> Iterator[_Target]:
    paced = _Of(results, "loop", "stall_p99_ms", situation="paced")
    yield "p99 stall, paced, times asyncio", paced.ratio(_OURS, "asyncio"), 0.5, False
    delayed = _Of(results, "loop", "stall_worst_ms", situation="delayed")
    yield "worst stall while an execve takes 1 s, ms", delayed[_OURS], 5, False


def _live(results: Results) -> Iterator[_Target]:
    few, many = min(results.scale.live), max(results.scale.live)
    yield f"KiB for each of {many:,} alive", _Of(results, "live", "live_kib_each", live=many)[_OURS], 3, False
    rates = [_Of(results, "live", "per_s", situation="alive", live=live) for live in (many, few)]
    yield f"children/s with {many:,} alive, times with {few}", rates[0].ratio(_OURS, _OURS, rates[1]), 0.80, True


def _pipes(results: Results) -> Iterator[_Target]:
    for direction, way in (("read", "from a child"), ("write", "to a child")):
        for through in ("streams", "transport"):
            rate = _Of(results, "pipes", "mib_per_s", direction=direction, through=through)
            yield f"MiB/s {way}, {through}, times asyncio", rate.ratio(_OURS, "asyncio"), 1.0, True
            yield f"MiB/s {way}, {through}, on uvloop, times uvloop", rate.ratio(_OURS_ON_UVLOOP, "uvloop"), 1.0, True
