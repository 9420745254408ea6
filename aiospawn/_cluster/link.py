"""The map's side of one agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .messages import DONE, LINE, Message
from .pace import Pace

if TYPE_CHECKING:
    from .lease import Lease
    from .messages import Entry, Order, Report

__all__ = ["Link"]


class Link:
    """One session with one agent. At most one message of each kind is on its way to it: orders, and the asking for news."""

    def __init__(self, name: str, worker: str, host: str, capacity: int, lease: Lease, horizon: float, now: float) -> None:
        self.name = name
        """No two sessions have the same."""
        self.worker = worker
        self.host = host
        self.capacity = capacity
        self.lease = lease
        self.pace = Pace(capacity, horizon, now)
        self.in_hand: dict[int, bool] = {}
        """Attempts that it has; whether they are suspects."""
        self.is_leaving = False
        """It is given nothing more."""
        self.is_alone = False
        """It has one command, which is to be its only one."""
        self.is_reserved = False
        """It is given nothing more until it has nothing, for a command that has to be alone."""
        self.ordering: Message | None = None
        """Orders on their way, or to be sent again."""
        self.is_sending = False
        self.is_asking = False
        self.holds_back = False
        """Lines of its are being handled: no more are wanted for now."""
        self.retry_at = 0.0
        self.withdrawing = 0
        self._turn = 0
        self._received = 0
        self._failures = 0

    # ---- out ----------------------------------------------------------------------------------------------------------

    def order(self, orders: list[Order], suspects: set[int], now: float) -> None:
        """Makes a message of orders, the next one to be sent."""
        if not self.in_hand:
            self.pace.began(now)
        for order in orders:
            self.in_hand[order.attempt] = order.attempt in suspects
        self._turn += 1
        self.ordering = Message(self._turn, tuple(orders), 0, 0, 0, 0, 0)

    def withdraw(self, count: int) -> None:
        """Makes a message that asks for commands back."""
        self._turn += 1
        self.withdrawing = count
        self.ordering = Message(self._turn, (), count, 0, 0, 0, 0)

    def orders_to_send(self) -> Message:
        """The message, with the lease that it grants."""
        assert self.ordering is not None
        self.is_sending = True
        return self.ordering._replace(echo=self.lease.granted(), received=self._received)

    def question(self, wait: float, interval: float) -> Message:
        """What asks for news."""
        self.is_asking = True
        return Message(0, (), 0, self.lease.granted(), self._received, 0 if self.holds_back else wait, interval)

    # ---- in -----------------------------------------------------------------------------------------------------------

    def answered(self, report: Report, now: float) -> list[Entry]:
        """The entries that are new."""
        self._failures = 0
        self.lease.heard(report.stamp, now)
        new = list(report.entries[self._received - report.first :]) if report.entries else []
        self._received += len(new)
        ended = 0
        for attempt, kind, _ in new:
            if kind != LINE:
                self.in_hand.pop(attempt, None)
                ended += kind == DONE
        if ended:
            self.pace.ended(ended, now)
        if not self.in_hand:
            self.is_alone = False
        return new

    def failed(self, now: float) -> None:
        """A message got no answer; whether it was received is not known."""
        self._failures += 1
        self.retry_at = now + min(1.0, 0.05 * 2.0**self._failures)

    # ---- what it has --------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more it is to be given now; 0 as long as it has enough."""
        if self.is_leaving or self.is_alone or self.is_reserved or self.ordering is not None or self._failures:
            return 0
        target = self.pace.target
        room = target - len(self.in_hand)
        return room if room > target // 4 or len(self.in_hand) < self.capacity else 0

    @property
    def suspects(self) -> int:
        return sum(self.in_hand.values())

    @property
    def is_free(self) -> bool:
        """Whether it could run another command at once."""
        return self.room > 0 and len(self.in_hand) < self.capacity

    @property
    def ahead(self) -> int:
        """How many it has not started, by a guess."""
        return 0 if self.is_alone else max(0, len(self.in_hand) - self.capacity)
