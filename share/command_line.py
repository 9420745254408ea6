"""What manual pages and completions are made of: each command's parser, as `aiospawn.cli` has it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))  # the checkout, whose native part may not be built yet

from aiospawn.cli import _main

__all__ = ["Option", "commands", "options", "parser_of", "summary_of"]


class Option(NamedTuple):
    """An option or argument: its names (none: an argument), the word for its value (none: a flag), its choices and help."""

    names: tuple[str, ...]
    value: str | None
    choices: tuple[str, ...]
    help: str
    optional_value: bool


def commands() -> list[str]:
    return [command.name for command in _main.COMMANDS]


def summary_of(name: str) -> str:
    return next(command.summary for command in _main.COMMANDS if command.name == name)


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of `aiospawn NAME`, or of its one action; of `aiospawn` itself with an empty name."""
    parser = _main._parser([name])
    if not name:
        return parser
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    found: argparse.ArgumentParser = subparsers.choices[name]
    (nested,) = [action for action in found._actions if isinstance(action, argparse._SubParsersAction)] or (None,)
    return found if nested is None else next(iter(nested.choices.values()))


def options(parser: argparse.ArgumentParser) -> list[tuple[str, list[Option]]]:
    """By the title of their group, without those that `--help` does not show."""
    found = []
    for group in parser._action_groups:
        shown = [
            _option(action)
            for action in group._group_actions
            if action.help is not argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction)
        ]
        if shown:
            found.append((group.title or "", shown))
    return found


def _option(action: argparse.Action) -> Option:
    known = {name: value for name, value in vars(action).items() if value is not argparse.SUPPRESS}
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return Option(
        tuple(action.option_strings),
        None if action.nargs == 0 else metavar,
        tuple(str(choice) for choice in action.choices or ()),
        " ".join(((action.help or "") % {**known, "prog": "aiospawn"}).split()),
        action.nargs == "?",
    )
