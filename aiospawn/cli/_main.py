"""The parser and the exit statuses.

0 all is well, 1 what was tried does not work, 2 it could not be tried (bad options, something needed is not there),
130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import aiospawn

from ._errors import CannotRunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["main"]


class Command(NamedTuple):
    """A subcommand, and the module that has it.

    Of the module: `add_options(parser)`, and `run(options)`, which returns the exit status and raises CannotRunError for 2,
    UsageError for 2 with the usage; `EXAMPLES` if there are some. It is imported when the command is asked for.
    """

    name: str
    summary: str
    module: str

    def load(self) -> Any:
        return importlib.import_module(f".{self.module}", __package__)


COMMANDS = (
    Command("run", "run one command, set up as asked", "_run"),
    Command("map", "run a command for each argument, a few at a time", "_map"),
    Command("sandbox", "find out what a command needs of a sandbox", "_sandbox"),
    Command("doctor", "report what this machine offers and whether launching works", "_doctor"),
    Command("demo", "checksum real files on each event loop and compare the loops", "_demo"),
    Command("bench", "measure launching against the limit in C and against others", "_bench"),
)


class _Parser(argparse.ArgumentParser):
    """One whose options have the next word as their value, whatever it begins with, as getopt(3) has it."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        return super().parse_known_args(None if args is None else self._joined(args), namespace)

    def _joined(self, words: Sequence[str]) -> list[str]:
        """A value that begins with a dash is put behind its option in one word, for argparse would take it for an option."""
        joined: list[str] = []
        left = iter(words)
        for word in left:
            joined.append(word)
            if not word.startswith("-") or word in ("-", "--"):
                break  # what follows are operands
            if self._wants_next(word) and (value := next(left, None)) is not None:
                if value.startswith("-"):
                    joined[-1] += f"={value}" if word.startswith("--") else value
                else:
                    joined.append(value)
        return [*joined, *left]

    def _wants_next(self, word: str) -> bool:
        """Whether the next word is the value of this one, or of the last of its single letters."""
        known = self._option_string_actions
        if word in known or word.startswith("--"):
            return word in known and known[word].nargs is None
        for place, letter in enumerate(word[1:], 2):
            action = known.get(f"-{letter}")
            if action is None or action.nargs is None:
                return action is not None and place == len(word)
        return False

    # CPython's own does so from 3.12.5 on; before, a value that is `--` was dropped.
    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        if arg_strings == ["--"] and action.option_strings and action.nargs is None:
            return self._get_value(action, "--")
        return super()._get_values(action, arg_strings)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    # No abbreviations: a new option must not change what an old command line means.
    parser = _Parser(prog="aiospawn", description="Launch processes from asyncio on Linux.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"aiospawn {aiospawn.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = commands.add_parser(
            command.name,
            help=command.summary,
            description=_sentence(command.summary),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        subparser.set_defaults(chosen=command, refuse=subparser.error, known=subparser._option_string_actions)  # noqa: SLF001
        if command.name in arguments:
            module = command.load()
            module.add_options(subparser)
            if hasattr(module, "EXAMPLES"):
                subparser.epilog = f"examples:\n{module.EXAMPLES}"
    return parser


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Exits with status 2, and the usage of the command that was meant, for an option that does not exist."""
    options, unknown = _parser(arguments).parse_known_args(arguments)
    if unknown:
        options.refuse(_unknown(unknown[0], options.known))
    return options


def _unknown(option: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(option.partition("=")[0], known, 1)
    return f"there is no option {option}{f', did you mean {nearest[0]}?' if nearest else ''}"


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status. `arguments` is the process's own unless given."""
    if arguments is None:
        arguments = sys.argv[1:]
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    _occupy_closed_streams()
    options = _parsed(arguments)
    command: Command = options.chosen
    try:
        status: int = command.load().run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except UsageError as error:
        options.refuse(str(error))
    except CannotRunError as error:
        return _fail(command, error, 2)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "rich":
            raise
        return _fail(command, "needs rich, which is not installed; pip install 'aiospawn[cli]' brings it", 2)
    except BrokenPipeError:
        _abandon_stdout()
        return 1
    except OSError as error:
        _abandon_stdout()
        return _fail(command, error, 1)
    return status


def _occupy_closed_streams() -> None:
    """Of standard streams that are closed a descriptor of ours would get the number, and with it what is written there.

    Reading the input and writing output fail then, as they do where they are closed; messages go nowhere.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)


def _complete() -> None:
    """Answers a shell that asks for completions, by argcomplete's protocol, and exits."""
    with contextlib.suppress(ModuleNotFoundError):
        import argcomplete

        argcomplete.autocomplete(_parser([command.name for command in COMMANDS]))


def _fail(command: Command, message: object, status: int) -> int:
    print(f"aiospawn {command.name}: {message}", file=sys.stderr)
    return status


def _abandon_stdout() -> None:
    """What is still buffered would raise again in the interpreter's own flush at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
