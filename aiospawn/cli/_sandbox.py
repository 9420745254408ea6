"""`aiospawn sandbox trace`: runs a command, and says what it needs of a sandbox, or what a sandbox refused it."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import aiospawn

from . import _sandbox_options, _sources, _status
from ._errors import CannotRunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXAMPLES", "add_options", "run"]

EXAMPLES = """\
  $ aiospawn sandbox trace -- gzip -k big.log
  $ aiospawn sandbox trace --output needs.txt -- sh -c 'sort big.log >sorted'
  $ aiospawn sandbox trace --sandbox-read . -- sh -c 'sort big.log; true'
"""

_NAMES = {"read": "--sandbox-read", "write": "--sandbox-write", "execute": "--sandbox-execute"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `aiospawn sandbox` takes."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    trace = actions.add_parser(
        "trace",
        help="run a command and print the smallest sandbox that lets it run",
        description="Run a command without a fence and print the smallest sandbox that lets it run, as Python and as words; "
        "with options of a sandbox, run it in that one and print what was refused.",
        usage="%(prog)s [OPTION ...] [--] COMMAND [ARGUMENT ...]",
        epilog=f"examples:\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    trace.set_defaults(refuse=trace.error, known=trace._option_string_actions)  # noqa: SLF001
    trace.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND [ARGUMENT ...]", help="what to run")
    trace.add_argument("--output", metavar="FILE", help="write what was found to FILE instead of standard error")
    _sandbox_options.add_options(trace)


def run(options: argparse.Namespace) -> int:
    """The command's exit status, as a shell has it; 125 to 127 where it never ran."""
    command = _sources.words(options.command)
    if not command:
        raise UsageError("COMMAND is missing")
    sandbox = _sandbox_options.sandbox_of(options)
    with ExitStack() as stack:
        output = _opened(options.output, stack)
        try:
            trace = asyncio.run(aiospawn.trace_sandbox(command, sandbox=sandbox))
        except NotImplementedError as error:
            raise CannotRunError(str(error)) from None
        except ValueError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            print(f"aiospawn sandbox trace: {error}", file=sys.stderr)
            return _status.of_error(error)
        for line in _learned(trace, command) if sandbox is None else _denied(trace):
            print(line, file=output)
        if trace.unseen:
            print(f"# {trace.unseen} calls could not be looked into: of processes that may not be read", file=output)
    return _status.of_returncode(trace.returncode)


def _opened(path: str | None, stack: ExitStack) -> IO[str]:
    if path is None:
        return sys.stderr
    try:
        return stack.enter_context(open(path, "w", encoding="utf-8", errors="surrogateescape"))
    except OSError as error:
        raise UsageError(f"--output: {error}") from None


def _learned(trace: aiospawn.SandboxTrace, command: list[str]) -> Iterator[str]:
    given = {name: value for name in ("read", "write", "execute") if (value := [*getattr(trace.sandbox, name)])}
    keywords: dict[str, Any] = {**given}
    if trace.sandbox.network is not False:
        keywords["network"] = trace.sandbox.network
    if trace.sandbox.unix_sockets:
        keywords["unix_sockets"] = True
    yield "# in Python"
    if keywords:
        yield "aiospawn.Sandbox("
        for name, value in keywords.items():
            yield f"    {name}={_python(value)},"
        yield ")"
    else:
        yield "aiospawn.Sandbox()"
    yield "# on the command line"
    yield shlex.join(["aiospawn", "run", "--sandbox", *_words(trace.sandbox), "--", *command])
    for denied in trace.denied:
        yield f"# refused by the policy of system calls: {denied.what} ({_times(denied)})"


def _python(value: Any) -> str:
    return f"aiospawn.{value!r}" if isinstance(value, aiospawn.Network) else repr(value)


def _words(sandbox: aiospawn.Sandbox) -> Iterator[str]:
    for name, option in _NAMES.items():
        for path in getattr(sandbox, name):
            yield from (option, path)
    network = sandbox.network
    if isinstance(network, aiospawn.Network):
        for option, ports in (("--sandbox-connect", network.connect), ("--sandbox-bind", network.bind)):
            for port in ports:
                yield from (option, str(port))
        if network.udp:
            yield "--sandbox-udp"
    elif network is not False:
        yield "--sandbox-loopback" if network == "loopback" else "--sandbox-network"
    if sandbox.unix_sockets:
        yield "--sandbox-unix-sockets"


def _denied(trace: aiospawn.SandboxTrace) -> Iterator[str]:
    if not trace.denied:
        yield "# nothing was refused"
    for denied in trace.denied:
        what = f"{denied.kind} {denied.what}".rstrip()
        yield f"# refused: {what} ({_times(denied)}); allowed by {shlex.join(_option(denied))}"


def _times(denied: aiospawn.Denied) -> str:
    return "once" if denied.times == 1 else f"{denied.times} times"


def _option(denied: aiospawn.Denied) -> list[str]:
    if denied.kind in _NAMES:
        return [_NAMES[denied.kind], denied.what]
    if denied.kind in ("connect", "bind"):
        return [f"--sandbox-{denied.kind}", denied.what.partition(" ")[0]]
    if denied.kind == "syscalls":
        return ["--sandbox-allow", denied.what]
    return [f"--sandbox-{denied.kind.replace('_', '-')}"]
