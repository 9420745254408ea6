"""`aiospawn demo`: the same real commands on every event loop, each output checked, and the loops compared.

The loops take turns in a few rounds, in a rotating order, so that a disturbance of the machine does not hit one of them
alone. The table gives medians of the rounds, and the worst stall of all.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import itertools
import json
import os
import platform
import shutil
import stat
import statistics
from contextlib import ExitStack, nullcontext
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import aiospawn

from ._errors import CannotRunError
from ._measure import Command, measure, methods, support, uvloop_version
from ._narrow import print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from ._measure import Method, Round

__all__ = ["add_options", "run"]

_DIRECTORY = "/usr"
_SIZES = range(1 << 10, (256 << 10) + 1)
_COMMANDS = 2000
_ROUNDS = 4
_SECONDS_A_LOOP = 12  # where forks are slow, uvloop does not get through with its commands


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `aiospawn demo` takes."""
    parser.add_argument(
        "--commands", type=_count, default=_COMMANDS, metavar="N", help="commands on each loop (default: %(default)s)"
    )
    parser.add_argument(
        "--jobs", type=_count, default=64, metavar="N", help="commands that run at a time (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", help="write every round's figures to FILE as well")


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return count


def run(options: argparse.Namespace) -> int:
    """0 if every output was right and nothing was left behind on any loop, 1 if not."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    with ExitStack() as stack:
        # Opened before the work, so that a path that cannot be written is reported at once.
        file = _open(options.json, stack) if options.json is not None else None
        support()  # a mistake in AIOSPAWN_WITHOUT is reported at once, too
        plan = _plan(options.commands, options.jobs)
        _introduce(plan, console)
        results = _measure_all(plan)
        _conclude(plan, results, console)
        if file is not None:
            json.dump(_as_json(plan, results), file, indent=2)
            file.write("\n")
    return 0 if all(result.clean for result in results) else 1


def _open(path: str, stack: ExitStack) -> IO[str]:
    try:
        return stack.enter_context(open(path, "w", encoding="utf-8"))
    except OSError as error:
        raise CannotRunError(f"--json: {error}") from None


# ---- the work ---------------------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """What each loop is given."""

    commands: tuple[Command, ...]
    files: int
    size: int
    jobs: int

    def rounds(self) -> list[tuple[Command, ...]]:
        """The commands, dealt out to the rounds in equal shares."""
        total = len(self.commands)
        count = min(_ROUNDS, total)
        bounds = [total * number // count for number in range(count + 1)]
        return [self.commands[start:end] for start, end in itertools.pairwise(bounds)]

    @property
    def seconds_a_loop(self) -> float:
        """The time limit: more commands than usual get more time."""
        return _SECONDS_A_LOOP * max(1, len(self.commands) / _COMMANDS)


def _plan(commands: int, jobs: int) -> Plan:
    program = shutil.which("sha256sum")
    if program is None:
        raise CannotRunError("sha256sum is not on the PATH")
    distinct = []
    total = 0
    for path, size, digest in itertools.islice(_files(), commands):
        distinct.append(Command((program, path), f"{digest}  {path}\n".encode()))
        total += size
    if not distinct:
        raise CannotRunError(f"there is no readable file of {_sizes()} under {_DIRECTORY}")
    repeated = itertools.islice(itertools.cycle(distinct), commands)
    return Plan(tuple(repeated), len(distinct), total, min(jobs, commands))


def _files() -> Iterator[tuple[str, int, str]]:
    """Path, size and SHA-256 of each file that serves, always in the same order."""
    for directory, subdirectories, names in os.walk(_DIRECTORY):
        subdirectories.sort()
        for name in sorted(names):
            path = os.path.join(directory, name)
            if "\\" in path or not path.isprintable():  # sha256sum escapes such names in its output
                continue
            try:
                status = os.lstat(path)
                if not stat.S_ISREG(status.st_mode) or status.st_size not in _SIZES:
                    continue
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256")
            except OSError:
                continue
            yield path, status.st_size, digest.hexdigest()


def _sizes() -> str:
    return f"{_SIZES.start >> 10} to {(_SIZES.stop - 1) >> 10} KiB"


# ---- results ----------------------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """A method and its rounds; none where uvloop is not installed."""

    method: Method
    rounds: list[Round]

    @property
    def commands(self) -> int:
        return sum(each.commands for each in self.rounds)

    @property
    def cut(self) -> bool:
        return any(each.cut for each in self.rounds)

    @property
    def children_per_s(self) -> float:
        return statistics.median(each.commands / each.seconds for each in self.rounds)

    @property
    def p99_stall_ms(self) -> float:
        return statistics.median(each.p99_stall_s for each in self.rounds) * 1e3

    @property
    def worst_stall_ms(self) -> float:
        return max(each.worst_stall_s for each in self.rounds) * 1e3

    @property
    def wrong(self) -> list[str]:
        return [wrong for each in self.rounds for wrong in each.wrong]

    @property
    def descriptors_left(self) -> int:
        return sum(each.descriptors_left for each in self.rounds)

    @property
    def zombies_left(self) -> int:
        return sum(each.children_left for each in self.rounds)

    @property
    def clean(self) -> bool:
        return not (self.wrong or self.descriptors_left or self.zombies_left)


def _measure_all(plan: Plan) -> list[Result]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    results = [Result(method, []) for method in methods()]
    installed = [result for result in results if result.method.loop_factory is not None]
    rounds = plan.rounds()
    screen = Console(stderr=True)
    # Drawn by the measuring task, which leaves the time out; rich's own thread would take the GIL in mid-launch.
    progress = Progress(
        TextColumn("{task.description:18}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=screen,
        auto_refresh=False,
        transient=True,
        disable=not screen.is_terminal,
    )
    # Older releases of rich end a progress with an empty line even where it is disabled.
    with progress if screen.is_terminal else nullcontext():
        bar = progress.add_task("", total=len(plan.commands) * len(installed))
        done = 0

        def measured(method: Method, commands: Sequence[Command]) -> Round:
            def draw(ended: int) -> None:
                progress.update(bar, description=method.name, completed=done + ended, refresh=True)

            draw(0)
            seconds = plan.seconds_a_loop / len(rounds)
            return _measured(method, commands, plan.jobs, seconds, draw if screen.is_terminal else None)

        # What a process sets up once, at its first launch, is neither a round's time nor left behind by it.
        for result in installed:
            measured(result.method, plan.commands[: plan.jobs])
        for number, commands in enumerate(rounds):
            start = number % len(installed)
            for result in installed[start:] + installed[:start]:
                result.rounds.append(measured(result.method, commands))
                done += len(commands)
    return results


_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)


def _measured(
    method: Method, commands: Sequence[Command], jobs: int, seconds: float, draw: Callable[[int], None] | None
) -> Round:
    assert method.loop_factory is not None
    try:
        return measure(method.loop_factory, commands, jobs=jobs, seconds=seconds, draw=draw)
    except OSError as error:
        hint = "; fewer --jobs need less" if error.errno in _EXHAUSTED else ""
        raise OSError(f"a launch failed on {method.name}: {error}{hint}") from error


# ---- the output -------------------------------------------------------------------------------------------------------

_HEADINGS = (
    "commands",
    "children\nper s",
    "p99\nstall ms",
    "worst\nstall ms",
    "wrong\noutputs",
    "fds\nleft",
    "zombies\nleft",
)
_WRONG_SHOWN = 3


def _system() -> dict[str, Any]:
    return {
        "aiospawn": aiospawn.__version__,
        "uvloop": uvloop_version(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "processors": len(os.sched_getaffinity(0)),
    }


def _introduce(plan: Plan, console: Console) -> None:
    system = _system()
    uvloop = f"uvloop {system['uvloop']}" if system["uvloop"] else "no uvloop"
    console.print(
        f"aiospawn {system['aiospawn']}, {uvloop}, {system['python']}, {system['kernel']}, "
        f"{system['processors']} processors",
        soft_wrap=True,
    )
    console.print(
        f"sha256sum of {plan.files:,} files of {_sizes()} under {_DIRECTORY} ({plan.size / (1 << 20):.1f} MiB)",
        soft_wrap=True,
    )
    repeated = "" if plan.files == len(plan.commands) else ", files taken in turn"
    console.print(f"{len(plan.commands):,} commands on each loop, {plan.jobs} at a time{repeated}", soft_wrap=True)


def _conclude(plan: Plan, results: list[Result], console: Console) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=0)
    table.add_column("method", no_wrap=True, vertical="bottom")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", vertical="bottom")
    for result in results:
        table.add_row(result.method.name, *_cells(result), style="bold" if result.method.ours else None)
    console.print()
    print_table(console, table)
    console.print()
    if any(result.cut for result in results):
        console.print(f"* cut off by the time limit of {plan.seconds_a_loop:g} s a loop", soft_wrap=True)
    for line in _faults(results):
        console.print(line, style="red", soft_wrap=True)
    console.print(_verdict(results), style="bold", soft_wrap=True)


def _cells(result: Result) -> tuple[str, ...]:
    if not result.rounds:
        return ("not installed",)
    return (
        f"{result.commands:,}{'*' if result.cut else ''}",
        f"{result.children_per_s:,.0f}",
        f"{result.p99_stall_ms:.2f}",
        f"{result.worst_stall_ms:.2f}",
        f"{len(result.wrong)}",
        f"{result.descriptors_left}",
        f"{result.zombies_left}",
    )


def _faults(results: list[Result]) -> Iterator[str]:
    for result in results:
        for wrong in result.wrong[:_WRONG_SHOWN]:
            yield f"{result.method.name}: wrong output: {wrong}"
        if not result.clean:
            yield (
                f"{result.method.name}: {len(result.wrong)} wrong outputs, {result.descriptors_left} descriptors "
                f"and {result.zombies_left} zombies left"
            )


def _verdict(results: list[Result]) -> str:
    found = support()
    if not found:
        return f"No native launching here, these are the loops' own launches: {'; '.join(found.reasons)}."
    stock, uvloop, ours, ours_on_uvloop = results
    text = f"Children per second with aiospawn: {ours.children_per_s / stock.children_per_s:.1f} times asyncio"
    if uvloop.rounds:
        text += f", on uvloop {ours_on_uvloop.children_per_s / uvloop.children_per_s:.1f} times uvloop"
    return f"{text}."


def _as_json(plan: Plan, results: list[Result]) -> dict[str, Any]:
    return {
        **_system(),
        "commands": len(plan.commands),
        "jobs": plan.jobs,
        "files": plan.files,
        "bytes": plan.size,
        "seconds_a_loop": plan.seconds_a_loop,
        "clean": all(result.clean for result in results),
        "methods": [_method_as_json(result) for result in results],
    }


def _method_as_json(result: Result) -> dict[str, Any]:
    if not result.rounds:
        return {"method": result.method.name, "installed": False}
    return {
        "method": result.method.name,
        "installed": True,
        "commands": result.commands,
        "cut": result.cut,
        "children_per_s": result.children_per_s,
        "p99_stall_ms": result.p99_stall_ms,
        "worst_stall_ms": result.worst_stall_ms,
        "wrong_outputs": result.wrong,
        "descriptors_left": result.descriptors_left,
        "zombies_left": result.zombies_left,
        "rounds": [each._asdict() for each in result.rounds],
    }
