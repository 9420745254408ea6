"""`aiospawn map`: a command for each argument, a few at a time, in GNU parallel's words."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

import aiospawn

from . import _child, _combinations, _pace, _sources, _values
from ._errors import UsageError
from ._interrupts import Interrupts
from ._joblog import JobLog
from ._output import Results
from ._replace import Template
from ._session import Session
from ._suspension import SuspendableLoop, Suspension

if TYPE_CHECKING:
    from ._combinations import Records

__all__ = ["EXAMPLES", "add_options", "run"]

EXAMPLES = """\
  $ aiospawn map -j 4 gzip -k {} ::: *.log
  $ ls *.log | aiospawn map -k wc -l
  $ find . -name '*.log' -print0 | aiospawn map -0 cp {} {.}.old
  $ aiospawn map --shell 'grep -c error {} > {/.}.count' ::: *.log
  $ aiospawn map --retries 3 --timeout 30s --joblog jobs.tsv --resume true ::: 1 2 3
  $ aiospawn map -k echo {1} in {2} ::: red green ::: S M L
  $ aiospawn map -k cp {1} {2}.copy ::: a.log big.log :::+ first second
  $ ls *.log | aiospawn map -k --link echo {2}: {1.} :::: - ::: even odd
  $ aiospawn map -k --colsep : echo {1} is at home in {6} :::: /etc/passwd
  $ ls *.log | aiospawn map -n 2 wc -l
  $ aiospawn map --line-buffer --tagstring '{#} {/}' tail -n 2 ::: *.log
"""
_SOURCES = """\
Behind ::: are arguments, behind :::: files that have one in each line. Where
there are several sources, each combination is a job's, the last one's changing
first. :::+ and ::::+ link a source to the one before, argument by argument.
Without any, the lines of standard input are the arguments."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `aiospawn map` takes."""
    parser.usage = "%(prog)s [OPTION ...] [--] [COMMAND [ARGUMENT ...]] [::: ARGUMENT ... | :::: FILE ...] ..."
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND [ARGUMENT ...] [::: ARGUMENT ... | :::: FILE ...] ...",
        help="what to run, with {} {.} {/} {//} {/.} where the argument goes, at its end if there is none; {2} {2.} ... for "
        "the second argument, {-1} the last, {#} for the job's number, {%%} its slot; without a command, the arguments are "
        "commands",
    )  # fmt: skip
    _add_input(parser.add_argument_group("where the arguments come from", _SOURCES))
    _add_running(parser.add_argument_group("how jobs are run"))
    _add_output(parser.add_argument_group("what is written"))
    _child.add_options(parser, short=False)


def _add_input(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-a", "--arg-file", action="append", default=[], metavar="FILE",
        help="read arguments from FILE, - is standard input: a source before those behind the command; may be given again",
    )  # fmt: skip
    add("-0", "--null", action="store_true", help="arguments in files end with NUL, not with a newline")
    add("--link", action="store_true", help="go through all sources side by side; shorter ones begin again")
    add("--colsep", type=_combinations.column_separator, metavar="REGEX",
        help="split arguments where REGEX, a Python one, matches: {1} is the first column")  # fmt: skip
    add("-n", "-N", "--max-args", type=_values.whole, default=1, metavar="N",
        help="N arguments for each job, of every source; 0 for one that is not put in (default: %(default)s)")  # fmt: skip


def _add_running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-j", "--jobs", "-P", "--max-procs", type=_values.jobs, default="100%", metavar="N",
        help="how many run at a time: a number, N%%, +N or -N of the processors (default: %(default)s)")  # fmt: skip
    add("--shell", action="store_true", help="the command is for /bin/sh, and arguments are quoted for it")
    add("--timeout", type=_values.duration, metavar="TIME", help="stop a job that takes longer: seconds, or with s, m, h, d")
    add("--grace", type=_values.duration, default=5.0, metavar="TIME",
        help="from SIGTERM to SIGKILL when a job is stopped (default: %(default)s)")  # fmt: skip
    add("--retries", type=_values.above_zero, default=1, metavar="N", help="run a job that fails up to N times in all")
    add("--backoff", type=_values.duration, default=0.0, metavar="TIME",
        help="wait before a job is run again, doubled each time (default: %(default)s)")  # fmt: skip
    add("--halt", type=_halt, metavar="RULE",
        help="end early: now or soon, a comma, and fail, success or done with =N or =N%%, as now,fail=1")  # fmt: skip
    add("--delay", type=_values.duration, default=0.0, metavar="TIME", help="between two starts (default: %(default)s)")
    add("--load", type=_pace.load, metavar="N", help="start no job while N processes run, or N%% of the processors")
    add("--dry-run", action="store_true", help="print the commands instead of running them")


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-k", "--keep-order", action="store_true", help="output in the order of the arguments, not as jobs end")
    add("-u", "--ungroup", action="store_true", help="jobs write for themselves, between each other")
    add("--line-buffer", "--lb", action="store_true", help="write each line of output as soon as it is there")
    add("--tag", action="store_true", help="begin each line of output with the arguments and a tab")
    add("--tagstring", metavar="TEXT", help="begin each line with TEXT and a tab; {} and the like are replaced in it")
    add("--bar", action="store_true", help="show a progress bar; all arguments are read first")
    add("--joblog", metavar="FILE", help="write a line for each job that has ended to FILE")
    add("--resume", action="store_true", help="go on with the job log: jobs that it has are not run")
    add("--resume-failed", action="store_true", help="as --resume, and jobs that failed are run again")
    add("--results", metavar="DIR", help="write each job's output to files in DIR as well")


def _halt(text: str) -> aiospawn.Halt | None:
    try:
        return aiospawn.Halt.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("halt ")) from None


def run(options: argparse.Namespace) -> int:
    """GNU parallel's exit status: how many jobs failed, 101 for more than 100; what `halt` says of it."""
    words, groups = _sources.split(_sources.words(options.command))
    first: list[list[_sources.Source]] = [[_sources.File("-a", name)] for name in options.arg_file]
    groups = [*first, *groups]
    _refuse_contradictions(options, words, [source for group in groups for source in group])
    with ExitStack() as stack:
        width = None if options.colsep and options.max_args else options.max_args * (sum(map(len, groups)) or 1)
        template = Template(words, shell=options.shell, width=width)
        if words and not options.shell:
            _refuse_shell_text(words)
        records = _records(options, groups or [[_sources.STANDARD_INPUT]], stack)
        log = None
        if options.joblog is not None and not (options.dry_run and not _resumes(options)):
            log = JobLog(options.joblog, resume=_resumes(options), retry_failed=options.resume_failed)
            stack.callback(log.close)
        results = Results(options.results, width) if options.results is not None and not options.dry_run else None
        tags = _tags(options, width)
        session = Session(options, template, tags, log, results)
        with Interrupts() as interrupts, asyncio.Runner(loop_factory=SuspendableLoop) as runner:
            try:
                with Suspension(runner.get_loop()):
                    status = runner.run(session.run(records, interrupts))
            except asyncio.CancelledError:
                if interrupts.status is None:
                    raise
                status = interrupts.status
    if session.fault is not None:
        raise session.fault
    return status


def _tags(options: argparse.Namespace, width: int | None) -> Template | None:
    """What each line of a job begins with."""
    if options.tagstring is not None:
        return Template([options.tagstring], shell=False, width=width, adds=False)
    return Template(["{}"], shell=False, width=width) if options.tag else None


def _resumes(options: argparse.Namespace) -> bool:
    return bool(options.resume or options.resume_failed)


def _records(options: argparse.Namespace, groups: list[list[_sources.Source]], stack: ExitStack) -> Records:
    """The arguments of each job."""

    def records_of(source: _sources.Source) -> Records:
        records = _sources.opened(source, stack, nul=options.null)
        return _combinations.columns(records, options.colsep) if options.colsep else records

    opened = [[records_of(source) for source in group] for group in groups]
    if options.link:
        records = _combinations.recycled([source for group in opened for source in group])
    else:
        records = _combinations.combined(opened)
    return records if options.max_args == 1 else _combinations.joined(records, options.max_args)


def _refuse_contradictions(options: argparse.Namespace, words: list[str], sources: list[_sources.Source]) -> None:
    files = [source.name for source in sources if isinstance(source, _sources.File)]
    if files.count("-") > 1:
        raise UsageError("- is named twice: standard input is one source of arguments")
    if sources and not files and options.null:
        raise UsageError("-0 is for arguments from a file or standard input, not for :::")
    if not options.max_args and (options.results or not words):
        raise UsageError(f"-n 0 {'and --results' if words else 'without a command'}: a job needs an argument for that")
    if _resumes(options) and options.joblog is None:
        raise UsageError("--resume and --resume-failed need --joblog FILE")
    if options.tag and options.tagstring is not None:
        raise UsageError("--tag and --tagstring: a line has one tag")
    for name in ("tag", "tagstring", "line_buffer", "keep_order", "results"):
        if options.ungroup and getattr(options, name) not in (None, False):
            raise UsageError(f"-u and --{name.replace('_', '-')}: jobs that write for themselves cannot have that")


def _refuse_shell_text(words: list[str]) -> None:
    """GNU parallel's users write `'gzip {} | wc'`: without a shell that is the name of a program."""
    if len(words) == 1 and any(character in " \t\n|&;<>$`" for character in words[0]):
        raise UsageError(f"{words[0]!r} is one word, the name of a program; with --shell it is a shell's command")
