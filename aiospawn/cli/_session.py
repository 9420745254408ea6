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

from . import _child, _pace, _status
from ._errors import UsageError
from ._joblog import TIMED_OUT, Job
from ._line_buffer import LineBuffer
from ._output import Printer
from ._replace import shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, AsyncIterator

    from ._bar import Bar
    from ._combinations import Record, Records
    from ._interrupts import Interrupts
    from ._joblog import JobLog
    from ._output import Results
    from ._replace import Template

__all__ = ["Session"]

_MOST_FAILED = 101  # GNU parallel's exit status for more than 100


class _Task(NamedTuple):
    """A job that is to be run."""

    number: int
    arguments: Record
    command: list[str] | str
    tag: bytes = b""
    """What each line of its output begins with."""


class Session:
    """One map."""

    def __init__(
        self,
        options: argparse.Namespace,
        template: Template,
        tags: Template | None,
        log: JobLog | None,
        results: Results | None,
    ) -> None:
        self.fault: UsageError | None = None
        """What an argument or the job log is found to be wrong in. No more jobs are started then; those that run end."""
        self._options = options
        self._template = template
        self._tags = tags
        self._log = log
        self._results = results
        self._printer = Printer()
        self._lines = LineBuffer(self._printer, ordered=options.keep_order) if options.line_buffer else None
        self._bar: Bar | None = None
        self._pace = _pace.Pace(options.delay, options.load)
        self._slots: dict[asyncio.Task[Any] | None, int] = {}
        self._running: dict[int, _Task] = {}  # by the number that the map counts with

    async def run(self, records: Records, interrupts: Interrupts) -> int:
        """The exit status. `records`: the arguments of each job."""
        total = None
        if self._options.bar or _is_percentage(self._options.halt):
            read = [record async for record in records]
            records, total = _each(read), len(read)
        tasks = self._tasks(records)
        if self._options.dry_run:
            async for task in tasks:
                print(shown(task.command))
            return 0
        self._bar = bar = _bar(total) if self._options.bar else None
        async with self._map(tasks, total) as results:
            interrupts.watch(results)
            with bar or nullcontext():
                async for result in results:
                    if bar is not None:
                        bar.clear()
                    self._ended(result, halts=result is results.halted)
                    if bar is not None:
                        bar.draw(results.progress)
            return interrupts.status or self._status(results)

    # ---- what is run --------------------------------------------------------------------------------------------------

    async def _tasks(self, records: Records) -> AsyncGenerator[_Task, None]:
        """For each record a task, without those that the log has."""
        number, has_slot = 0, self._template.has_slot
        needs_slot = has_slot or (self._tags is not None and self._tags.has_slot)
        async with aclosing(records):
            async for arguments in records:
                number += 1
                try:
                    slot = self._slot() if needs_slot else 1
                    command = self._template.command(arguments, number, slot)
                    if self._log is not None and self._log.is_done(number, None if has_slot else shown(command)):
                        continue
                except (ValueError, UsageError) as error:
                    self.fault = UsageError(str(error))
                    return
                yield _Task(number, arguments, command, self._tag(arguments, number, slot))

    def _tag(self, arguments: Record, number: int, slot: int) -> bytes:
        if self._tags is None:
            return b""
        return os.fsencode(" ".join(self._tags.command(arguments, number, slot))) + b"\t"

    def _slot(self) -> int:
        """The number of the worker that takes this job: it runs one at a time, so those that run have different ones."""
        return self._slots.setdefault(asyncio.current_task(), len(self._slots) + 1)

    async def _taken(self, tasks: AsyncGenerator[_Task, None]) -> AsyncIterator[list[str] | str]:
        """Their commands, at the pace that was asked for."""
        count, start = 0, None
        async with aclosing(tasks):
            async for task in tasks:
                start = await self._pace.keep(start)
                self._running[count] = task
                count += 1
                yield task.command

    def _map(self, tasks: AsyncGenerator[_Task, None], total: int | None) -> aiospawn.Map:
        options = self._options
        try:
            return aiospawn.map(
                self._taken(tasks), total=total, concurrency=options.jobs, ordered=options.keep_order, halt=options.halt,
                timeout=options.timeout, grace=options.grace, retries=options.retries - 1, backoff=options.backoff,
                shell=options.shell, stdin=aiospawn.DEVNULL, capture_output=self._captures(),
                on_line=None if self._lines is None else self._told, **_child.of_run(options),
            )  # fmt: skip
        except (LookupError, NotImplementedError, ValueError) as error:  # an unknown user, an option that cannot be had here
            raise UsageError(str(error.args[0])) from None

    def _captures(self) -> bool:
        return not self._options.ungroup and (self._lines is None or self._results is not None)

    def _told(self, line: aiospawn.MapLine) -> None:
        if self._bar is not None:
            self._bar.clear()
        assert self._lines is not None
        self._lines.told(line, self._running[line.number].tag)

    # ---- what became of it --------------------------------------------------------------------------------------------

    def _ended(self, result: aiospawn.MapResult, *, halts: bool) -> None:
        """Output first: a job that is logged as done has been told of. `halts`: by `--halt` it is the last one."""
        task = self._running.pop(result.number)
        stdout, stderr = result.stdout or b"", result.stderr or b""
        if self._lines is not None:
            received, errors = self._lines.ended(result.number)
        else:
            self._printer.write(1, task.tag, stdout)
            self._printer.write(2, task.tag, stderr)
            received, errors = len(stdout), stderr
        if result.error is not None:
            self._complain(task, result.error)
        if halts and self._options.halt.why == "fail":
            self._tell_halt(task, result, errors)
        if self._results is not None:
            self._results.write(task.arguments, task.number, stdout, stderr)
        if self._log is not None:
            value, number = _exit(result)
            command = shown(task.command)
            self._log.add(Job(task.number, command, result.started, result.elapsed, received, value, number))

    def _complain(self, task: _Task, error: Exception) -> None:
        timed_out = isinstance(error, subprocess.TimeoutExpired)
        what = f"stopped after {self._options.timeout:g} s" if timed_out else f"cannot be run: {error}"
        print(f"aiospawn map: job {task.number}, {shown(task.command)}: {what}", file=sys.stderr)

    def _tell_halt(self, task: _Task, result: aiospawn.MapResult, errors: bytes) -> None:
        """Which job it was, and the end of what it said."""
        how, end = "it failed", ""
        if result.returncode:
            how = f"signal {-result.returncode}" if result.returncode < 0 else f"exit status {result.returncode}"
            end = "".join(str(aiospawn.CalledProcessError(result.returncode, "", stderr=errors)).partition("\n")[1:])
        print(
            f"aiospawn map: --halt {self._options.halt}: job {task.number}, {shown(task.command)}: {how}{end}",
            file=sys.stderr,
        )

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


async def _each(records: list[Record]) -> Records:
    for record in records:
        yield record


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
