"""Writes the manual pages, one for the program and one for each command: `python share/manual.py DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

from command_line import Option, commands, options, parser_of, summary_of

import aiospawn

_STATUSES = """\
.TP
0
all is well
.TP
1
what was tried does not work, a job failed
.TP
2
it could not be tried: an option is wrong, something that is needed is not there
.TP
130
interrupted
"""


def _escaped(text: str) -> str:
    """Nothing of it is a request or an escape of troff; hyphens can be copied into a shell."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    text = text.replace("~", "\\(ti").replace('"', "\\(dq")
    return f"\\&{text}" if text.startswith(".") else text


def _term(option: Option) -> str:
    value = f" \\fI{_escaped(option.value)}\\fR" if option.value else ""
    if not option.names:
        return value.strip() or "\\fIARGUMENT\\fR"
    if option.optional_value:
        value = f"[={value.strip()}]"
    return ", ".join(f"\\fB{_escaped(name)}\\fR{value}" for name in option.names)


def _listed(name: str) -> list[str]:
    lines = []
    for title, members in options(parser_of(name)):
        lines.append(f".SS {_escaped(title.capitalize())}")
        for option in members:
            lines += [".TP", _term(option), _escaped(option.help) or "\\&"]
    return lines


def _head(page: str, summary: str) -> list[str]:
    return [
        f'.TH "{page.upper()}" "1" "" "aiospawn {aiospawn.__version__}" "User Commands"',
        *(".SH NAME", f"{_escaped(page)} \\- {_escaped(summary)}"),
    ]


def program_page() -> str:
    """aiospawn(1)."""
    lines = _head("aiospawn", "launch processes: limits, time-outs, many at a time")
    lines += [".SH SYNOPSIS", ".B aiospawn", "\\fICOMMAND\\fR [\\fIOPTION\\fR ...]", ".SH COMMANDS"]
    for name in commands():
        lines += [".TP", f"\\fBaiospawn\\-{name}\\fR(1)", _escaped(summary_of(name))]
    lines += [".SH OPTIONS", *_listed(""), ".SH EXIT STATUS", _STATUSES.rstrip()]
    return "\n".join([*lines, ""])


def command_page(name: str) -> str:
    """aiospawn-NAME(1)."""
    parser = parser_of(name)
    usage = parser.format_usage().removeprefix("usage: ").split()
    lines = [*_head(f"aiospawn-{name}", summary_of(name)), ".SH SYNOPSIS", f".B aiospawn {name}"]
    lines += [_escaped(" ".join(usage[2:])), ".SH DESCRIPTION", _escaped(" ".join((parser.description or "").split()))]
    lines += [".SH OPTIONS", *_listed(name)]
    if parser.epilog:
        examples = [_escaped(line.strip()) for line in parser.epilog.removeprefix("examples:\n").splitlines()]
        lines += [".SH EXAMPLES", ".nf", *examples, ".fi"]
    others = ", ".join(f"\\fBaiospawn\\-{other}\\fR(1)" for other in commands() if other != name)
    lines += [
        ".SH EXIT STATUS",
        "See \\fBaiospawn\\fR(1)." if name != "run" else "That of the command; 124 after a time\\-out.",
    ]
    lines += [".SH SEE ALSO", f"\\fBaiospawn\\fR(1), {others}"]
    return "\n".join([*lines, ""])


def main(directory: str) -> None:
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    (place / "aiospawn.1").write_text(program_page(), encoding="utf-8")
    for name in commands():
        (place / f"aiospawn-{name}.1").write_text(command_page(name), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
