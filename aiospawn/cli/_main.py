"""The parser and the exit statuses.

0 all is well, 1 what was tried does not work, 2 it could not be tried (bad options, something needed is not there),
130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import aiospawn

from . import _bench, _demo, _doctor, _map, _run
from ._errors import UsageError
from ._measure import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]


class Command(NamedTuple):
    """A subcommand. `run` returns the exit status and raises CannotRunError for 2, UsageError for 2 with the usage."""

    name: str
    summary: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    examples: str = ""


COMMANDS = (
    Command("run", "run one command, set up as asked", _run.add_options, _run.run, _run.EXAMPLES),
    Command("map", "run a command for each argument, a few at a time", _map.add_options, _map.run, _map.EXAMPLES),
    Command("doctor", "tell what this machine offers and whether launching works", _doctor.add_options, _doctor.run),
    Command("demo", "checksum real files on each event loop and compare the loops", _demo.add_options, _demo.run),
    Command("bench", "measure launching against the limit in C and against others", _bench.add_options, _bench.run),
)


def _parser() -> argparse.ArgumentParser:
    # No abbreviations: a new option must not change what an old command line means.
    parser = argparse.ArgumentParser(
        prog="aiospawn", description="Launch processes from asyncio on Linux.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"aiospawn {aiospawn.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = commands.add_parser(
            command.name,
            help=command.summary,
            description=_sentence(command.summary),
            epilog=f"examples:\n{command.examples}" if command.examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_options(subparser)
        subparser.set_defaults(chosen=command, refuse=subparser.error)
    return parser


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status. `arguments` is the process's own unless given."""
    parser = _parser()
    _complete(parser)
    options = parser.parse_args(arguments)
    command: Command = options.chosen
    try:
        status = command.run(options)
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


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answers a shell that asks for completions, by argcomplete's protocol, and exits."""
    if "_ARGCOMPLETE" in os.environ:
        with contextlib.suppress(ModuleNotFoundError):
            import argcomplete

            argcomplete.autocomplete(parser)


def _fail(command: Command, message: object, status: int) -> int:
    print(f"aiospawn {command.name}: {message}", file=sys.stderr)
    return status


def _abandon_stdout() -> None:
    """What is still buffered would raise again in the interpreter's own flush at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
