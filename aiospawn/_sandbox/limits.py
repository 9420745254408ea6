"""How much a sandboxed command may take."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final, final

from aiospawn._binding import cgroups
from aiospawn._binding.library import TREE_LIMITS
from aiospawn._options.values import number

if TYPE_CHECKING:
    from aiospawn._options.options import Options

__all__ = ["Limits", "checked_limits", "in_cgroup"]

_MOST: Final = 2**42
_FIELDS: Final = ("memory", "processes", "cpu_seconds", "file_size", "open_files", "wall")
_OF_A_PROCESS: Final = {"file_size": 1, "open_files": 7}  # RLIMIT_*, the same on both processors


def _count(name: str, value: Any, lowest: int = 1) -> int | None:
    return None if value is None else number(f"Limits: {name}", value, lowest, _MOST)


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"Limits: {name} must be a number of seconds or None, got {value!r}")
    if not 0.001 <= value <= _MOST // 1000:
        raise ValueError(f"Limits: {name} must be from 0.001 to {_MOST // 1000} seconds, got {value!r}")
    return float(value)


@final
class Limits:
    """How much a command may take, for a `Sandbox`: `Limits(memory=512 * 2**20, wall=10)`. None: no limit.

    The first four are limits of the command with all its descendants. Its init keeps them (docs/trees.md): it looks 100
    times a second, and kills everybody where one is exceeded. The result's `limit` has that one's name.

    Args:
        memory: Bytes of memory in use, RAM and swap: that of processes and shared memory that they have mapped, not
            files nor their cache (`RssAnon`, `RssShmem` and `VmSwap` of proc(5)). What a fork still shares counts twice.
        processes: The most processes at the same time.
        cpu_seconds: Processor time, of all of them together, 0.001 and more; in steps of 10 ms.
        wall: Seconds from the launch on, 0.001 and more.
        file_size: Bytes of any one file that it writes (`RLIMIT_FSIZE`). The process that writes more gets SIGXFSZ; where
            that is the command, `limit` is "file_size".
        open_files: The most descriptors of a process (`RLIMIT_NOFILE`). Opening more fails with EMFILE and ends nobody.

    Immutable.

    Raises:
        TypeError: What is no number.
        ValueError: A number out of range.
    """

    __slots__ = _FIELDS

    memory: int | None
    processes: int | None
    cpu_seconds: float | None
    file_size: int | None
    open_files: int | None
    wall: float | None

    def __init__(
        self,
        *,
        memory: int | None = None,
        processes: int | None = None,
        cpu_seconds: float | None = None,
        file_size: int | None = None,
        open_files: int | None = None,
        wall: float | None = None,
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "memory", _count("memory", memory))
        set_field(self, "processes", _count("processes", processes))
        set_field(self, "cpu_seconds", _seconds("cpu_seconds", cpu_seconds))
        set_field(self, "file_size", _count("file_size", file_size, 0))
        set_field(self, "open_files", _count("open_files", open_files, 3))
        set_field(self, "wall", _seconds("wall", wall))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Limits is immutable: {name} cannot be set")

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _FIELDS)

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if isinstance(other, Limits) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        given = ((name, getattr(self, name)) for name in _FIELDS)
        return f"Limits({', '.join(f'{name}={value!r}' for name, value in given if value is not None)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _limits, self._fields()

    def of_tree(self) -> dict[int, int]:
        """Those that init keeps, by their number (`_binding.library.TREE_LIMITS`): bytes, a count, ms, ms."""
        seconds = (None if value is None else max(1, round(1000 * value)) for value in (self.cpu_seconds, self.wall))
        amounts = (None, self.memory, self.processes, *seconds)
        return {number: amount for number, amount in enumerate(amounts) if amount is not None}

    def of_process(self) -> dict[int, int]:
        """Resource limits, none above that of this process, which only root could raise."""
        import resource  # not on Windows, where this module is imported all the same

        limits = {}
        for name, kind in _OF_A_PROCESS.items():
            given, own = getattr(self, name), resource.getrlimit(kind)[1]
            if given is not None:
                limits[kind] = given if own == resource.RLIM_INFINITY else min(given, own)
        return limits

    def name_of(self, number: int, returncode: int) -> str | None:
        """The name of the limit that ended a command.

        Args:
            number: The limit that the command's init reported; 0 for none.
            returncode: The command's.

        Returns:
            The name; None where no limit did.
        """
        if self.file_size is not None and returncode == -signal.SIGXFSZ:
            return "file_size"
        return TREE_LIMITS[number]


def _limits(*fields: Any) -> Limits:
    return Limits(**dict(zip(_FIELDS, fields, strict=True)))


def checked_limits(value: Any) -> Limits | None:
    if value is not None and not isinstance(value, Limits):
        raise TypeError(f"limits must be a Limits or None, not {value!r}")
    return value


def in_cgroup(options: Options, limits: Limits) -> Options:
    """The options of a launch whose tree has a cgroup in which the kernel bounds its memory, where that can be.

    Args:
        options: Those of a launch with an init that keeps the limits.
        limits: They.

    Returns:
        The same options where there is no limit of memory, or init looks for it.

    Raises:
        ValueError: `memory.max` is given as well.
    """
    given = options.init_cgroup_limits or {}
    if limits.memory is None or options.cgroup is not None or options.init == "leave":
        return options
    if "memory.max" in given:
        raise ValueError(f"init_cgroup_limits={given!r} and the sandbox's {limits!r} are both given")
    named = cgroups.own() if options.init_cgroup is True else options.init_cgroup or None
    found = cgroups.delegated(None if named is None else os.path.abspath(os.fsdecode(named)))
    if found.directory is None:
        return options
    bounds = {"memory.max": str(limits.memory), "memory.swap.max": cgroups.WhereThere("0"), "memory.oom.group": "1"}
    return options._replace(init_cgroup=found.directory, init_cgroup_limits={**bounds, **given})
