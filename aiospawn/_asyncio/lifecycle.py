"""The states of one process, and which of its protocol's calls fall due: a table, nothing else.

Rules:

 1. `connection_made` comes first, once, when the program runs.
 2. `process_exited` comes once, when the exit was seen; in any position relative to the pipes.
 3. `connection_lost` comes last, once: the process has exited, and every pipe has reported its end.
 4. A launch that failed makes no call at all: its protocol never learns of it, the creating coroutine raises.

The native part promises that STARTED or FAILED comes before everything else of a process.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["SETTLED", "TRANSITIONS", "Call", "Happening", "State"]


class State(enum.StrEnum):  # its hash, unlike a plain enum's, is not Python code
    """Where a process stands."""

    LAUNCHING = "cloned; not known yet whether the program could be run"
    RUNNING = "the program runs, pipes are open"
    UNPIPED = "the program runs, no pipe is open"
    EXITED = "the program has ended, pipes are open"
    FINISHED = "the program has ended, no pipe is open"
    FAILED = "the program could not be run"


class Happening(enum.StrEnum):
    """What moves a process on."""

    STARTED = "the program runs"
    FAILED = "the program could not be run; the child is reaped"
    EXITED = "the child is reaped"
    UNPIPED = "no pipe is open any more"


class Call(enum.StrEnum):
    """The calls that a protocol gets."""

    CONNECTION_MADE = "connection_made"
    PROCESS_EXITED = "process_exited"
    CONNECTION_LOST = "connection_lost"


TRANSITIONS: Final[dict[tuple[State, Happening], tuple[State, tuple[Call, ...]]]] = {
    (State.LAUNCHING, Happening.STARTED): (State.RUNNING, (Call.CONNECTION_MADE,)),
    (State.LAUNCHING, Happening.FAILED): (State.FAILED, ()),
    (State.RUNNING, Happening.UNPIPED): (State.UNPIPED, ()),
    (State.RUNNING, Happening.EXITED): (State.EXITED, (Call.PROCESS_EXITED,)),
    (State.UNPIPED, Happening.EXITED): (State.FINISHED, (Call.PROCESS_EXITED, Call.CONNECTION_LOST)),
    (State.EXITED, Happening.UNPIPED): (State.FINISHED, (Call.CONNECTION_LOST,)),
}

SETTLED: Final[dict[State, tuple[State, tuple[Call, ...]]]] = {state: (state, ()) for state in State}
"""Each state with no call due: the one tuple of it."""
