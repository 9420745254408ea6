"""`aiospawn map`: a command for each argument, a few at a time, in GNU parallel's words."""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import aiospawn

from . import _child, _pace, _sources, _status, _values
from ._errors import UsageError
from ._interrupts import Interrupts
from ._joblog import TIMED_OUT, Job, JobLog
from ._output import Printer, Results
from ._replace import Template, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._bar import Bar

__all__ = ["EXAMPLES", "add_options", "run"]

EXAMPLES = """\
  $ aiospawn map -j 4 gzip -k {} ::: *.log
  $ ls *.log | aiospawn map -k wc -l
  $ find . -name '*.log' -print0 | aiospawn map -0 cp {} {.}.old
  $ aiospawn map --shell 'grep -c error {} > {/.}.count' ::: *.log
  $ aiospawn map --retries 3 --timeout 30s --joblog jobs.tsv --resume true ::: 1 2 3
"""
_MOST_FAILED = 101  # GNU parallel's exit status for more than 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `aiospawn map` takes."""
    parser.usage = "%(prog)s [OPTION ...] [--] [COMMAND [ARGUMENT ...]] [::: ARGUMENT ...]"
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND [ARGUMENT ...] [::: ARGUMENT ...]",
        help="what to run, with {} {.} {/} {//} {/.} {#} where the argument goes, at its end if there is none; without a "
        "command, the arguments are commands",
    )  # fmt: skip
    _add_input(parser.add_argument_group("where the arguments come from (behind :::, or standard input, one in a line)"))
    _add_running(parser.add_argument_group("how jobs are run"))
    _add_output(parser.add_argument_group("what is written"))
    _child.add_options(parser)


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-a", "--arg-file", metavar="FILE", help="read arguments from FILE, - is standard input")
    group.add_argument("-0", "--null", action="store_true", help="arguments end with NUL, not with a newline")


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
    add("--tag", action="store_true", help="begin each line of output with the argument and a tab")
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
    words, arguments = _sources.split(_sources.words(options.command))
    _refuse_contradictions(options, arguments)
    with ExitStack() as stack:
        template = Template(words, shell=options.shell)
        if words and not options.shell:
            _refuse_shell_text(words)
        source = _sources.opened(options.arg_file, nul=options.null) if arguments is None else None
        log = None
        if options.joblog is not None and not (options.dry_run and not _resumes(options)):
            log = JobLog(options.joblog, resume=_resumes(options), retry_failed=options.resume_failed)
            stack.callback(log.close)
        results = Results(options.results) if options.results is not None and not options.dry_run else None
        session = Session(options, template, log, results)
        with Interrupts() as interrupts, asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
            try:
                status = runner.run(session.run(source, arguments, interrupts))
            except asyncio.CancelledError:
                if interrupts.status is None:
                    raise
                status = interrupts.status
    if session.fault is not None:
        raise session.fault
    return status


def _resumes(options: argparse.Namespace) -> bool:
    return bool(options.resume or options.resume_failed)


def _refuse_contradictions(options: argparse.Namespace, arguments: list[str] | None) -> None:
    if arguments is not None and options.arg_file is not None:
        raise UsageError(f"-a {options.arg_file} and :::, a map has one source of arguments")
    if arguments is not None and options.null:
        raise UsageError("-0 is for arguments from a file or standard input, not for :::")
    if _resumes(options) and options.joblog is None:
        raise UsageError("--resume and --resume-failed need --joblog FILE")
    for name in ("tag", "keep_order", "results"):
        if options.ungroup and getattr(options, name):
            raise UsageError(f"-u and --{name.replace('_', '-')}: jobs that write for themselves cannot have that")


def _refuse_shell_text(words: list[str]) -> None:
    """GNU parallel's users write `'gzip {} | wc'`: without a shell that is the name of a program."""
    if len(words) == 1 and any(character in " \t\n|&;<>$`" for character in words[0]):
        raise UsageError(f"{words[0]!r} is one word, the name of a program; with --shell it is a shell's command")


class _Task(NamedTuple):
    """A job that is to be run."""

    number: int
    argument: str
    command: list[str] | str


class Session:
    """One map, from its arguments to its exit status."""

    def __init__(self, options: argparse.Namespace, template: Template, log: JobLog | None, results: Results | None) -> None:
        self.fault: UsageError | None = None
        """What an argument or the job log is found to be wrong in. No more jobs are started then; those that run end."""
        self._options = options
        self._template = template
        self._log = log
        self._results = results
        self._printer = Printer(tag=options.tag)
        self._pace = _pace.Pace(options.delay, options.load)
        self._running: dict[int, _Task] = {}  # by the number that the map counts with

    async def run(self, source: _sources.Source | None, arguments: list[str] | None, interrupts: Interrupts) -> int:
        """The exit status."""
        if source is not None and (self._options.bar or _is_percentage(self._options.halt)):
            arguments = [argument async for argument in source.arguments()]
        if arguments is not None:
            tasks, total = self._tasks(_each(arguments)), len(arguments)
        else:
            assert source is not None
            tasks, total = self._tasks(source.arguments()), None
        if self._options.dry_run:
            async for task in tasks:
                print(shown(task.command))
            return 0
        bar = _bar(total) if self._options.bar else None
        async with self._map(tasks, total) as results:
            interrupts.watch(results)
            with bar or nullcontext():
                async for result in results:
                    if bar is not None:
                        bar.clear()
                    self._ended(result)
                    if bar is not None:
                        bar.draw(results.progress)
            return interrupts.status or self._status(results)

    # ---- what is run --------------------------------------------------------------------------------------------------

    async def _tasks(self, arguments: AsyncIterator[str]) -> AsyncIterator[_Task]:
        """For each argument a task, without those that the log has."""
        number = 0
        async for argument in arguments:
            number += 1
            try:
                command = self._template.command(argument, number)
                if self._log is not None and self._log.is_done(number, shown(command)):
                    continue
            except (ValueError, UsageError) as error:
                self.fault = UsageError(str(error))
                return
            yield _Task(number, argument, command)

    async def _taken(self, tasks: AsyncIterator[_Task]) -> AsyncIterator[list[str] | str]:
        """Their commands, at the pace that was asked for."""
        count, start = 0, None
        async for task in tasks:
            start = await self._pace.keep(start)
            self._running[count] = task
            count += 1
            yield task.command

    def _map(self, tasks: AsyncIterator[_Task], total: int | None) -> aiospawn.Map:
        options = self._options
        try:
            return aiospawn.map(
                self._taken(tasks), total=total, concurrency=options.jobs, ordered=options.keep_order, halt=options.halt,
                timeout=options.timeout, grace=options.grace, retries=options.retries - 1, backoff=options.backoff,
                shell=options.shell, stdin=aiospawn.DEVNULL, capture_output=not options.ungroup, **_child.of_run(options),
            )  # fmt: skip
        except (LookupError, NotImplementedError, ValueError) as error:  # an unknown user, an option that cannot be had here
            raise UsageError(str(error.args[0])) from None

    # ---- what became of it --------------------------------------------------------------------------------------------

    def _ended(self, result: aiospawn.MapResult) -> None:
        """Output first: a job that is logged as done has been told of."""
        task = self._running.pop(result.number)
        stdout, stderr = result.stdout or b"", result.stderr or b""
        self._printer.write(1, task.argument, stdout)
        self._printer.write(2, task.argument, stderr)
        if result.error is not None:
            self._complain(task, result.error)
        if self._results is not None:
            self._results.write(task.argument, task.number, stdout, stderr)
        if self._log is not None:
            value, number = _exit(result)
            command = shown(task.command)
            self._log.add(Job(task.number, command, result.started, result.elapsed, len(stdout), value, number))

    def _complain(self, task: _Task, error: Exception) -> None:
        timed_out = isinstance(error, subprocess.TimeoutExpired)
        what = f"stopped after {self._options.timeout:g} s" if timed_out else f"cannot be run: {error}"
        print(f"aiospawn map: job {task.number}, {shown(task.command)}: {what}", file=sys.stderr)

    def _status(self, results: aiospawn.Map) -> int:
        progress, halt, halted = results.progress, self._options.halt, results.halted
        if halted is not None and halt.why == "success":
            return 0
        if _is_percentage(halt):
            return math.ceil(100 * progress.failed / (progress.total or 1))
        if halted is not None and halt.amount == 1:
            return _exit_status(halted)
        return min(progress.failed, _MOST_FAILED)


def _is_percentage(halt: aiospawn.Halt | None) -> bool:
    return halt is not None and halt.percent


async def _each(arguments: list[str]) -> AsyncIterator[str]:
    for argument in arguments:
        yield argument


def _bar(total: int | None) -> Bar:
    from ._bar import Bar

    assert total is not None
    return Bar(total)


def _exit(result: aiospawn.MapResult) -> tuple[int, int]:
    """The job log's Exitval and Signal."""
    if isinstance(result.error, subprocess.TimeoutExpired):
        return TIMED_OUT, signal.SIGTERM
    if result.error is not None:
        return _status.of_error(result.error), 0
    assert result.returncode is not None
    return max(0, result.returncode), max(0, -result.returncode)


def _exit_status(result: aiospawn.MapResult) -> int:
    """The job's, as a shell has it."""
    value, number = _exit(result)
    return 128 + number if number and value >= 0 else _status.TIMED_OUT if value == TIMED_OUT else value
