"""What a map and its agents tell each other.

A map asks, an agent answers. Whatever is lost can be asked again: an agent takes each turn of orders once, and keeps what it
has to report until the map has said that it was received.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["DONE", "LINE", "UNSTARTED", "Entry", "Message", "Order", "Report", "Settings"]

DONE, UNSTARTED, LINE = "done", "unstarted", "line"


class Settings(NamedTuple):
    """Of a session, the same for all of its commands."""

    lease: float
    """Seconds: how long an agent goes on without a word of the map's."""
    init_lease: float
    """Seconds: how long the commands go on without a sign of their agent's."""
    concurrency: int | None
    """How many run at a time; None: as many as the worker has threads."""
    memory: int | None
    """Bytes that a command is taken to need; the worker's limit is shared out by it."""
    resources: dict[str, float]
    """Of the worker's own resources, what a command needs."""
    most_held: int
    """Bytes of output that an agent keeps before it stops reading."""
    results: str | None
    """The directory for output, if it goes to files."""
    lines: bool
    """Whether lines of output are reported while commands run."""
    options: dict[str, Any]
    """`map`'s and `run`'s."""


class Order(NamedTuple):
    """One attempt of one command."""

    attempt: int
    """Its own number: no two attempts of a map have the same."""
    number: int
    """The command's."""
    args: Any
    options: dict[str, Any] | None
    """The command's own."""


class Message(NamedTuple):
    """What a map asks."""

    turn: int
    """Of the orders; 0: there are none, and nothing to be given back."""
    orders: tuple[Order, ...]
    withdrawn: int
    """How many commands that were not started are to be given back, from the end of the queue."""
    echo: float
    """The agent's clock, as the last report had it: the lease counts from there."""
    received: int
    """How many entries of the agent's log the map has."""
    wait: float
    """Seconds until the agent answers though it has nothing to report; 0: it answers at once, and reports no entries."""
    interval: float
    """Seconds between two answers, as long as the agent has work."""


Entry = tuple[int, str, Any]
"""An attempt, DONE, UNSTARTED or LINE, and what came of it."""


class Report(NamedTuple):
    """What an agent answers."""

    stamp: float
    """Its clock."""
    first: int
    """Which entry of its log the first one is."""
    entries: tuple[Entry, ...]
    is_over: bool
    """The session is over, by the agent's clock, and none of its commands runs any more."""
    is_leaving: bool
    """No command is started any more: the worker closes."""
    fault: BaseException | None
    """What a command's options were found to be wrong in, or what the agent failed with."""
