"""The benchmarks: for each, what is measured with which launchers. A group's cases are compared with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import _methods as by
from ._methods import EVERY, LIMIT, LOOPS, YARDSTICKS, Method
from ._scale import SPARE_DESCRIPTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._programs import Programs
    from ._scale import Scale

__all__ = ["BENCHMARKS", "COUNTED", "Benchmark", "Case", "Group"]

COUNTED_ON_ASYNCIO = ("create", "read", "communicate")
COUNTED = (*COUNTED_ON_ASYNCIO, "run", "map")


class Case(NamedTuple):
    """One launcher's part."""

    method: str
    command: list[str]
    environment: dict[str, str]
    may_fail: bool = False  # the failure is the result


class Group(NamedTuple):
    """What is measured in turn. `parameters` distinguish the groups of a benchmark."""

    benchmark: str
    parameters: dict[str, int | str]
    descriptors: int  # that a process must be able to open
    cases: list[Case]


class Benchmark(NamedTuple):
    """One name on the command line."""

    name: str
    summary: str
    groups: Callable[[Programs, Scale], Iterator[Group]]


def _launches(
    programs: Programs,
    scale: Scale,
    candidates: Sequence[Method],
    program: str,
    *,
    window: int,
    capture: str = "none",
    ballast: int = 0,
    descriptors: int = 0,
    live: int = 0,
) -> Iterator[Case]:
    """The cases of `launches`, in C and in Python."""
    common: dict[str, Any] = {"window": window, "capture": capture, "ballast": ballast, "descriptors": descriptors}
    for method in by.installed(candidates):
        if method.mode:
            command = by.in_c(
                programs, method.mode, [program], n=scale.launches, t=scale.seconds, w=window, b=ballast, d=descriptors,
                l=live, g=programs.gate if live else "", p=capture == "pipe",
            )  # fmt: skip
        else:
            command = by.in_python(
                "launches", method, [program], total=scale.launches, seconds=scale.seconds, live=live, gate=programs.gate,
                **common,
            )  # fmt: skip
        yield Case(method.name, command, method.environment)


def _memory(programs: Programs, scale: Scale) -> Iterator[Group]:
    for window, candidates in ((1, EVERY), (64, YARDSTICKS)):
        for ballast in scale.ballast:
            cases = _launches(programs, scale, candidates, programs.true, window=window, ballast=ballast)
            yield Group("memory", {"window": window, "ballast": ballast}, SPARE_DESCRIPTORS, list(cases))


def _descriptors(programs: Programs, scale: Scale) -> Iterator[Group]:
    for window, candidates in ((1, EVERY), (64, YARDSTICKS)):
        for count in scale.descriptors:
            cases = _launches(programs, scale, candidates, programs.true, window=window, descriptors=count)
            # One limit for all sizes: aiospawn decides by it whether to reserve descriptors at import.
            needed = SPARE_DESCRIPTORS + max(scale.descriptors)
            yield Group("descriptors", {"window": window, "descriptors": count}, needed, list(cases))


def _throughput(programs: Programs, scale: Scale) -> Iterator[Group]:
    for name, program in (("true", programs.true), ("noop", programs.noop)):
        for capture, windows in (("none", scale.windows), ("pipe", scale.piped_windows)):
            candidates = [*YARDSTICKS, *by.other_ways(capture)]
            for window in windows:
                cases = list(_launches(programs, scale, candidates, program, window=window, capture=capture))
                for peer, command in programs.peers.items():
                    line = by.of_peer(command, program, scale.launches, scale.seconds, window, capture)
                    cases.append(Case(peer, line, {}))
                parameters: dict[str, int | str] = {"program": name, "capture": capture, "window": window}
                yield Group("throughput", parameters, SPARE_DESCRIPTORS, cases)


def _loop(programs: Programs, scale: Scale) -> Iterator[Group]:
    candidates = by.installed([*LOOPS, *(each for each in EVERY if each.name == "aiospawn suspended")])

    def group(kind: str, situation: str, program: str, needed: int = 0, **fields: Any) -> Group:
        cases = [Case(each.name, by.in_python(kind, each, [program], **fields), each.environment) for each in candidates]
        return Group("loop", {"situation": situation}, SPARE_DESCRIPTORS + needed, cases)

    many = max(scale.descriptors)
    for situation, rate in (("idle", 0), ("paced", scale.rate)):
        yield group("paced", situation, programs.true, rate=rate, seconds=scale.paced_s, capture="pipe" if rate else "none")
    yield group("opening", "opening", programs.true, needed=many, descriptors=many, window=16)
    yield group("delayed", "delayed", programs.noop)


def _live(programs: Programs, scale: Scale) -> Iterator[Group]:
    for live in scale.live:
        cases = _launches(programs, scale, YARDSTICKS, programs.noop, window=64, capture="pipe", live=live)
        yield Group("live", {"situation": "alive", "live": live}, SPARE_DESCRIPTORS + 2 * max(scale.live), list(cases))
    yield Group(
        "live",
        {"situation": "storm", "live": scale.storm},
        SPARE_DESCRIPTORS + 2 * scale.storm,
        [
            Case(each.name, by.in_python("storm", each, [], live=scale.storm, gate=programs.gate), each.environment)
            for each in by.installed(LOOPS)
        ],
    )


def _pipes(programs: Programs, scale: Scale) -> Iterator[Group]:
    size = scale.pipe << 20
    for kind, argument in (("read", ["write", str(size)]), ("write", ["read"])):
        for through in ("streams", "transport"):
            cases = [Case(LIMIT, by.in_c(programs, kind, [programs.pump, *argument], n=size), {})]
            for method in by.installed(LOOPS):
                command = by.in_python(kind, method, [programs.pump], total=size, through=through)
                cases.append(Case(method.name, command, {}))
            yield Group("pipes", {"direction": kind, "through": through}, SPARE_DESCRIPTORS, cases)


def _latency(programs: Programs, scale: Scale) -> Iterator[Group]:
    candidates = [*(each for each in EVERY if each.name == "C posix_spawn"), *YARDSTICKS]
    for name, program in (("true", programs.true), ("noop", programs.noop)):
        cases = list(_launches(programs, scale, candidates, program, window=1))
        for peer, command in programs.peers.items():
            cases.append(Case(peer, by.of_peer(command, program, scale.launches, scale.seconds, 1, "none"), {}))
        yield Group("latency", {"program": name}, SPARE_DESCRIPTORS, cases)


def _calls(_programs: Programs, scale: Scale) -> Iterator[Group]:
    loops = [each for each in LOOPS if each.name in ("asyncio", "aiospawn")]
    for scenario in COUNTED:
        methods = loops if scenario in COUNTED_ON_ASYNCIO else loops[1:]
        cases = [
            Case(each.name, by.in_python("calls", each, [], total=scale.counted, way=scenario, tools=scale.tools), {})
            for each in methods
        ]
        yield Group("calls", {"scenario": scenario}, SPARE_DESCRIPTORS, cases)


def overcommit(programs: Programs, reserved: int) -> Group:
    """Launches from a parent whose memory, `reserved` MiB, cannot be promised a second time."""
    cases = []
    for method in by.installed(EVERY):
        if method.mode:
            command = by.in_c(programs, method.mode, [programs.true], n=1, r=reserved)
        else:
            command = by.in_python("launches", method, [programs.true], reserved=reserved)
        cases.append(Case(method.name, command, method.environment, may_fail=True))
    return Group("overcommit", {"reserved": reserved}, SPARE_DESCRIPTORS, cases)


BENCHMARKS = {
    each.name: each
    for each in (
        Benchmark("memory", "launching from a parent with 0 to 4 GiB in use", _memory),
        Benchmark("descriptors", "launching from a parent with 0 to 15,000 descriptors", _descriptors),
        Benchmark("throughput", "children per second, 1 to 256 at a time", _throughput),
        Benchmark("latency", "create and wait, one at a time", _latency),
        Benchmark("loop", "how late the event loop's other tasks are", _loop),
        Benchmark("live", "10,000 children alive, and 5,000 that exit at once", _live),
        Benchmark("calls", "what a launch takes, counted: calls, callbacks, system calls, instructions", _calls),
        Benchmark("pipes", "1 GiB from and to a child", _pipes),
    )
}
