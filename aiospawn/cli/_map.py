"""`aiospawn map`: a command for each argument, a few at a time, in GNU parallel's words."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import aiospawn

from . import _combinations, _packing, _selection, _sources
from ._blocks import Blocks, Cut
from ._blocks import Records as BlockRecords
from ._errors import UsageError
from ._interrupts import Interrupts
from ._joblog import JobLog
from ._map_options import add_options, settle
from ._output import Results
from ._session import Session
from ._suspension import SuspendableLoop, Suspension
from ._templates import Templates

if TYPE_CHECKING:
    import argparse

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
  $ ls *.log | aiospawn map -X wc -l
  $ aiospawn map -k --header : echo {size} {colour} ::: size S M ::: colour red green
  $ aiospawn map --line-buffer --tagstring '{#} {/}' tail -n 2 ::: *.log
"""


def run(options: argparse.Namespace) -> int:
    """GNU parallel's exit status: how many jobs failed, 101 for more than 100; what `halt` says of it."""
    settle(options)
    words, groups = _sources.split(_sources.words(options.command), options.arg_sep, options.arg_file_sep)
    first: list[list[_sources.Source]] = [[_sources.File("-a", name)] for name in options.arg_file]
    groups = [*first, *groups]
    _refuse_contradictions(options, words, [source for group in groups for source in group])
    with ExitStack() as stack:
        width = 0 if options.pipe else _width(options, sum(map(len, groups)) or 1)
        templates = Templates(options, words, width)
        if words and not options.shell:
            _refuse_shell_text(words)
        blocks = _blocks(options, words, groups, stack) if options.pipe else None
        if blocks is not None:
            records: Records = blocks.records()
        else:
            records = _records(options, groups or [[_sources.STANDARD_INPUT]], stack, templates)
        log = None
        if options.joblog is not None and not (options.dry_run and not _resumes(options)):
            log = JobLog(options.joblog, resume=_resumes(options), retry_failed=options.resume_failed)
            stack.callback(log.close)
        options.stdin = _stdin(options, stack)
        results = Results(options.results, width) if options.results is not None and not options.dry_run else None
        session = Session(options, templates, blocks, log, results)
        stack.callback(session.close)
        with Interrupts(options.grace) as interrupts, asyncio.Runner(loop_factory=SuspendableLoop) as runner:
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


def _width(options: argparse.Namespace, sources: int) -> int | None:
    """How many arguments a job has at most; None where that is not known."""
    if options.packs and options.most is None:
        return None
    return None if options.colsep and options.width else options.width * sources


def _blocks(options: argparse.Namespace, words: list[str], groups: list[list[_sources.Source]], stack: ExitStack) -> Blocks:
    """What `--pipe` cuts, and how."""
    files = [source for group in groups for source in group if isinstance(source, _sources.File)]
    if len(files) < len(groups):
        raise UsageError("--pipe: standard input is cut, or files of -a and ::::, and there are no arguments for :::")
    if not words:
        raise UsageError("--pipe needs a command")
    descriptors = [_sources.descriptor(file, stack) for file in files or [_sources.File("--pipe", "-")]]
    start, end = options.recstart or b"", options.recend
    if end is None:
        end = b"" if start else b"\n"
    for text in (start, end) if options.regexp else ():
        try:
            re.compile(text)
        except re.error as error:
            raise UsageError(f"--regexp: {os.fsdecode(text)!r}: {error}") from None
    records = BlockRecords(start, end, options.regexp, options.max_lines or 1)
    cut = Cut(
        records,
        options.block or 1 << 20,
        options.max_replace_args or None,
        options.header or 0,
        options.rrs,
        options.no_run_if_empty,
    )
    return Blocks(descriptors, cut)


def _stdin(options: argparse.Namespace, stack: ExitStack) -> int:
    """Of all jobs: nothing, or the terminal."""
    if not (options.tty or options.open_tty):
        return aiospawn.DEVNULL
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        raise UsageError(f"{'--tty' if options.tty else '--open-tty'}: /dev/tty: {error.strerror}") from None
    stack.callback(os.close, terminal)
    return terminal


def _resumes(options: argparse.Namespace) -> bool:
    return bool(options.resume or options.resume_failed)


def _records(
    options: argparse.Namespace, groups: list[list[_sources.Source]], stack: ExitStack, templates: Templates
) -> Records:
    """The arguments of each job."""

    def records_of(source: _sources.Source) -> Records:
        records = _of_source(_sources.opened(source, stack, delimiter=options.delimiter or b"\n"), options)
        return templates.header.taken(records) if options.header else records

    opened = [[records_of(source) for source in group] for group in groups]
    if options.link:
        records = _combinations.recycled([source for group in opened for source in group])
    else:
        records = _combinations.combined(opened)
    if options.filter is not None:
        records = _selection.filtered(records, options.filter, templates.strings)
    if options.shuf:
        records = _selection.shuffled(records)
    if options.packs or options.max_chars is not None:
        most = options.most if options.packs or options.most is not None else 1
        jobs = 1 if options.packs in ("xargs", None) else options.jobs
        longest = _packing.LONGEST if options.max_chars is None else options.max_chars
        packing = _packing.Packing(longest, most, jobs, exact=options.exit)
        return _packing.packed(records, lambda: templates.command, packing)
    return records if options.width == 1 else _combinations.joined(records, options.width)


def _of_source(records: Records, options: argparse.Namespace) -> Records:
    """What of its arguments counts."""
    if options.eof:
        records = _selection.until(records, options.eof)
    if options.max_lines:
        records = _selection.continued(records)
    if options.no_run_if_empty:
        records = _selection.not_empty(records)
    if options.colsep:
        records = _combinations.columns(records, options.colsep)
    trim = options.trim or ("lr" if options.colsep else "n")
    return records if trim == "n" else _selection.trimmed(records, trim)


def _refuse_contradictions(options: argparse.Namespace, words: list[str], sources: list[_sources.Source]) -> None:
    files = [source.name for source in sources if isinstance(source, _sources.File)]
    if files.count("-") > 1:
        raise UsageError("- is named twice: standard input is one source of arguments")
    if not options.width and (options.results or not words):
        raise UsageError(f"-n 0 {'and --results' if words else 'without a command'}: a job needs an argument for that")


def _refuse_shell_text(words: list[str]) -> None:
    """GNU parallel's users write `'gzip {} | wc'`: without a shell that is the name of a program."""
    if len(words) == 1 and any(character in " \t\n|&;<>$`" for character in words[0]):
        raise UsageError(f"{words[0]!r} is one word, the name of a program; with --shell it is a shell's command")
