"""From the commands of a map to children: one call of the native part for as many as there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiospawn._asyncio.reactor import reactor_of
from aiospawn._binding.library import launch_all
from aiospawn._commands.plain_child import PlainChild

from .arrivals import NONE_YET

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from aiospawn._asyncio.reactor import Reactor
    from aiospawn._commands.repeated_run import RepeatedRun

    from .source import Source

__all__ = ["Launches"]


class Launches:
    """Of one map, on the reactor of its loop, which is held open for it."""

    __slots__ = ("_jobs", "_loop", "_owner", "_plain", "_reactor", "_source", "joined")

    def __init__(
        self, source: Source, plain: RepeatedRun, owner: Any, jobs: dict[int, PlainChild], loop: asyncio.AbstractEventLoop
    ) -> None:
        """`owner` is that of the children, which are entered among the `jobs` by their commands' numbers."""
        self._source = source
        self._plain = plain
        self._owner = owner
        self._jobs = jobs
        self._loop = loop
        self._reactor: Reactor | None = None
        self.joined = plain.joined()
        """Their requests."""

    def take(self, commands: Iterator[Any], most: int) -> Any:
        """Takes so many of the commands, and launches them, until there are no more for now, or one is not for us.

        Returns:
            None, or the number of the one that was not launched, with itself and None: it is for `run`; or with its
            child, and the launch's errno or the error of a hook.

        Raises what the commands raise.
        """
        source, reactor = self._source, None if self._plain.is_at_terminal() else self._opened()
        where = (0, {}) if reactor is None else (reactor.native.address, reactor.targets)
        siblings = PlainChild, self._owner, reactor, *where, self._jobs
        request = *self.joined.fixed, self.joined.paths_of
        return launch_all(source, commands, NONE_YET, most, source.taken, reactor is not None, siblings, request)

    def _opened(self) -> Reactor | None:
        """The loop's reactor. None where it cannot be opened: `run` says why for each command, and it may be a shortage."""
        if self._reactor is None or self._reactor.native.dead:  # another may have been opened
            try:
                self._reactor = reactor_of(self._loop)
                self._reactor.hold(self._owner)
            except Exception:  # noqa: BLE001
                self._reactor = None
        return self._reactor

    def close(self) -> None:
        """Nothing more is launched."""
        self._owner = None  # which has this
