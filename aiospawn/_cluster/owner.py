"""What a dispatcher needs of its owner: a way for messages, and one who gets what comes of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .job import Job
    from .link import Link
    from .messages import Message

__all__ = ["Listener", "Transport"]


class Transport(Protocol):
    """Where messages go."""

    def send(self, link: Link, message: Message) -> None:
        """The answer is for `answered`, or `failed`."""

    def forget(self, link: Link) -> None:
        """Nothing is sent there any more, and no answer of its is wanted."""


class Listener(Protocol):
    """What the results of commands are reported to."""

    def ended(self, job: Job, link: Link, outcome: Any) -> None:
        """A command has come to its end."""

    def line(self, job: Job, link: Link, line: Any) -> None:
        """A line of output has come."""

    def given_up(self, job: Job) -> None:
        """A command has lost too many workers."""

    def dropped(self, job: Job) -> None:
        """A command will have no result: the map was stopped."""

    def faulty(self, fault: BaseException) -> None:
        """An agent has failed otherwise than by a lease."""
