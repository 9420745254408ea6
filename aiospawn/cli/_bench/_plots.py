"""Tables as plots: curves of those with an axis, bars of one column. Needs matplotlib, which the extra `bench` brings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aiospawn.cli._errors import CannotRunError

from ._tables import filled, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ._results import Results
    from ._tables import Filled

__all__ = ["check", "plotted"]

_COLORS = {
    "C limit": "black",
    "C fork + exec": "tab:gray",
    "C vfork + exec": "tab:olive",
    "C posix_spawn": "tab:green",
    "C system": "tab:brown",
    "C popen": "tan",
    "asyncio": "tab:blue",
    "uvloop": "tab:cyan",
    "aiospawn": "tab:red",
    "aiospawn on uvloop": "tab:orange",
    "aiospawn suspended": "tab:purple",
    "aiospawn launcher": "tab:pink",
    "asyncio, communicate": "navy",
    "aiospawn, communicate": "gold",
    "aiospawn.map": "tab:green",
    "aiospawn, stderr a file": "gold",
    "aiospawn.run": "darkred",
}  # of the others, matplotlib's in turn


def check() -> None:
    """Raises CannotRunError without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise CannotRunError(
            "plots need matplotlib, which is not installed; pip install 'aiospawn[bench]' brings it"
        ) from None
    mpl.use("Agg")
    # The same results give the same files.
    mpl.rcParams.update(
        {"svg.hashsalt": "aiospawn", "svg.fonttype": "none", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}
    )


def plotted(results: Results, directory: str, formats: Sequence[str] = ("svg", "png")) -> dict[str, str]:
    """Writes each plot. Returns the file's name without its ending, by the name of the table."""
    check()
    os.makedirs(directory, exist_ok=True)
    return {one.table.name: _plot(one, directory, formats) for one in filled(results) if one.table.x or one.table.bars}


def _plot(one: Filled, directory: str, formats: Sequence[str]) -> str:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.2 if one.table.x else 2.2), layout="constrained")
    if one.table.x:
        _curves(one, axes)
    else:
        _bars(one, axes)
    stem = f"bench-{one.table.name}"
    for ending in formats:
        metadata = {"Date": None} if ending == "svg" else {}
        figure.savefig(os.path.join(directory, f"{stem}.{ending}"), metadata=metadata, dpi=90)
    plt.close(figure)
    return stem


def _curves(one: Filled, axes: Axes) -> None:
    places = range(len(one.columns))
    for method, row in one.rows.items():
        points = [(place, series.median) for place, series in zip(places, row, strict=True) if series is not None]
        ours = method.startswith("aiospawn")
        style = "-" if ours else "--" if method.startswith("C ") else ":"
        width = 2.0 if ours else 1.2
        axes.plot(*zip(*points, strict=True), style, marker=".", linewidth=width, label=method, color=_COLORS.get(method))
    axes.set_xticks(places, [column.heading for column in one.columns])
    axes.set_yscale("log")
    axes.set_xlabel(one.table.x)
    axes.set_ylabel(one.table.unit)
    axes.set_title(one.table.title.replace("`", ""))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _bars(one: Filled, axes: Axes) -> None:
    """From zero, with the figure beside each: the shortest cannot be seen."""
    (at,) = (place for place, column in enumerate(one.columns) if column.heading == one.table.bars)
    medians = {method: series.median for method, row in one.rows.items() if (series := row[at]) is not None}
    bars = axes.barh([*medians], [*medians.values()], color=[_COLORS.get(method) for method in medians])
    axes.bar_label(bars, [number(median) for median in medians.values()], padding=3)
    axes.invert_yaxis()  # the first on top, as in the table
    axes.margins(x=0.1)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{one.table.bars} ({one.table.unit})")
    axes.set_title(one.table.title)
