"""Tables for terminals that are too narrow for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["print_table"]


def print_table(console: Console, table: Table) -> None:
    """Prints the table, or where a word or a figure would be cut its rows, one below the other: a line for each value."""
    from rich.measure import Measurement
    from rich.text import Text

    if Measurement.get(console, console.options.update(max_width=1000), table).minimum <= console.width:
        console.print(table)
        return
    for row in zip(*(column.cells for column in table.columns), strict=True):
        for number, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
            if cell is None or not str(cell):
                continue
            heading = " ".join(str(column.header).split()) if table.show_header else ""
            line = str(cell) if not number else f"  {heading}: {cell}" if heading else f"  {cell}"
            console.print(Text(line, style="bold" if not number else ""), soft_wrap=not number)
