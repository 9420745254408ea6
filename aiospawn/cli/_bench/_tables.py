"""The tables: which figures stand side by side, and how they are shown on a terminal and in Markdown."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from ._methods import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table as RichTable

    from ._results import Results, Series
    from ._scale import Scale

__all__ = ["TABLES", "Filled", "Table", "as_markdown", "as_rich", "busiest", "caption", "filled", "header", "number"]

NOTE = (
    "Medians of the rounds. In parentheses: how many times the C limit's figure of the same round; of what is counted, "
    "asyncio's. spread: largest less smallest round as a share of the median, the worst of the row. *: cut short by the "
    "time limit."
)


class Column(NamedTuple):
    """One figure of every launcher."""

    heading: str
    where: dict[str, Any]
    figure: str


class Table(NamedTuple):
    """What is compared. With `x` the columns are points on that axis; `bars` is the heading of one that is plotted alone."""

    name: str
    benchmark: str
    title: str
    unit: str
    columns: Callable[[Scale], list[Column]]
    x: str = ""
    yardstick: str = LIMIT
    bars: str = ""


def busiest(scale: Scale) -> int:
    """How many launches at a time stand for a busy program: 64, or as near as the run came."""
    return min(scale.piped_windows, key=lambda window: abs(window - 64))


def _along(
    parameter: str, values: Callable[[Scale], Sequence[int]], figure: str, **where: Any
) -> Callable[..., list[Column]]:
    return lambda scale: [Column(f"{value:,}", {**where, parameter: value}, figure) for value in values(scale)]


def _sides(*columns: tuple[str, dict[str, Any], str]) -> Callable[[Scale], list[Column]]:
    return lambda _: [Column(*column) for column in columns]


def _loop_cpu(scale: Scale) -> list[Column]:
    return [
        Column(f"{program}, {words}", {"program": program, "capture": capture, "window": busiest(scale)}, "loop_cpu_us")
        for program in ("true", "noop")
        for capture, words in (("none", "no pipe"), ("pipe", "piped"))
    ]


def _counted(figure: str) -> Callable[[Scale], list[Column]]:
    return _sides(
        *(
            (heading, {"scenario": scenario}, figure)
            for scenario, heading in (
                ("create", "no pipe"),
                ("read", "piped, read"),
                ("communicate", "communicate"),
                ("run", "run"),
                ("map", "map"),
            )
        )
    )


def _live(scale: Scale) -> list[Column]:
    many = max(scale.live)
    rates = [Column(f"per s, {live:,} alive", {"situation": "alive", "live": live}, "per_s") for live in scale.live]
    alive, storm = {"situation": "alive", "live": many}, {"situation": "storm"}
    return [
        *rates,
        Column("KiB each", alive, "live_kib_each"),
        Column("launch s", alive, "live_launch_s"),
        Column("signal s", alive, "live_signal_s"),
        Column("reap s", alive, "live_reap_s"),
        Column(f"{scale.storm:,} exits s", storm, "seconds"),
        Column("p99 stall ms", storm, "stall_p99_ms"),
    ]


def _pipes(figure: str) -> Callable[[Scale], list[Column]]:
    return _sides(
        *(
            (f"{words}, {through}", {"direction": direction, "through": through}, figure)
            for direction, words in (("read", "from the child"), ("write", "to the child"))
            for through in ("streams", "transport")
        )
    )


def _memory(scale: Scale) -> Sequence[int]:
    return scale.ballast


def _descriptors(scale: Scale) -> Sequence[int]:
    return scale.descriptors


def _windows(scale: Scale) -> Sequence[int]:
    return scale.windows


def _piped_windows(scale: Scale) -> Sequence[int]:
    return scale.piped_windows


_MEMORY, _OPEN, _AT_A_TIME = "MiB in use by the parent", "descriptors open in the parent", "children at a time"
TABLES = (
    Table("memory-one", "memory", "Create and wait, one at a time: mean time", "us",
          _along("ballast", _memory, "mean_us", window=1), _MEMORY),
    Table("memory-slice", "memory", "How long one launch holds the thread that makes it: median", "us",
          _along("ballast", _memory, "slice_us", window=1), _MEMORY),
    Table("memory-many", "memory", "Children per second, 64 at a time", "children/s",
          _along("ballast", _memory, "per_s", window=64), _MEMORY),
    Table("descriptors-one", "descriptors", "Create and wait, one at a time: mean time", "us",
          _along("descriptors", _descriptors, "mean_us", window=1), _OPEN),
    Table("descriptors-slice", "descriptors", "How long one launch holds the thread that makes it: median", "us",
          _along("descriptors", _descriptors, "slice_us", window=1), _OPEN),
    Table("descriptors-many", "descriptors", "Children per second, 64 at a time", "children/s",
          _along("descriptors", _descriptors, "per_s", window=64), _OPEN),
    Table("true", "throughput", "Children per second: `true`", "children/s",
          _along("window", _windows, "per_s", program="true", capture="none"), _AT_A_TIME),
    Table("true-piped", "throughput", "Children per second: `true`, its output piped and read", "children/s",
          _along("window", _piped_windows, "per_s", program="true", capture="pipe"), _AT_A_TIME),
    Table("noop", "throughput", "Children per second: a program without a C library that exits at once", "children/s",
          _along("window", _windows, "per_s", program="noop", capture="none"), _AT_A_TIME),
    Table("noop-piped", "throughput", "Children per second: the same, its output piped and read", "children/s",
          _along("window", _piped_windows, "per_s", program="noop", capture="pipe"), _AT_A_TIME),
    Table("loop-cpu", "throughput", "CPU time of the launching thread a child, 64 at a time", "us", _loop_cpu),
    Table("latency", "latency", "Create and wait, one at a time: mean time", "us",
          _sides(("true", {"program": "true"}, "mean_us"), ("noop", {"program": "noop"}, "mean_us")),
          yardstick="C posix_spawn"),
    Table("stalls", "loop", "How late a timer of the kernel is answered that is due every 0.37 ms", "ms",
          _sides(*((f"{heading}, {words}", {"situation": situation}, figure)
                   for situation, heading in (("idle", "idle"), ("paced", "paced"), ("opening", "opening"),
                                              ("delayed", "execve + 1 s"))
                   for words, figure in (("p99", "stall_p99_ms"), ("worst", "stall_worst_ms"))
                   if (situation, words) != ("delayed", "p99"))), yardstick="", bars="execve + 1 s, worst"),
    Table("live", "live", "Many children alive", "", _live, yardstick=""),
    *(Table(f"calls-{name}", "calls", title, "", _counted(figure), yardstick="asyncio") for name, figure, title in (
        ("python", "python_calls", "Python functions that one launch calls"),
        ("c", "c_calls", "Functions of C that Python calls for one launch"),
        ("callbacks", "callbacks", "Callbacks of the loop for one launch"),
        ("system", "system_calls", "System calls of the loop's thread for one launch"),
        ("instructions", "instructions", "Instructions of the process for one launch, which waits for its execve"),
    )),
    Table("pipes", "pipes", "Throughput of one pipe", "MiB/s", _pipes("mib_per_s")),
    Table("pipes-cpu", "pipes", "CPU time of the parent's thread a MiB", "us", _pipes("loop_cpu_us")),
    Table("overcommit", "overcommit", "One launch under strict overcommit", "",
          _sides(("outcome", {}, "launched")), yardstick=""),
)  # fmt: skip


# ---- filled in --------------------------------------------------------------------------------------------------------


class Filled(NamedTuple):
    """A table with its figures; None where something was not measured."""

    table: Table
    columns: list[Column]
    rows: dict[str, list[Series | None]]
    outcomes: dict[str, str]  # in words, for a table of these


def filled(results: Results) -> Iterator[Filled]:
    """The tables for which anything was measured."""
    for table in TABLES:
        columns = table.columns(results.scale)
        methods = dict.fromkeys(name for column in columns for name in results.methods(table.benchmark, column.where))
        rows = {}
        outcomes = {}
        for method in methods:
            row = [results.series(table.benchmark, column.where, method, column.figure) for column in columns]
            if any(row):
                rows[method] = row
            if table.benchmark == "overcommit":
                error = results.error(table.benchmark, method)
                outcomes[method] = f"fails: {error}" if error else "launches"
        if rows:
            yield Filled(table, columns, rows, outcomes)


def _lines(one: Filled) -> Iterator[list[str]]:
    """Headings, then the rows."""
    if one.outcomes:
        yield ["launcher", "outcome"]
        yield from ([method, outcome] for method, outcome in one.outcomes.items())
        return
    yield ["launcher", *(column.heading for column in one.columns), "spread"]
    yardstick = one.rows.get(one.table.yardstick)
    for method, row in one.rows.items():
        beside = yardstick if yardstick is not None and method != one.table.yardstick else [None] * len(row)
        cells = [_cell(series, other) for series, other in zip(row, beside, strict=True)]
        spread = max(series.spread for series in row if series is not None)
        yield [method, *cells, f"{spread:.0%}"]


def _cell(series: Series | None, yardstick: Series | None) -> str:
    if series is None:
        return ""
    text = f"{number(series.median)}{'*' if series.cut else ''}"
    return f"{text} ({number(series.over(yardstick))})" if yardstick is not None and all(yardstick.values.values()) else text


def number(value: float) -> str:
    """Three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def header(results: Results) -> str:
    """The machine, the versions and how busy others were, in one sentence each."""
    found = results.header
    text = ", ".join(
        (
            found["processor"],
            f"{found['processors']} processors",
            f"{found['memory_gib']} GiB",
            f"at most {found['descriptors']:,} descriptors",
            *(found[name] for name in ("system", "kernel", "libc", "compiler", "python")),
            f"aiospawn {found['aiospawn']}",
            f"uvloop {found['uvloop']}" if found["uvloop"] else "no uvloop",
        )
    )
    if not results.measurements:
        return f"{text}."
    loads = [each.load for each in results.measurements]
    foreign = [each.foreign for each in results.measurements]
    return (
        f"{text}. {results.rounds} rounds. Load before a measurement: median {statistics.median(loads):.1f}, at most "
        f"{max(loads):.1f}; share of the processors that others used meanwhile: median {statistics.median(foreign):.0%}, at "
        f"most {max(foreign):.0%}."
    )


def caption(one: Filled) -> str:
    """What the table shows."""
    along = f", by {one.table.x}" if one.table.x else ""
    unit = f" ({one.table.unit})" if one.table.unit else ""
    return f"{one.table.title}{unit}{along}"


def as_rich(one: Filled) -> RichTable:
    """For a terminal."""
    from rich import box
    from rich.table import Table as RichTable

    headings, *rows = _lines(one)
    table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place and not one.outcomes else "left", no_wrap=place == 0)
    for row in rows:
        table.add_row(*row, style="bold" if row[0].startswith("aiospawn") else None)
    return table


def as_markdown(one: Filled) -> str:
    """For a document."""
    headings, *rows = _lines(one)
    rule = ["---", *["---" if one.outcomes else "---:"] * (len(headings) - 1)]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))
    return f"{caption(one)}:\n\n{lines}\n"
