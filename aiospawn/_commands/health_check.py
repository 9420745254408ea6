"""Health checks of a supervised command, by Docker's rules (HEALTHCHECK in its Dockerfile reference)."""

from __future__ import annotations

import asyncio
import inspect
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from aiospawn._options.values import number, seconds

from .command import command, refuse_terminal
from .run import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiospawn._asyncio.process import Process

__all__ = ["Health", "health"]


class Health(NamedTuple):
    """When a command counts as unhealthy."""

    check: Any
    interval: float
    timeout: float
    retries: int
    start_period: float
    options: dict[str, Any]
    """Of the launch of a check that is a command."""

    async def lost(self, process: Process, report: Callable[[int, Exception | None], object]) -> None:
        """Returns when the check has failed so many times in a row. `report` is called for each that fails.

        In the start period failures do not count, until the first success.
        """
        loop = asyncio.get_running_loop()
        began, failures, starting = loop.time(), 0, True
        while failures < self.retries:
            await asyncio.sleep(self.interval)
            is_healthy, error = await self._checked(process)
            if is_healthy:
                failures, starting = 0, False
            elif not starting or loop.time() - began >= self.start_period:
                failures += 1
                report(failures, error)

    async def _checked(self, process: Process) -> tuple[bool, Exception | None]:
        try:
            if not callable(self.check):
                null = asyncio.subprocess.DEVNULL
                done = await run(
                    self.check, stdin=null, stdout=null, stderr=null, timeout=self.timeout, grace=0, **self.options
                )
                return done.returncode == 0, None
            async with asyncio.timeout(self.timeout):
                answer = self.check(process)
                if inspect.isawaitable(answer):
                    answer = await answer
            return answer is not False, None
        except Exception as error:  # noqa: BLE001 - a check may raise whatever it likes: it is a failure
            return False, error


def health(
    check: Any, interval: Any, timeout: Any, retries: Any, start_period: Any, options: dict[str, Any]
) -> Health | None:
    """None without a check. Raises TypeError and ValueError by the names of `supervise`'s arguments."""
    times = [
        seconds(name, value) or 0.0
        for name, value in (
            ("health_interval", interval),
            ("health_timeout", timeout),
            ("health_start_period", start_period),
        )
    ]
    tries = number("health_retries", retries, 1, 2**31 - 1)
    if check is None:
        return None
    if not callable(check):
        if isinstance(check, (str, bytes)) or not hasattr(type(check), "__iter__"):
            raise TypeError(f"health_check must be a callable or a list of arguments, got {check!r}")
        check = [*check]
        if not check:
            raise ValueError("health_check must name a program, got []")
        if not all(isinstance(part, (str, bytes, os.PathLike)) for part in check):
            raise TypeError(f"health_check must be a callable or a list of arguments, got {check!r}")
        refuse_terminal(options)
        command(check, shell=False, stdin=asyncio.subprocess.DEVNULL, keywords=options)
    return Health(check, times[0], times[1], tries, times[2], options)
