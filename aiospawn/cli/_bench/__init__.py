"""`aiospawn bench`: launching measured against the limit in C and against others, at every size that could matter.

Each measurement is a process of its own. The launchers that a figure compares take turns, round after round, in a rotating
order, so that a disturbance of the machine does not hit one of them alone; ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING

from aiospawn.cli._errors import CannotRunError
from aiospawn.cli._measure import support

from . import _document, _overcommit, _plots, _rounds
from ._cases import BENCHMARKS, overcommit
from ._programs import built
from ._results import Results, machine
from ._scale import FULL, QUICK, Scale
from ._tables import NOTE, as_rich, caption, filled, header
from ._targets import verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from rich.console import Console

    from ._cases import Case, Group
    from ._programs import Programs

__all__ = ["add_options", "run"]

_ROUNDS = 5
_WIDTH = 160  # of the tables in a file


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `aiospawn bench` takes."""
    # No choices=: they would not allow that none is given.
    parser.add_argument(
        "benchmarks",
        nargs="*",
        metavar="BENCHMARK",
        type=_benchmark,
        help=f"{', '.join(BENCHMARKS)}; all of them unless named",
    )
    parser.add_argument("--rounds", type=_count, default=None, metavar="R", help=f"rounds (default: {_ROUNDS})")
    parser.add_argument(
        "--launches", type=_count, metavar="N", help=f"launches in a measurement, at most (default: {FULL.launches:,})"
    )
    parser.add_argument(
        "--seconds", type=_seconds, metavar="S", help=f"after which a slow launcher is cut short (default: {FULL.seconds:g})"
    )
    parser.add_argument("--quick", action="store_true", help="a few of everything, once: shows that it works, and no more")
    parser.add_argument(
        "--overcommit",
        action="store_true",
        help="launch under vm.overcommit_memory=2 (root; put back): as well, or alone if no benchmark is named",
    )
    parser.add_argument(
        "--peers", metavar="DIR", help="compare with the launchers in DIR (examples/benchmarks: Go, Node, tokio)"
    )
    parser.add_argument("--json", metavar="FILE", help="write every measurement to FILE")
    parser.add_argument("--results", metavar="FILE", help="measure nothing, show what --json wrote")
    parser.add_argument("--plot", nargs=2, metavar=("DIR", "FILE"), help="plot what --json wrote, as SVG and PNG, into DIR")
    parser.add_argument(
        "--document", nargs=2, metavar=("MARKDOWN", "FILE"), help="write the tables of what --json wrote into a document"
    )


def _benchmark(text: str) -> str:
    if text not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(BENCHMARKS)}, not {text!r}")
    return text


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return count


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text!r}")
    return seconds


def run(options: argparse.Namespace) -> int:
    """0; figures are no failures."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH
    if options.results or options.plot or options.document:
        _present(options, console)
        return 0
    found = support()
    if not found:
        raise CannotRunError(f"no native launching here: {'; '.join(found.reasons)}")
    if options.overcommit:
        _overcommit.check()
    with ExitStack() as stack:
        programs = built(stack.enter_context(tempfile.TemporaryDirectory(prefix="aiospawn-bench-")), options.peers)
        for name, reason in programs.left_out.items():
            console.print(f"without {name}: {reason}", soft_wrap=True)
        results = Results(machine(), _scale(options))
        # An option that alone was given asks for that alone.
        names = options.benchmarks or ([] if options.overcommit else list(BENCHMARKS))
        groups = [group for name in names for group in BENCHMARKS[name].groups(programs, results.scale)]
        _rounds.check_descriptors(groups)
        if options.json is not None:
            stack.callback(_write, _opened(options.json, stack), results)
        rounds = options.rounds or (1 if options.quick else _ROUNDS)
        _measure(groups, rounds, results)
        if options.overcommit:
            _measure_strictly(programs, results)
    _show(results, console)
    return 0


def _present(options: argparse.Namespace, console: Console) -> None:
    if options.results:
        _show(Results.read(options.results), console)
    if options.plot:
        directory, file = options.plot
        _plots.plotted(Results.read(file), directory)
    if options.document:
        document, file = options.document
        _document.update(document, Results.read(file))


def _scale(options: argparse.Namespace) -> Scale:
    scale = (QUICK if options.quick else FULL).within(_rounds.hard_limit())
    return scale._replace(launches=options.launches or scale.launches, seconds=options.seconds or scale.seconds)


def _opened(path: str, stack: ExitStack) -> IO[str]:
    try:
        return stack.enter_context(open(path, "w", encoding="utf-8"))
    except OSError as error:
        raise CannotRunError(f"--json: {error}") from None


def _write(file: IO[str], results: Results) -> None:
    file.write(results.as_json())


def _measure(groups: Sequence[Group], rounds: int, results: Results) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = Console(stderr=True)
    # Drawn between the measurements, never beside one.
    progress = Progress(
        TextColumn("{task.description:50}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=screen, auto_refresh=False, transient=True, disable=not screen.is_terminal,
    )  # fmt: skip
    with progress if screen.is_terminal else nullcontext():
        bar = progress.add_task("", total=rounds * sum(len(group.cases) for group in groups))

        def announce(group: Group, case: Case) -> None:
            parameters = " ".join(f"{value}" for value in group.parameters.values())
            text = f"{group.benchmark} {parameters}: {case.method}"
            progress.update(bar, description=text, completed=len(results.measurements), refresh=True)

        results.measurements.extend(_rounds.measured(groups, rounds, announce))


def _measure_strictly(programs: Programs, results: Results) -> None:
    with _overcommit.strict_overcommit() as reserved:
        results.measurements.extend(_rounds.measured([overcommit(programs, reserved)], 1, lambda _group, _case: None))


def _show(results: Results, console: Console) -> None:
    console.print(header(results), soft_wrap=True)
    console.print(NOTE, soft_wrap=True)
    for one in filled(results):
        console.print(f"\n{caption(one)}", style="bold", soft_wrap=True)
        console.print(as_rich(one))
    console.print()
    for verdict in verdicts(results):
        console.print(str(verdict), style=None if verdict.met else "red", soft_wrap=True)
