"""The options of `aiospawn map`. Their words are GNU parallel's, where it has one."""

from __future__ import annotations

import argparse
import os
import re

import aiospawn

from . import _child, _combinations, _pace, _parallel, _values
from ._errors import UsageError

__all__ = ["Share", "add_options", "settle"]

_SOURCES = """\
Behind ::: are arguments, behind :::: files that have one in each line. Where
there are several sources, each combination is a job's, the last one's changing
first. :::+ and ::::+ link a source to the one before, argument by argument.
Without any, the lines of standard input are the arguments."""

STRINGS = {
    "-I": "{}", "--extensionreplace": "{.}", "--basenamereplace": "{/}", "--dirnamereplace": "{//}",
    "--basenameextensionreplace": "{/.}", "--seqreplace": "{#}", "--slotreplace": "{%}",
}  # fmt: skip
_SHORT = {"--extensionreplace": "--er", "--basenamereplace": "--bnr", "--dirnamereplace": "--dnr"}
_SHORT |= {"--basenameextensionreplace": "--bner"}


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
    _add_grouping(parser.add_argument_group("how many arguments a job gets"))
    _add_pipe(parser.add_argument_group("standard input cut into blocks, for the standard input of jobs"))
    _add_strings(parser.add_argument_group("what is replaced in the command"))
    _add_running(parser.add_argument_group("how jobs are run"))
    _add_output(parser.add_argument_group("what is written"))
    _add_progress(parser.add_argument_group("progress, on standard error"))
    _child.add_options(parser, short=False)
    _parallel.add_refused(parser)


def _add_input(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-a", "--arg-file", action="append", default=[], metavar="FILE",
        help="read arguments from FILE, - is standard input: a source before those behind the command; may be given again",
    )  # fmt: skip
    add("-0", "--null", dest="delimiter", action="store_const", const=b"\0",
        help="arguments in files end with NUL, not with a newline")  # fmt: skip
    add(
        "-d",
        "--delimiter",
        type=_delimiter,
        metavar="TEXT",
        help="arguments end with TEXT, which may have \\n, \\t, \\x1e ...",
    )
    add("-E", dest="eof", metavar="TEXT", help="an argument that is TEXT ends its source; none does with an empty TEXT")
    add("-r", "--no-run-if-empty", action="store_true", help="no job for arguments that are only white space")
    add("--trim", choices=["n", "l", "r", "lr", "rl"], help="white space goes from the left or right end of arguments")
    add("--link", "--xapply", action="store_true", help="go through all sources side by side; shorter ones begin again")
    add("-C", "--colsep", type=_combinations.column_separator, metavar="REGEX",
        help="split arguments where REGEX, a Python one, matches: {1} is the first column")  # fmt: skip
    add("--header", type=_header, metavar=":", help="each source begins with the names of its columns: {name}, {name.} ...")
    add("--arg-sep", default=":::", metavar="TEXT", help="stands for ::: (default: %(default)s)")
    add("--arg-file-sep", default="::::", metavar="TEXT", help="stands for :::: (default: %(default)s)")
    add("--shuf", action="store_true", help="jobs in random order; all arguments are read first")
    add("--filter", metavar="EXPRESSION",
        help="only jobs of which a Python expression is true, as '{1} < {2}'; {} is a number or a str in it")  # fmt: skip


def _add_grouping(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-n", "--max-args", type=_count, metavar="N",
        help="N arguments for each job, of every source; 0 for one that is not put in (default: 1)")  # fmt: skip
    add("-N", "--max-replace-args", type=_count, metavar="N",
        help="the same, and a word with {} is repeated for each argument")  # fmt: skip
    add(
        "-L",
        "--max-lines",
        type=_count,
        metavar="N",
        help="the same as -n; with a blank at its end a line goes on in the next",
    )
    add("-X", dest="packs", action="store_const", const="X",
        help="as many as a command can have, at the end spread over the jobs; a word with {} is repeated")  # fmt: skip
    add("-m", dest="packs", action="store_const", const="m", help="the same, but a word is not repeated: 'a{}b' is 'a1 2b'")
    add("--xargs", dest="packs", action="store_const", const="xargs", help="the same as -m, and they are not spread")
    add("-s", "--max-chars", type=_values.size, metavar="BYTES", help="how long a command may be (default: 128K)")
    add("-x", "--exit", action="store_true", help="it is an error if the arguments of -n do not fit")


def _add_pipe(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--pipe", "--spreadstdin", "--pipe-part", action="store_true",
        help="no arguments: each job has whole records on its standard input, cut from -a FILE or from ours",
    )  # fmt: skip
    add("--block", "--block-size", type=_block, metavar="BYTES", help="how large blocks are at most (default: 1M)")
    add("--recend", type=_values.bytes_of, metavar="TEXT", help="records end with TEXT (default: a newline)")
    add("--recstart", type=_values.bytes_of, metavar="TEXT", help="records begin with TEXT")
    add("--regexp", action="store_true", help="these are Python regular expressions")
    add("--rrs", "--remove-rec-sep", "--removerecsep", action="store_true", help="jobs get records without these")
    # -N is records of a job, -L lines of a record.


def _add_strings(group: argparse._ArgumentGroup) -> None:
    for name, string in STRINGS.items():
        also = [_SHORT[name]] if name in _SHORT else []
        group.add_argument(
            name,
            *also,
            dest=f"instead_{string}",
            type=_not_empty,
            metavar="TEXT",
            help=f"TEXT stands for {string}".replace("%", "%%"),
        )


def _add_running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-j", "--jobs", "-P", "--max-procs", type=_values.jobs, metavar="N",
        help="how many run at a time: a number, N%%, +N or -N of the processors (default: 100%%)")  # fmt: skip
    add("--shell", action="store_true", help="the command is for $SHELL, or /bin/sh, and arguments are quoted for it")
    add("-q", "--quote", action="store_true", help="with --shell: the words of the command are quoted, too")
    add("--timeout", type=_timeout, metavar="TIME",
        help="stop a job that takes longer: seconds, or with s, m, h, d; N%% of the median of what succeeds")  # fmt: skip
    add("--grace", type=_values.duration, default=5.0, metavar="TIME",
        help="from SIGTERM to SIGKILL when a job is stopped (default: %(default)s)")  # fmt: skip
    add("--retries", type=_values.above_zero, default=1, metavar="N", help="run a job that fails up to N times in all")
    add("--backoff", type=_values.duration, default=0.0, metavar="TIME",
        help="wait before a job is run again, doubled each time (default: %(default)s)")  # fmt: skip
    add("--halt", "--halt-on-error", type=_halt, metavar="RULE",
        help="end early: now or soon, a comma, and fail, success or done with =N or =N%%, as now,fail=1")  # fmt: skip
    add("--delay", type=_values.duration, default=0.0, metavar="TIME", help="between two starts (default: %(default)s)")
    add("--load", type=_pace.load, metavar="N", help="start no job while N processes run, or N%% of the processors")
    add("--memfree", type=_values.size, metavar="BYTES", help="start no job while less memory is available")
    add("--tty", action="store_true", help="jobs have the terminal: -j 1 and -u, unless given otherwise")
    add("-o", "--open-tty", action="store_true", help="standard input of jobs is the terminal")
    add("--env", action="append", default=[], type=_variable_name, metavar="NAME",
        help="with --clear-env: this variable is kept; _ is for all")  # fmt: skip
    add("--cluster", type=_cluster, metavar="ADDRESS",
        help="run the jobs on the workers of a Dask cluster, as tcp://HOST:8786; local is for one on this machine; -j is "
        "each worker's, by default its threads")  # fmt: skip
    add(
        "--dry-run",
        "--dryrun",
        action="store_true",
        help="print the commands, and what a sandbox allows, instead of running",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-k",
        "--keep-order",
        "--keeporder",
        action="store_true",
        help="output in the order of the arguments, not as jobs end",
    )
    add("--no-keep-order", dest="keep_order", action="store_false", help="takes -k back")
    add("-u", "--ungroup", action="store_true", default=None, help="jobs write for themselves, between each other")
    add("--group", dest="ungroup", action="store_false", help="takes -u back: output of a job together, when it has ended")
    add("--line-buffer", "--lb", action="store_true", help="write each line of output as soon as it is there")
    add("--tag", action="store_true", help="begin each line of output with the arguments and a tab")
    add("--tagstring", type=_text, metavar="TEXT",
        help="begin each line with TEXT and a tab; {} and the like are replaced in it, and \\t, \\n ...")  # fmt: skip
    add("-v", dest="print_commands", action="store_true", help="write the command before the output of its job")
    add("-t", "--verbose", action="store_true", help="write the command to standard error when its job starts")
    add("--silent", action="store_true", help="takes -v back")
    add("--joblog", "--jl", metavar="FILE", help="write a line for each job that has ended to FILE; to its end with +FILE")
    add("--resume", action="store_true", help="go on with the job log or the results: what is there is not run")
    add("--resume-failed", action="store_true", help="as --resume with a job log, and jobs that failed are run again")
    add("--results", "--res", metavar="DIR", help="write each job's output to files in DIR as well")


def _add_progress(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--bar", action="store_true", help="show a progress bar; all arguments are read first")
    add("--eta", "--progress", action="store_true", help="the same; where there is no terminal, a line every ten seconds")
    add(
        "--total-jobs",
        "--total",
        type=_count,
        metavar="N",
        help="how many there will be, so that they need not be read first",
    )


# ---- values -----------------------------------------------------------------------------------------------------------


def _halt(text: str) -> aiospawn.Halt | None:
    older = {"0": "never", "1": "soon,fail=1", "2": "now,fail=1", "-1": "soon,success=1", "-2": "now,success=1"}
    rule = older.get(text, f"soon,fail={text}" if re.fullmatch("[0-9]+%", text) else text)
    try:
        return aiospawn.Halt.parse(rule)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("halt ")) from None


def _count(text: str) -> int:
    try:
        return _values.size(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text!r}") from None


def _cluster(text: str) -> str:
    if text != "local" and "://" not in text:
        raise argparse.ArgumentTypeError(f"must be local, or the address of a scheduler as tcp://HOST:8786, not {text!r}")
    return text


def _delimiter(text: str) -> bytes:
    delimiter = _values.bytes_of(text)
    if not delimiter:
        raise argparse.ArgumentTypeError("must not be empty")
    return delimiter


def _text(text: str) -> str:
    return os.fsdecode(_values.bytes_of(text))


def _block(text: str) -> int:
    size = _values.size(text)
    if not size:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text!r}")
    return size


def _timeout(text: str) -> float | Share:
    """A time, or a share of what jobs have taken."""
    if not text.endswith("%"):
        return _values.duration(text)
    try:
        share = float(text[:-1])
    except ValueError:
        share = 0
    if not share > 0:
        raise argparse.ArgumentTypeError(
            f"must be seconds, a number with s, m, h or d, or one with % above 0%, not {text!r}"
        )
    return Share(share / 100)


class Share(float):
    """Of the median of what jobs have taken."""


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _header(text: str) -> int:
    if text in (":", ".*\\n"):
        return 1
    if not re.fullmatch("[1-9][0-9]*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"must be a colon, for the first line, or a number of lines, not {text!r}")
    return int(text)


def _variable_name(text: str) -> str:
    if "=" in text:
        raise argparse.ArgumentTypeError(f"must be the name of a variable, not {text!r}; --setenv gives it a value")
    return text


# ---- all of them ------------------------------------------------------------------------------------------------------


def settle(options: argparse.Namespace) -> None:
    """Gives those that say something together their values. Raises UsageError for those that contradict each other."""
    given = [name for name in ("max_args", "max_replace_args", "max_lines") if getattr(options, name) is not None]
    if len(given) > 1 and not options.pipe:
        raise UsageError("-n, -N and -L: each says how many arguments a job gets")
    options.repeats = options.packs == "X" or options.max_replace_args is not None
    options.most = getattr(options, given[0]) if given else None
    options.width = 1 if options.most is None else options.most
    if options.ungroup is None and options.tty:
        options.ungroup, options.keep_order = True, False  # one job after the other, unless -j says otherwise
    options.print_commands = options.print_commands and not options.silent
    options.tagstring = options.tagstring or None
    if options.jobs is None and options.cluster is None:
        options.jobs = 1 if options.tty else _values.jobs("100%")
    if options.header is not None and options.header > 1 and not options.pipe:
        raise UsageError("--header: the names of columns are one line; more are for --pipe")
    if options.header and options.colsep is None and not options.pipe:
        options.colsep = _combinations.column_separator("\t")
    options.instead = {
        own: string for string in STRINGS.values() if (own := getattr(options, f"instead_{string}")) not in (None, string)
    }
    if options.pipe:
        options.repeats = False
    if "_" in options.env:
        options.clear_env = False
    _refuse_contradictions(options)
    if options.cluster is not None:
        _refuse_elsewhere(options)


_OF_THIS_MACHINE = {
    "ungroup": "jobs elsewhere cannot write here for themselves; --line-buffer writes their lines as they come",
    "tty": "the terminal is this machine's",
    "open_tty": "the terminal is this machine's",
    "load": "it is the load of this machine",
    "memfree": "it is the memory of this machine",
    "packs": "how many jobs run at a time, over which -X and -m spread arguments, is not known before",
}


def _refuse_elsewhere(options: argparse.Namespace) -> None:
    for name, reason in _OF_THIS_MACHINE.items():
        if getattr(options, name) not in (None, False):
            given = {"ungroup": "-u", "packs": "-X, -m or --xargs"}.get(name, f"--{name.replace('_', '-')}")
            raise UsageError(f"--cluster and {given}: {reason}")


def _refuse_contradictions(options: argparse.Namespace) -> None:
    for name in ("block", "recend", "recstart", "regexp", "rrs"):
        if not options.pipe and getattr(options, name) not in (None, False):
            raise UsageError(f"--{name} is for --pipe")
    for name in ("packs", "colsep", "filter", "shuf", "eof", "link", "delimiter", "max_args", "resume", "tty", "open_tty"):
        if options.pipe and getattr(options, name) not in (None, False):
            raise UsageError(f"--pipe: jobs have no arguments, for --{name.replace('_', '-')} to say something of")
    if options.resume_failed and options.joblog is None:
        raise UsageError("--resume-failed needs --joblog FILE")
    if options.resume and options.joblog is None and options.results is None:
        raise UsageError("--resume needs --joblog FILE or --results DIR")
    if options.tag and options.tagstring is not None:
        raise UsageError("--tag and --tagstring: a line has one tag")
    for name in ("tag", "tagstring", "line_buffer", "keep_order", "results"):
        if options.ungroup and getattr(options, name) not in (None, False):
            how = "--tty without --group" if options.tty else "-u"
            raise UsageError(f"{how} and --{name.replace('_', '-')}: jobs that write for themselves cannot have that")
