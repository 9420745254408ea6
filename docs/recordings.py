"""Records what commands show on a terminal, as pictures for the front page: `python docs/recordings.py`, some seconds.

The figures in the picture of `demo` are those of the machine on which it is run, which should be quiet.
"""

from __future__ import annotations

import asyncio
import io
import pathlib
import re

from rich.console import Console
from rich.text import Text

import aiospawn

_STATIC = pathlib.Path(__file__).parent / "_static"
_COLUMNS, _ROWS = 92, 40
_CONTROL = re.compile(r"\r\n|\r|\n|\x1b\[(\d*)A|\x1b\[2K|\x1b\[\?25[lh]|\x1b\]\d+;.*?(?:\x07|\x1b\\)")

# The command line, and how much of its output is shown: a bar is gone at the end.
RECORDINGS = {
    "demo": ("aiospawn demo", 1.0),
    "map-bar": ("seq 11 60 | aiospawn map --bar -j 8 -k --shell 'sleep 0.{}; echo job {} of {%}'", 0.7),
}


def shown(output: str) -> list[str]:
    """The lines on a screen to which this was written, colours and all: what rich's progress displays use is followed."""
    screen, row, at = [""], 0, 0
    for control in [*_CONTROL.finditer(output), None]:
        screen[row] += output[at : control.start() if control else len(output)]
        if control is None:
            break
        at = control.end()
        if control[0] == "\r\n" or control[0] == "\n":
            row += 1
            screen += [""] * (row == len(screen))
        elif control[0].endswith("A"):
            row = max(0, row - int(control[1] or 1))
        elif control[0] in ("\r", "\x1b[2K"):
            screen[row] = ""
    return screen


async def _record(name: str, line: str, share: float) -> None:
    environment = {"TERM": "xterm-256color", "COLUMNS": str(_COLUMNS)}
    process = await aiospawn.create_subprocess_exec("sh", "-c", line, pty=(_ROWS, _COLUMNS), env_add=environment)
    assert process.stdout is not None
    output = (await process.stdout.read()).decode()
    await process.wait()
    if share < 1:  # up to where a whole bar is taken away
        output = output[: output.rindex("\x1b[2K", 0, int(share * len(output)))].rstrip("\r")
    lines = shown(output)[-14:]
    while not lines[-1].strip():
        lines.pop()
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ {line}"))
    for each in lines:
        console.print(Text.from_ansi(each), soft_wrap=True)
    picture = console.export_svg(title="", unique_id=name, font_aspect_ratio=0.61)
    # The font is the reader's: the page loads nothing from elsewhere.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    (_STATIC / f"{name}.svg").write_text("\n".join(each.rstrip() for each in picture.splitlines()) + "\n")


async def _main() -> None:
    for name, (line, share) in RECORDINGS.items():
        await _record(name, line, share)


asyncio.run(_main())
