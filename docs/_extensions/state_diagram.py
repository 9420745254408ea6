"""Draws the state diagrams of fenced `mermaid` blocks as SVG while the site is built: no script draws them in the browser.

What it knows is what the documentation has: `stateDiagram-v2` with lines `A --> B: what happened`, and `[*]` for where it
begins and ends.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_ARROW = re.compile(r"\s*(\[\*\]|\w+) --> (\[\*\]|\w+)(?:: (.*))?$")
_WIDTH, _HEIGHT, _BOX, _ROW, _COLUMN = 640, 34, 110, 92, 300


def _rows(arrows: list[tuple[str, str, str]]) -> dict[str, int]:
    """How many arrows lead to a state at most."""
    row = {"[*]": 0}
    for _ in arrows:
        for source, target, _text in arrows:
            if target != "[*]":
                row[target] = max(row.get(target, 0), row.get(source, 0) + 1)
    return {state: number - 1 for state, number in row.items() if state != "[*]"}


def drawn(text: str) -> str:
    """The diagram as an SVG element.

    Raises:
        ValueError: a line is none that is known.
    """
    kind, *lines = text.strip().splitlines()
    matches = [_ARROW.fullmatch(line) for line in lines]
    if kind != "stateDiagram-v2" or not all(matches):
        raise ValueError(f"not a state diagram of the known kind: {text}")
    arrows = [(match[1], match[2], match[3] or "") for match in matches if match]
    rows = _rows(arrows)
    places: dict[str, tuple[int, int]] = {}
    for state, row in rows.items():
        beside = [each for each in rows if rows[each] == row]
        places[state] = (_WIDTH // 2 + int((beside.index(state) - (len(beside) - 1) / 2) * _COLUMN), 20 + row * _ROW)
    height = max(y for _, y in places.values()) + _HEIGHT + 20
    parts = [
        f'<svg class="states" role="img" aria-label="States, and what leads to the next" viewBox="0 0 {_WIDTH} {height}">'
    ]
    parts.append(
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    )
    parts.append('<path d="M0 0 L8 4 L0 8 z"/></marker></defs>')
    for source, target, told in arrows:
        if source == "[*]":
            x, y = places[target]
            parts.append(f'<circle cx="{x}" cy="6" r="5"/><line x1="{x}" y1="11" x2="{x}" y2="{y}"/>')
        elif target == "[*]":
            x, y = places[source]
            parts.append(f'<circle class="end" cx="{x + _BOX / 2 + 14}" cy="{y + _HEIGHT / 2}" r="6"/>')
        else:
            (x1, y1), (x2, y2) = places[source], places[target]
            y1 += _HEIGHT
            parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" marker-end="url(#head)"/>')
            happened, _, calls = told.partition(" / ")
            for number, words in enumerate(filter(None, (happened, *calls.split(", ")))):
                style = "" if number == 0 else ' class="call"'
                y = (y1 + y2) / 2 - 10 + 13 * number
                parts.append(f'<text x="{(x1 + x2) / 2}" y="{y}"{style}>{escape(words)}</text>')
    for state, (x, y) in places.items():
        parts.append(f'<rect x="{x - _BOX / 2}" y="{y}" width="{_BOX}" height="{_HEIGHT}" rx="8"/>')
        parts.append(f'<text class="state" x="{x}" y="{y + _HEIGHT / 2 + 5}">{escape(state)}</text>')
    return "".join([*parts, "</svg>"])


class StateDiagram(Directive):
    """```` ```mermaid ````, as GitHub reads it."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", drawn("\n".join(self.content)), format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("mermaid", StateDiagram)
    return {"parallel_read_safe": True}
