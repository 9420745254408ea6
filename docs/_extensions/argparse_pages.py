"""The directive `command-options NAME`: a command's usage, options and examples, read from its argparse parser."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

from aiospawn.cli import _main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of `aiospawn NAME`, or of its one action."""
    parser = _main._parser([name])  # noqa: SLF001 - the command line has no other door
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
    found: argparse.ArgumentParser = commands.choices[name]
    (actions,) = [action for action in found._actions if isinstance(action, argparse._SubParsersAction)] or (None,)  # noqa: SLF001
    return found if actions is None else next(iter(actions.choices.values()))


def _help_of(action: argparse.Action) -> str:
    known = {name: value for name, value in vars(action).items() if value is not argparse.SUPPRESS}
    return (action.help or "") % {**known, "prog": "aiospawn"}


def _term(action: argparse.Action) -> nodes.term:
    metavar = action.metavar if isinstance(action.metavar, str) else (action.dest or "").upper()
    value = "" if action.nargs == 0 else f" {metavar}"
    names = [f"{name}{value}" for name in action.option_strings] or [metavar]
    parts: list[nodes.Node] = []
    for name in names:
        parts += [nodes.Text(", ")] * bool(parts) + [nodes.literal(text=name)]
    return nodes.term("", "", *parts)


class CommandOptions(Directive):
    """One section's text for each group of options."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return list(self._parts(parser_of(self.arguments[0])))

    def _parts(self, parser: argparse.ArgumentParser) -> Iterator[nodes.Node]:
        yield nodes.literal_block("", parser.format_usage().removeprefix("usage: "), language="text")
        for group in parser._action_groups:  # noqa: SLF001
            actions = [action for action in group._group_actions if action.help is not argparse.SUPPRESS]  # noqa: SLF001
            if not actions:
                continue
            yield nodes.rubric(text=(group.title or "").capitalize())
            listed = nodes.definition_list()
            for action in actions:
                text = nodes.paragraph(text=_help_of(action))
                listed += nodes.definition_list_item("", _term(action), nodes.definition("", text))
            yield listed
        if parser.epilog:
            yield nodes.rubric(text="Examples")
            yield nodes.literal_block("", parser.epilog.removeprefix("examples:\n"), language="console")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("command-options", CommandOptions)
    return {"parallel_read_safe": True}
