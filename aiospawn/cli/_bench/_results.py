"""What was measured, and medians and ratios of it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aiospawn
from aiospawn.cli._errors import CannotRunError
from aiospawn.cli._measure import uvloop_version

from ._rounds import Measurement, hard_limit
from ._scale import Scale

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Results", "Series", "machine"]


_OF_ALL_LAUNCHES = ("per_s", "mean_us")


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory.split()[1]) / (1 << 20), 1),
        "descriptors": hard_limit(),
        "kernel": f"{platform.system()} {platform.release()}",
        "system": _distribution(),
        "libc": " ".join(platform.libc_ver()),
        "compiler": _first_line([os.environ.get("CC") or "cc", "--version"]),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "aiospawn": aiospawn.__version__,
        "uvloop": uvloop_version(),
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:  # an image without /etc/os-release
        return "Linux"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("\n")[0]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Series(NamedTuple):
    """One figure of one case, round by round."""

    values: dict[int, float]
    cut: bool  # by the time limit

    @property
    def median(self) -> float:
        return statistics.median(self.values.values())

    @property
    def spread(self) -> float:
        """Largest less smallest, as a share of the median."""
        return (max(self.values.values()) - min(self.values.values())) / self.median if self.median else 0.0

    def over(self, other: Series) -> float:
        """The median of the ratios within each round."""
        return statistics.median(self.values[number] / other.values[number] for number in self.values.keys() & other.values)


class Results:
    """Everything that a run has measured, or that was read from a file."""

    def __init__(self, header: dict[str, Any], scale: Scale, measurements: Iterable[Measurement] = ()) -> None:
        self.header = header
        self.scale = scale
        self.measurements = list(measurements)

    @classmethod
    def read(cls, path: str) -> Results:
        """Raises CannotRunError for a file that cannot be read or holds something else."""
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
            scale = Scale(**{name: _frozen(value) for name, value in found["scale"].items()})
            return cls(found["machine"], scale, [Measurement(**each) for each in found["measurements"]])
        except OSError as error:
            raise CannotRunError(error) from None
        except (ValueError, TypeError, KeyError) as error:
            raise CannotRunError(f"{path}: not the results of `aiospawn bench`: {type(error).__name__}: {error}") from None

    def as_json(self) -> str:
        """One measurement a line."""
        head = json.dumps({"machine": self.header, "scale": self.scale._asdict()})
        lines = ",\n".join(json.dumps(each._asdict()) for each in self.measurements)
        return f'{head[:-1]}, "measurements": [\n{lines}\n]}}\n'

    @property
    def rounds(self) -> int:
        return max((each.round + 1 for each in self.measurements), default=0)

    def methods(self, benchmark: str, where: dict[str, Any]) -> list[str]:
        """Their names, in the order in which they are compared."""
        found = [each for each in self._those(benchmark, where) if each.round == 0]
        return list(dict.fromkeys(each.method for each in found))

    def series(self, benchmark: str, where: dict[str, Any], method: str, figure: str) -> Series | None:
        """The figure in each round; None if it was not measured."""
        found = [each for each in self._those(benchmark, where) if each.method == method and figure in each.figures]
        if not found:
            return None
        cut = figure in _OF_ALL_LAUNCHES and any(each.figures.get("cut") for each in found)
        return Series({each.round: each.figures[figure] for each in found}, cut)

    def error(self, benchmark: str, method: str) -> str | None:
        """What a launch failed with; None if it did not, or was not tried."""
        return next((each.figures.get("error") for each in self._those(benchmark, {}) if each.method == method), None)

    def _those(self, benchmark: str, where: dict[str, Any]) -> list[Measurement]:
        return [
            each
            for each in self.measurements
            if each.benchmark == benchmark and all(each.parameters.get(name) == value for name, value in where.items())
        ]
