"""Tables on terminals of any width: no word and no figure is cut."""

import io

import pytest

console_module = pytest.importorskip("rich.console")
table_module = pytest.importorskip("rich.table")

pytestmark = pytest.mark.once

_ROWS = [("RLIMIT_NOFILE", "20,000 (hard 20,000)", "3,972"), ("vm.overcommit_memory", "0", None)]


@pytest.mark.parametrize("width", [20, 40, 80])
def test_nothing_is_cut(width: int) -> None:
    from aiospawn.cli._narrow import print_table

    table = table_module.Table(box=None)
    for heading in ("limit", "value", "children\nat once"):
        table.add_column(heading)
    for row in _ROWS:
        table.add_row(*row)
    written = io.StringIO()
    print_table(console_module.Console(file=written, width=width), table)
    text = written.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert {"RLIMIT_NOFILE", "20,000", "3,972", "vm.overcommit_memory"} <= {*text.replace("(", " ").split()}
    assert ("children at once: 3,972" in " ".join(text.split())) == (width < 80)
