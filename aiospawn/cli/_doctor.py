"""`aiospawn doctor`: what this machine offers, what is missing and what that costs, and whether launching works."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import aiospawn

from ._measure import methods, support, uvloop_version
from ._narrow import print_table
from ._system_limits import Limit, limits

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from rich.table import Table

__all__ = ["add_options", "run"]

_LAUNCHES = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `aiospawn doctor` takes."""
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object (does not need rich)")


def run(options: argparse.Namespace) -> int:
    """0 if native launching works, 1 if not."""
    examination = _examine()
    if options.json:
        print(json.dumps(examination.as_json(), indent=2))
    else:
        _show(examination)
    return 0 if examination.works else 1


# ---- examination ------------------------------------------------------------------------------------------------------


class Launch(NamedTuple):
    """What a real launch on a loop came to: a time, or an error. Neither where uvloop is not installed."""

    method: str
    ours: bool
    seconds: float | None
    error: str | None


class Keeping(NamedTuple):
    """What an `init` can hold its tree by here: whether a launch with that worked, or why not."""

    option: str
    holds: str
    error: str | None


class Examination(NamedTuple):
    """Everything that the doctor found."""

    system: dict[str, str | None]
    settings: dict[str, str]
    support: aiospawn.Support
    restrictions: tuple[aiospawn.Restriction, ...]
    trees: tuple[Keeping, ...]
    limits: tuple[Limit, ...]
    launches: tuple[Launch, ...]

    @property
    def works(self) -> bool:
        return bool(self.support) and not any(launch.error for launch in self.launches if launch.ours)

    @property
    def variant(self) -> str:
        """What loops opened now would use: the environment can force the one that every system has."""
        forced = self.settings.get("AIOSPAWN_SPAWN") == "vfork" and bool(self.support)
        return "vfork" if forced else self.support.variant

    @property
    def tightest(self) -> Limit | None:
        bounds = [limit for limit in self.limits if limit.children is not None]
        return min(bounds, key=lambda limit: limit.children or 0, default=None)

    def as_json(self) -> dict[str, Any]:
        tightest = self.tightest
        return {
            **self.system,
            "settings": self.settings,
            "works": self.works,
            "supported": bool(self.support),
            "variant": self.variant,
            "reasons": list(self.support.reasons),
            "features": {
                name: {"there": there, "cost": self.support.missing.get(name)}
                for name, there in self.support.features.items()
            },
            "sandbox": {
                restriction.name: {"need": restriction.need, "have": restriction.have, "enforced": restriction.enforced}
                for restriction in self.restrictions
            },
            "trees": {keeping.option: {"works": keeping.error is None, "error": keeping.error} for keeping in self.trees},
            "limits": {limit.name: {"value": limit.value, "children": limit.children} for limit in self.limits},
            "children": {"at_once": tightest.children, "bound_by": tightest.name} if tightest else None,
            "launches": {
                launch.method: {"ms": _milliseconds(launch.seconds), "error": launch.error} for launch in self.launches
            },
        }


def _examine() -> Examination:
    found = support()  # first: it refuses a mistake in the settings
    restrictions = aiospawn.Sandbox.restrictions()
    trees = tuple(_trees()) if found else ()
    return Examination(_system(), _settings(), found, restrictions, trees, tuple(limits()), tuple(_launches()))


def _system() -> dict[str, str | None]:
    return {
        "aiospawn": aiospawn.__version__,
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libc": _libc(),
        "uvloop": uvloop_version(),
    }


def _libc() -> str | None:
    # platform.libc_ver() returns the version that the interpreter was linked for, which may be older than the one in use.
    try:
        running = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        running = None
    return running or " ".join(filter(None, platform.libc_ver())) or None


def _settings() -> dict[str, str]:
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("AIOSPAWN_")}


# ---- trees --------------------------------------------------------------------------------------------------------------

_OF_A_CGROUP = {"memory.max": "max", "pids.max": "max"}
_KEEPINGS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("init=True", "every descendant of the command", {}),
    ('init_namespace="pid"', "every process in it, also where init is killed", {"init_namespace": "pid"}),
    ("init_cgroup=True", "every process in it, at once", {"init_cgroup": True}),
    (
        "memory.max, pids.max",
        "memory and processes of all together",
        {"init_cgroup": True, "init_cgroup_limits": _OF_A_CGROUP},
    ),
)


def _trees() -> Iterator[Keeping]:
    for name, holds, options in _KEEPINGS:
        error = None
        try:
            asyncio.run(aiospawn.run(["true"], check=True, init=True, **options))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the finding
            error = str(exc)
        yield Keeping(name, holds, error)
    sandbox = aiospawn.Sandbox(limits=aiospawn.Limits(memory=2**30), at_least=())
    words = next(line for line in sandbox.explain().splitlines() if line.startswith("memory is"))
    yield Keeping("Limits(memory=)", "memory, by the kernel", None if "by the kernel" in words else words)


# ---- launches ---------------------------------------------------------------------------------------------------------


def _launches() -> Iterator[Launch]:
    for method in methods():
        if method.loop_factory is None:
            yield Launch(method.name, method.ours, None, None)
            continue
        try:
            with asyncio.Runner(loop_factory=method.loop_factory) as runner:
                seconds = runner.run(_time_of_true())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            yield Launch(method.name, method.ours, None, f"{type(error).__name__}: {error}")
        else:
            yield Launch(method.name, method.ours, seconds, None)


async def _time_of_true() -> float:
    """Seconds from the call to the known exit, the median of a few."""
    times = []
    for _ in range(_LAUNCHES):
        started = perf_counter()
        process = await asyncio.create_subprocess_exec("true")
        status = await process.wait()
        times.append(perf_counter() - started)
        if status != 0:
            raise ChildProcessError(f"`true` ended with {status}")
    return statistics.median(times)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)


# ---- display ----------------------------------------------------------------------------------------------------------

_VARIANTS = {
    "concurrent": "the loop runs on while a child gets to its program",
    "vfork": "the loop waits until a child has got to its program",
}


def _show(examination: Examination) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    print_table(console, _system_table(examination))
    console.print()
    if examination.support:
        console.print(f"Native launching is supported: {_VARIANTS[examination.variant]}.", style="green", soft_wrap=True)
    else:
        console.print("Native launching is not supported, the loops launch in their own way:", style="red", soft_wrap=True)
        for reason in examination.support.reasons:
            console.print(f"  {reason}", soft_wrap=True)
    console.print()
    if examination.support.features:
        print_table(console, _feature_table(examination.support))
        console.print()
    print_table(console, _restriction_table(examination.restrictions))
    console.print()
    if examination.trees:
        print_table(console, _tree_table(examination.trees))
        console.print()
    print_table(console, _limit_table(examination.limits))
    tightest = examination.tightest
    if tightest is not None:
        console.print(f"About {tightest.children:,} children can run at once; {tightest.name} is the tightest bound.")
    console.print()
    print_table(console, _launch_table(examination.launches))
    for launch in examination.launches:
        if launch.error is not None:
            console.print(f"{launch.method}: {launch.error}", style="red", soft_wrap=True)


def _table(*columns: str, right: str | None = None) -> Table:
    """A plain table; the column named `right` holds numbers."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, justify="right" if name == right else "left")
    table.columns[0].no_wrap = True
    return table


def _system_table(examination: Examination) -> Table:
    table = _table("system", "")
    table.show_header = False
    for name, value in (examination.system | examination.settings).items():
        table.add_row(name, value or ("not installed" if name == "uvloop" else "unknown"))
    return table


def _feature_table(found: aiospawn.Support) -> Table:
    table = _table("feature", "there", "what its absence costs")
    for name, there in found.features.items():
        table.add_row(name, "yes" if there else "no", found.missing.get(name), style=None if there else "yellow")
    return table


def _restriction_table(restrictions: tuple[aiospawn.Restriction, ...]) -> Table:
    table = _table("sandbox", "enforced", "needs", "this kernel has", "stops")
    for restriction in restrictions:
        enforced = "yes" if restriction.enforced else "no"
        style = None if restriction.enforced else "yellow"
        table.add_row(restriction.name, enforced, restriction.need, restriction.have, restriction.stops, style=style)
    return table


def _tree_table(trees: tuple[Keeping, ...]) -> Table:
    table = _table("tree", "works", "holds", "why not")
    for keeping in trees:
        works = keeping.error is None
        table.add_row(
            keeping.option, "yes" if works else "no", keeping.holds, keeping.error, style=None if works else "yellow"
        )
    return table


def _limit_table(limits: tuple[Limit, ...]) -> Table:
    table = _table("limit", "value", "children", "", right="children")
    for limit in limits:
        table.add_row(limit.name, limit.value, None if limit.children is None else f"{limit.children:,}", limit.note)
    return table


def _launch_table(launches: tuple[Launch, ...]) -> Table:
    table = _table("launch of `true` on", "ms", right="ms")
    for launch in launches:
        missing = "failed" if launch.error else "not installed"
        table.add_row(launch.method, missing if launch.seconds is None else f"{launch.seconds * 1e3:.2f}")
    return table
