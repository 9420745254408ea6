"""The part of a document that is generated: what stands between two markers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from aiospawn.cli._errors import CannotRunError

from ._plots import plotted
from ._tables import NOTE, as_markdown, filled, header
from ._targets import verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._results import Results

__all__ = ["update"]

_BEGIN, _END = "<!-- aiospawn bench: begin -->", "<!-- aiospawn bench: end -->"


def update(path: str, results: Results) -> None:
    """Writes the tables between the markers, and the plots beside the document. Raises CannotRunError without markers."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CannotRunError(f"--document: {error}") from None
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise CannotRunError(f"--document: {path} lacks the lines {_BEGIN} and {_END}")
    plots = plotted(results, os.path.dirname(path) or ".", formats=["svg"])
    block = "\n".join(_parts(results, plots))
    Path(path).write_text(f"{before}{begin}\n\n{block}\n{end}{after}", encoding="utf-8")


def _parts(results: Results, plots: dict[str, str]) -> Iterator[str]:
    yield f"{header(results)}\n"
    yield f"{NOTE}\n"
    benchmark = ""
    for one in filled(results):
        if one.table.benchmark != benchmark:
            benchmark = one.table.benchmark
            option = "--overcommit" if benchmark == "overcommit" else benchmark
            yield f"### {benchmark}\n\n`aiospawn bench {option}`\n"
        yield as_markdown(one)
        if one.table.name in plots:
            yield f"![{one.table.title}]({plots[one.table.name]}.svg)\n"
    yield "### targets\n"
    yield "| target | found | bound | |\n| --- | ---: | --- | --- |"
    for verdict in verdicts(results):
        side = "at least" if verdict.at_least else "at most"
        met = "met" if verdict.met else "**missed**"
        yield f"| {verdict.what} | {verdict.value:,.2f} | {side} {verdict.bound:g} | {met} |"
    yield ""
