"""One map on the command line, from its records to its exit status."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import aiospawn

from . import _child, _pace, _sandbox_options, _status
from ._bar import progress
from ._errors import CannotRunError, UsageError
from ._joblog import TIMED_OUT, Job
from ._line_buffer import LineBuffer
from ._map_options import Share
from ._output import Printer
from ._replace import shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, AsyncIterator

    from ._bar import Progress
    from ._blocks import Blocks
    from ._combinations import Record, Records
    from ._interrupts import Interrupts
    from ._joblog import JobLog
    from ._output import Results
    from ._templates import Templates

__all__ = ["Session"]

_ENOUGH = 3  # jobs, for their median to say something
_NO_SLOT = "{%} and --cluster: which worker takes a job is not known before"
_LONGEST_SHOWN = 500  # characters
_MOST_FAILED = 101  # GNU parallel's exit status for more than 100


class _Task(NamedTuple):
    """A job that is to be run."""

    number: int
    arguments: Record
    command: list[str] | str
    tag: bytes = b""
    """What each line of its output begins with."""
    block: int | None = None
    """The descriptor of its standard input, with `--pipe`."""


class Session:
    """One map."""

    def __init__(
        self,
        options: argparse.Namespace,
        templates: Templates,
        blocks: Blocks | None,
        log: JobLog | None,
        results: Results | None,
    ) -> None:
        self.fault: UsageError | None = None
        """What an argument or the job log is found to be wrong in. No more jobs are started then; those that run end."""
        self._options = options
        self._templates = templates
        self._blocks = blocks
        self._times: list[float] = []  # seconds of jobs that have succeeded, for --timeout N%
        self._log = log
        self._results = results
        self._printer = Printer()
        self._lines = LineBuffer(self._printer, ordered=options.keep_order) if options.line_buffer else None
        self._progress: Progress | None = None
        self._pace = _pace.Pace(options.delay, options.load, options.memfree)
        self._slots: dict[asyncio.Task[Any] | None, int] = {}
        self._running: dict[int, _Task] = {}  # by the number that the map counts with

    async def run(self, records: Records, interrupts: Interrupts) -> int:
        """The exit status. `records`: the arguments of each job."""
        options = self._options
        total = options.total_jobs
        if total is None and (options.bar or options.eta or _is_percentage(options.halt)):
            try:
                read = [record async for record in records]
            except UsageError as error:
                self.fault = error
                return 2
            records, total = _each(read), len(read)
        tasks = self._tasks(records)
        if options.dry_run:
            for line in _sandbox_options.explained(options):
                self._printer.write(1, b"", os.fsencode(f"{line}\n"))
            async for task in tasks:
                self._printer.write(1, task.tag, _line(task))
            return 0
        if options.cluster is not None and not options.header and self._has_slot():
            raise UsageError(_NO_SLOT)
        self._progress = progress(total, bar=options.bar, eta=options.eta)
        async with self._map(tasks, total) as results:
            interrupts.watch(results)
            if self._progress is not None:
                self._progress.results = results
            with self._progress or nullcontext():
                try:
                    async for result in results:
                        self._ended(result, halts=result is results.halted)
                except aiospawn.ClusterError as error:
                    raise CannotRunError(str(error)) from None
            return interrupts.status or self._status(results)

    def close(self) -> None:
        """What jobs that were stopped have left."""
        for task in self._running.values():
            if task.block is not None:
                os.close(task.block)

    # ---- what is run --------------------------------------------------------------------------------------------------

    async def _tasks(self, records: Records) -> AsyncGenerator[_Task, None]:
        """For each record a task, without those that the log has."""
        number = 0
        async with aclosing(records):
            try:
                async for arguments in records:
                    number += 1
                    task = self._task(number, arguments)
                    if task is not None:
                        yield task
            except (ValueError, UsageError) as error:
                self.fault = UsageError(str(error))

    def _task(self, number: int, arguments: Record) -> _Task | None:
        """None where it is done already. Raises ValueError and UsageError."""
        template, tag = self._templates.command, self._templates.tag
        slot = self._slot() if template.has_slot or (tag is not None and tag.has_slot) else 1
        command = template.command(arguments, number, slot)
        if self._log is not None:
            if self._log.is_done(number, None if template.has_slot else shown(command)):
                return None
        elif self._options.resume and self._results is not None and self._results.has(arguments, self._templates.columns):
            return None
        begin = b"" if tag is None else os.fsencode(" ".join(tag.command(arguments, number, slot))) + b"\t"
        return _Task(number, arguments, command, begin, None if self._blocks is None else self._blocks.take())

    def _has_slot(self) -> bool:
        tag = self._templates.tag
        return self._templates.command.has_slot or (tag is not None and tag.has_slot)

    def _slot(self) -> int:
        """The number of the worker that takes this job: it runs one at a time, so those that run have different ones."""
        if self._options.cluster is not None:
            raise UsageError(_NO_SLOT)
        return self._slots.setdefault(asyncio.current_task(), len(self._slots) + 1)

    async def _taken(self, tasks: AsyncGenerator[_Task, None]) -> AsyncIterator[list[str] | str | aiospawn.Command]:
        """Their commands, at the pace that was asked for."""
        count, start = 0, None
        async with aclosing(tasks):
            async for task in tasks:
                start = await self._pace.keep(start)
                self._running[count] = task
                self._announce(task, count)
                count += 1
                yield self._with_its_own(task)

    def _with_its_own(self, task: _Task) -> list[str] | str | aiospawn.Command:
        """The command, with the options that are not those of all."""
        if task.block is None and not isinstance(self._options.timeout, Share):
            return task.command
        options: dict[str, Any] = {}
        again = self._options.retries > 1  # a second attempt would find the file at its end
        if task.block is not None and (again or self._options.cluster is not None):
            options["input"] = os.pread(task.block, os.fstat(task.block).st_size, 0)
        elif task.block is not None:
            options["stdin"] = task.block
        if isinstance(self._options.timeout, Share) and len(self._times) >= _ENOUGH:
            import statistics  # which imports much, for this alone

            options["timeout"] = self._options.timeout * statistics.median(self._times)
        if not options:
            return task.command
        return aiospawn.Command(task.command, shell=isinstance(task.command, str), **options)

    def _announce(self, task: _Task, number: int) -> None:
        """When it is started. Where its output is written at its end, so is the command of `-v`."""
        if self._options.verbose:
            self._write(2, b"", _line(task))
        if self._options.print_commands and self._lines is not None:
            self._make_way(False)
            self._lines.write(number, 1, task.tag, _line(task))
        elif self._options.print_commands and self._options.ungroup:
            self._write(1, b"", _line(task))

    def _map(self, tasks: AsyncGenerator[_Task, None], total: int | None) -> aiospawn.Map[Any]:
        options = self._options
        timeout = None if isinstance(options.timeout, Share) else options.timeout
        try:
            return aiospawn.map(
                self._taken(tasks), total=total, concurrency=options.jobs, ordered=options.keep_order, halt=options.halt,
                timeout=timeout, grace=options.grace, retries=options.retries - 1, backoff=options.backoff,
                shell=options.shell, stdin=self._stdin(), capture_output=self._captures(),
                on_line=None if self._lines is None else self._told, cluster=options.cluster, **self._shell(),
                **self._with_workers(), **_child.of_run(options),
            )  # fmt: skip
        except (LookupError, NotImplementedError, ValueError) as error:  # an unknown user, an option that cannot be had here
            raise UsageError(str(error.args[0])) from None

    def _with_workers(self) -> dict[str, Any]:
        """With a function for its events, each job is run by one of a fixed number of tasks, which ask for jobs: slots."""
        may_have_slot = self._options.cluster is None and (self._options.header or self._has_slot())
        return {"on_event": _ignore} if may_have_slot else {}

    def _stdin(self) -> int | None:
        """Of all jobs, where each has no block of its own."""
        return None if self._blocks is not None else self._options.stdin

    def _shell(self) -> dict[str, Any]:
        """The user's own, which has the functions that are exported to it."""
        shell = os.environ.get("SHELL")
        return {"executable": shell} if self._options.shell and shell else {}

    def _captures(self) -> bool:
        return not self._options.ungroup and (self._lines is None or self._results is not None)

    def _told(self, line: aiospawn.MapLine) -> None:
        assert self._lines is not None
        self._make_way(line.stream == "stderr")
        self._lines.take(line, self._running[line.number].tag)

    def _write(self, descriptor: int, tag: bytes, output: bytes) -> None:
        self._make_way(descriptor == 2)
        self._printer.write(descriptor, tag, output)

    def _make_way(self, is_error: bool) -> None:
        if self._progress is not None:
            self._progress.make_way(2 if is_error else 1)

    # ---- the results --------------------------------------------------------------------------------------------------

    def _ended(self, result: aiospawn.MapResult[Any], *, halts: bool) -> None:
        """Output first: a job that is logged as done has been written. `halts`: by `--halt` it is the last one."""
        task = self._running.pop(result.number)
        sent = 0
        if task.block is not None:
            sent = os.fstat(task.block).st_size
            os.close(task.block)
        if result.ok and isinstance(self._options.timeout, Share):
            self._times.append(result.elapsed)
        stdout, stderr = result.stdout or b"", result.stderr or b""
        if self._options.print_commands and not self._options.ungroup:
            stdout = _line(task) + stdout
        if self._lines is not None:
            received, errors = self._lines.ended(result.number)
        else:
            self._print(task, stdout, stderr)
            received, errors = len(stdout), stderr
        if result.error is not None:
            self._complain(task, result.error)
        if halts and self._options.halt.why == "fail":
            self._tell_halt(task, result, errors)
        if self._results is not None:
            self._results.write(task.arguments, task.number, stdout, stderr, self._templates.columns)
        if self._log is not None:
            value, number = _exit(result)
            command = shown(task.command)
            host = result.host or ":"
            self._log.add(Job(task.number, command, result.started, result.elapsed, received, value, number, sent, host))

    def _print(self, task: _Task, stdout: bytes, stderr: bytes) -> None:
        if stdout:
            self._write(1, task.tag, stdout)
        if stderr:
            self._write(2, task.tag, stderr)

    def _complain(self, task: _Task, error: Exception) -> None:
        if isinstance(error, subprocess.TimeoutExpired):
            what = f"stopped after {error.timeout:g} s"
        else:
            what = f"cannot be run: {error}"
        self._make_way(True)
        print(f"aiospawn map: job {task.number}, {_short(task)}: {what}", file=sys.stderr)

    def _tell_halt(self, task: _Task, result: aiospawn.MapResult[Any], errors: bytes) -> None:
        """Which job it was, and the end of what it said."""
        self._make_way(True)
        how, end = "it failed", ""
        if result.returncode:
            how = f"signal {-result.returncode}" if result.returncode < 0 else f"exit status {result.returncode}"
            end = "".join(str(aiospawn.CalledProcessError(result.returncode, "", stderr=errors)).partition("\n")[1:])
        print(
            f"aiospawn map: --halt {self._options.halt}: job {task.number}, {_short(task)}: {how}{end}",
            file=sys.stderr,
        )

    def _status(self, results: aiospawn.Map[Any]) -> int:
        progress, halt, halted = results.progress, self._options.halt, results.halted
        if halted is not None and halt.why == "success":
            return 0
        if _is_percentage(halt):
            return math.ceil(100 * progress.failed / (progress.total or 1))
        if halted is not None and halt.amount == 1:
            return _exit_status(halted)
        return min(progress.failed, _MOST_FAILED)


def _ignore(event: aiospawn.ProcessEvent) -> None:
    """For jobs that have a task."""


def _is_percentage(halt: aiospawn.Halt | None) -> bool:
    return halt is not None and halt.percent


def _line(task: _Task) -> bytes:
    """Its command, as one would type it."""
    return os.fsencode(shown(task.command)) + b"\n"


def _short(task: _Task) -> str:
    """Its command for a message, which is to be seen on a terminal."""
    text = shown(task.command)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


async def _each(records: list[Record]) -> Records:
    for record in records:
        yield record


def _exit(result: aiospawn.MapResult[Any]) -> tuple[int, int]:
    """The job log's Exitval and Signal."""
    if isinstance(result.error, subprocess.TimeoutExpired):
        return TIMED_OUT, signal.SIGTERM
    if result.error is not None:
        return _status.of_error(result.error), 0
    assert result.returncode is not None
    return max(0, result.returncode), max(0, -result.returncode)


def _exit_status(result: aiospawn.MapResult[Any]) -> int:
    """The job's, as a shell has it."""
    value, number = _exit(result)
    return 128 + number if number and value >= 0 else _status.TIMED_OUT if value == TIMED_OUT else value
