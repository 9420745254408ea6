"""GNU parallel's options, all of them: what is the same here, what is different and how, what there is not and why.

docs/cli.md has the table (`table()`), and the command line what is to be done instead of an option that there is not.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WORDS", "Word", "add_refused", "table"]


class Word(NamedTuple):
    """An option of GNU parallel's, by all its names."""

    names: str
    here: Literal["same", "different", "not"]
    text: str = ""
    """How it is different; what to do instead."""

    @property
    def options(self) -> list[str]:
        return self.names.split()


_REMOTE = "jobs run on this machine, and with --cluster on those of a Dask cluster (docs/cluster.md)"
_SQL = "--joblog FILE keeps what is done, and --resume goes on"
_PERL = "there is no Perl here; --shell with the shell's own ${...}, or aiospawn.map in Python"
_SEMAPHORE = "flock(1) is a mutex of the shell's; in Python asyncio.Semaphore"
_SPREAD = "each job gets one block of --pipe"
_ESCAPES = "all that printf(1) escapes: \\x41 and \\101 too"
_THREADS = "-j N, -j N%: processors are those that this process may use (sched_getaffinity)"

WORDS = (
    Word("--null -0", "same"),
    Word("--arg-file -a", "different", "standard input is not given to the first job"),
    Word("--arg-file-sep", "same"),
    Word("--arg-sep", "same"),
    Word("--bar", "different", "drawn by rich, below the output; a line with the result stays at the end"),
    Word("--basefile --bf", "not", _REMOTE),
    Word("--basenamereplace --bnr", "same"),
    Word("--basenameextensionreplace --bner", "same"),
    Word("--bin", "not", _SPREAD),
    Word("--bg", "not", _SEMAPHORE),
    Word("--block --block-size", "same"),
    Word("--block-timeout --bt", "not", "a block is given to a job when it is full"),
    Word("--cat", "not", "with --pipe, /dev/stdin is the name of a file in memory"),
    Word("--cleanup", "not", _REMOTE),
    Word("--color", "not", "--tag distinguishes the jobs"),
    Word("--color-failed --cf", "not", "failed jobs are in --joblog FILE"),
    Word("--colsep -C", "different", "a Python regular expression"),
    Word("--compress", "not", "output is kept in memory"),
    Word("--compress-program --decompress-program", "not", "output is kept in memory"),
    Word("--csv", "not", "--colsep , where no field is quoted; csv in Python"),
    Word("--ctag", "not", "--tag"),
    Word("--ctagstring", "not", "--tagstring TEXT"),
    Word("--delay", "different", "no 'auto'"),
    Word("--delimiter -d", "different", _ESCAPES),
    Word("--dirnamereplace --dnr", "same"),
    Word("--dry-run", "different", "words are quoted as a shell wants them; comments say what a sandbox allows"),
    Word("-E", "same"),
    Word("--eof -e", "not", "-E TEXT"),
    Word("--embed", "not", "pip install aiospawn"),
    Word("--env", "different", "jobs have the whole environment; with --clear-env those that are named"),
    Word("--eta", "different", "drawn by rich; without a terminal a line every ten seconds"),
    Word("--fg", "not", _SEMAPHORE),
    Word("--fifo", "not", "with --pipe, /dev/stdin is the name of a file in memory"),
    Word("--filter", "different", "a Python expression; the exit status does not count jobs that are left out"),
    Word("--filter-hosts", "not", _REMOTE),
    Word("--gnu", "not", "leave it out"),
    Word("--group", "different", "takes -u back, as -u does with --group; there they are an error together"),
    Word("--group-by", "not", _SPREAD),
    Word("--help -h", "different", "aiospawn's"),
    Word(
        "--halt-on-error --halt",
        "different",
        "what is stopped has --grace seconds; messages are other ones; done=3 is not status 101",
    ),
    Word("--header", "different", "a colon (or '.*\\n'), for arguments; with --pipe a number of lines as well"),
    Word("--hostgroups --hgrp", "not", _REMOTE),
    Word("-I", "same"),
    Word("--replace -i", "not", "-I TEXT"),
    Word("--joblog --jl", "different", "commands as --dry-run shows them; Send is 0 but for --pipe"),
    Word("--jobs -j --max-procs -P", "different", "not 0 and no file"),
    Word("--keep-order -k", "same"),
    Word("-L", "different", "blanks within a line separate no arguments; not 0"),
    Word("--max-lines", "different", "as -L"),
    Word("-l", "not", "-L N"),
    Word("--limit", "not", "--load N, --memfree SIZE"),
    Word("--latest-line --ll", "not", "--line-buffer, --bar"),
    Word("--line-buffer --lb", "same"),
    Word("--link --xapply", "same"),
    Word("--load", "different", "looks four times a second, without the average of a minute"),
    Word("--controlmaster -M", "not", _REMOTE),
    Word("-m", "different", "up to 128 KiB unless -s says otherwise"),
    Word("--memfree", "different", "holds up starts; kills nothing"),
    Word("--memsuspend", "not", "--memfree SIZE; cgroups (memory.high) slow down what is too large"),
    Word("--minversion", "not", "aiospawn --version"),
    Word("--max-args -n", "same"),
    Word("--max-replace-args -N", "same"),
    Word("--nonall", "not", _REMOTE),
    Word("--onall", "not", _REMOTE),
    Word("--open-tty -o", "same"),
    Word("--output-as-files --outputasfiles --files", "not", "--results DIR"),
    Word(
        "--pipe --spreadstdin",
        "different",
        "a job's standard input is a file in memory; with -a or :::: it is cut from files",
    ),
    Word("--pipe-part", "different", "as --pipe: -N and -L work, a negative --block does not"),
    Word("--plain", "not", "leave it out: there are no profiles"),
    Word("--plus", "not", _PERL),
    Word("--process-slot-var", "not", "{%} is the slot, from 1: env NAME={%} COMMAND"),
    Word("--progress", "different", "as --eta"),
    Word("--max-line-length-allowed", "not", "getconf ARG_MAX"),
    Word("--number-of-cpus --number-of-cores --number-of-sockets --number-of-threads", "not", "nproc(1), lscpu(1)"),
    Word("--no-keep-order", "same"),
    Word("--nice", "different", "is added to the niceness"),
    Word("--interactive -p", "not", "--dry-run shows what would be run"),
    Word("--_parset", "not", "mapfile -t NAME < <(aiospawn map -k ...)"),
    Word("--parens", "not", _PERL),
    Word("--profile -J", "not", "an alias or a function of the shell's"),
    Word("--quote -q", "different", "without --shell words are words as they are"),
    Word("--no-run-if-empty -r", "same"),
    Word("--noswap", "not", "--memfree SIZE"),
    Word("--record-env", "not", "--clear-env with --env NAME keeps what is named"),
    Word("--recstart --recend", "different", _ESCAPES),
    Word("--regexp", "different", "Python regular expressions"),
    Word("--remove-rec-sep --removerecsep --rrs", "same"),
    Word("--results --res", "different", "a directory; output is written to standard output as well; with -n it counts on"),
    Word("--resume", "different", "a log of other commands is refused; with --results, jobs that have a directory are done"),
    Word("--resume-failed", "different", "a log of other commands is refused"),
    Word("--retry-failed", "not", "--resume-failed, with the same command and arguments"),
    Word("--retries", "different", "not 0; --backoff TIME waits between"),
    Word("--return", "not", _REMOTE),
    Word("--round-robin --round", "not", _SPREAD),
    Word("--rpl", "not", _PERL),
    Word("--rsync-opts", "not", _REMOTE),
    Word("--max-chars -s", "different", "for -m, -X, --xargs, -n and -N"),
    Word("--show-limits", "not", "getconf ARG_MAX"),
    Word("--semaphore", "not", _SEMAPHORE),
    Word("--semaphore-name --id", "not", _SEMAPHORE),
    Word("--semaphore-timeout --st", "not", _SEMAPHORE),
    Word("--seqreplace", "same"),
    Word("--session", "not", "exported functions and variables are there: bash -c, or --shell under bash"),
    Word("--shard", "not", _SPREAD),
    Word("--shebang --hashbang", "not", "a script of sh that calls aiospawn map :::: FILE"),
    Word("--shebang-wrap", "not", "a script of sh that calls aiospawn map"),
    Word("--shell-completion", "not", "the package installs completions for bash, zsh and fish (docs/cli.md)"),
    Word("--shell-quote", "not", "printf '%q\\n' in bash; with --shell arguments are quoted anyway"),
    Word("--shuf", "same"),
    Word("--skip-first-line", "not", "tail -n +2"),
    Word("--sql --sql-master --sql-and-worker --sql-worker", "not", _SQL),
    Word("--ssh --ssh-delay", "not", _REMOTE),
    Word("--sshlogin -S", "not", _REMOTE),
    Word("--sshloginfile --slf", "not", _REMOTE),
    Word("--slotreplace", "same"),
    Word("--silent", "same"),
    Word("--template --tmpl", "not", "--shell 'sed s/X/{}/ template >{#}.t; ...'"),
    Word("--tty", "same"),
    Word("--tag", "same"),
    Word("--tagstring", "same"),
    Word("--tee", "not", "without --pipe: a command for each argument, with <FILE in --shell"),
    Word("--term-seq", "not", "--grace TIME: SIGTERM, and SIGKILL after it"),
    Word("--total-jobs --total", "same"),
    Word("--tmpdir", "not", "output is kept in memory"),
    Word("--tmux --tmuxpane", "not", "--line-buffer --tag"),
    Word(
        "--timeout",
        "different",
        "a job has --grace seconds after it; N% holds for jobs that start after three have succeeded",
    ),
    Word("--verbose -t", "same"),
    Word("--transfer", "not", _REMOTE),
    Word("--transferfile --tf", "not", _REMOTE),
    Word("--trc", "not", _REMOTE),
    Word("--trim", "same"),
    Word("--ungroup -u", "different", "not with --tag, --tagstring, -k, --results; --group takes it back"),
    Word("--extensionreplace --er", "same"),
    Word("--use-sockets-instead-of-threads --use-cores-instead-of-threads --use-cpus-instead-of-cores", "not", _THREADS),
    Word("-v", "different", "there is nothing for -v -v to show"),
    Word("--version -V", "not", "aiospawn --version"),
    Word("--workdir --wd", "different", "a directory; no replacement strings, no '...'"),
    Word("--wait", "not", _SEMAPHORE),
    Word("-X", "different", "up to 128 KiB unless -s says otherwise"),
    Word("--exit -x", "different", "it is an error if as many arguments as -n says do not fit; there nothing happens"),
    Word("--xargs", "different", "up to 128 KiB unless -s says otherwise"),
)  # in the order of the manual page


class _Refused(argparse.Action):
    """An option that there is not."""

    def __init__(self, option_strings: Sequence[str], dest: str, text: str = "", **_: Any) -> None:
        super().__init__(option_strings, dest, nargs="?", help=argparse.SUPPRESS)
        self._text = text

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - argparse gives it
        values: object,  # noqa: ARG002 - of whatever it is
        option_string: str | None = None,
    ) -> NoReturn:
        parser.error(
            f"{option_string} is an option of GNU parallel's that aiospawn map does not have; instead: {self._text}"
        )


def add_refused(parser: argparse.ArgumentParser) -> None:
    """Makes the parser say what to use instead of each."""
    for word in WORDS:
        if word.here == "not":
            parser.add_argument(*word.options, action=_Refused, dest=argparse.SUPPRESS, text=word.text)


def table() -> str:
    """In Markdown."""
    rows = ["| GNU parallel | here | |", "|---|---|---|"]
    for word in WORDS:
        names = ", ".join(f"`{name}`" for name in word.options)
        rows.append(f"| {names} | {word.here} | {word.text.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(table(), end="")
